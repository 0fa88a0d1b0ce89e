"""The two towers, with open_clip's tensor names and arithmetic (checked against the Rust program)."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file

CONFIG = {
    "model_cfg": {
        "embed_dim": 192,
        "vision_cfg": {"image_size": 320, "layers": 12, "width": 192, "head_width": 64, "patch_size": 16, "no_ln_pre": True},
        "text_cfg": {"context_length": 32, "vocab_size": 2048, "width": 128, "heads": 4, "layers": 3},
    },
    # The teacher's normalisation, kept.
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}
LEVELS = (3, 6, 9, 12)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.normal_(self.in_proj_weight, std=width**-0.5)

    def forward(self, x, causal):
        b, n, w = x.shape
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias).view(b, n, 3, self.heads, w // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(x.transpose(1, 2).reshape(b, n, w))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.mlp = Attention(width, heads), Mlp(width)

    def forward(self, x, causal=False):
        x = x + self.attn(self.ln_1(x), causal)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width, heads, layers):
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, heads) for _ in range(layers))


class VisionTower(nn.Module):
    def __init__(self):
        super().__init__()
        c = CONFIG["model_cfg"]["vision_cfg"]
        width, self.grid = c["width"], c["image_size"] // c["patch_size"]
        self.conv1 = nn.Conv2d(3, width, c["patch_size"], c["patch_size"], bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(1 + self.grid**2, width))
        self.transformer = Transformer(width, width // c["head_width"], c["layers"])
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.eye(width, CONFIG["model_cfg"]["embed_dim"]))

    def positions(self, grid):
        return resize_positions(self.positional_embedding, grid)

    def forward(self, pictures):
        """[B, 3, S, S] to the raw tokens [B, 1 + L, W] after each of LEVELS."""
        x = self.conv1(pictures)
        grid = x.shape[-1]
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(x.shape[0], 1, -1), x], 1) + self.positions(grid)
        tapped = []
        for i, block in enumerate(self.transformer.resblocks):
            x = block(x)
            if i + 1 in LEVELS:
                tapped.append(x)
        return tapped


class TextTower(nn.Module):
    def __init__(self):
        super().__init__()
        c = CONFIG["model_cfg"]["text_cfg"]
        width = c["width"]
        self.token_embedding = nn.Embedding(c["vocab_size"], width)
        self.positional_embedding = nn.Parameter(torch.randn(c["context_length"], width) * 0.01)
        self.transformer = Transformer(width, c["heads"], c["layers"])
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.randn(width, CONFIG["model_cfg"]["embed_dim"]) * width**-0.5)
        nn.init.normal_(self.token_embedding.weight, std=0.05)

    def forward(self, ids, ends):
        x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]
        for block in self.transformer.resblocks:
            x = block(x, causal=True)
        return self.ln_final(x[torch.arange(len(x)), ends]) @ self.text_projection


def resize_positions(table, grid):
    old = int((table.shape[0] - 1) ** 0.5)
    if old == grid:
        return table
    patches = table[1:].T.reshape(1, -1, old, old)
    patches = F.interpolate(patches.float(), size=(grid, grid), mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([table[:1], patches.flatten(2)[0].T])


def from_teacher(path):
    """A tower that starts as the timm ViT of `path`, and the teacher's class vectors [1000, W] and biases."""
    t = load_file(path)
    tower = VisionTower()
    table = t["pos_embed"][0].clone()
    table[1:] += t["patch_embed.proj.bias"]
    state = {
        "conv1.weight": t["patch_embed.proj.weight"],
        "class_embedding": t["cls_token"].flatten(),
        "positional_embedding": resize_positions(table, tower.grid),
        "ln_post.weight": t["norm.weight"],
        "ln_post.bias": t["norm.bias"],
        "proj": tower.proj.data,
    }
    names = {
        "norm1.": "ln_1.", "norm2.": "ln_2.", "attn.proj.": "attn.out_proj.", "attn.qkv.": "attn.in_proj_",
        "mlp.fc1.": "mlp.c_fc.", "mlp.fc2.": "mlp.c_proj.",
    }
    for name, tensor in t.items():
        if name.startswith("blocks."):
            for old, new in names.items():
                name = name.replace(old, new)
            state["transformer.resblocks." + name.removeprefix("blocks.")] = tensor
    tower.load_state_dict(state)
    return tower, t["head.weight"], t["head.bias"]
