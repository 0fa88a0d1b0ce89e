#!/usr/bin/env python3
"""CLIP's image tower in PyTorch, in two styles: as the official code runs it, and with fused attention.

`python tower.py DIR` compares both with what open_clip found for a folder that tests/reference/full_size.py made.
"""

import pathlib
import sys
from collections import OrderedDict

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import nn

import common


class QuickGelu(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    def __init__(self, width, heads, mlp, activation):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads)
        layers = [("c_fc", nn.Linear(width, mlp)), ("gelu", activation()), ("c_proj", nn.Linear(mlp, width))]
        self.mlp = nn.Sequential(OrderedDict(layers))

    def official(self, x):
        """Tokens first, `[L, B, W]`, and the attention's weights returned, as in the code of both papers."""
        a = self.ln_1(x)
        x = x + self.attn(a, a, a, need_weights=True)[0]
        return x + self.mlp(self.ln_2(x))

    def fused(self, x, attention):
        """`[B, L, W]`."""
        a = self.ln_1(x)
        b, n, w = a.shape
        qkv = F.linear(a, self.attn.in_proj_weight, self.attn.in_proj_bias)
        split = [t.view(b, n, self.heads, w // self.heads).transpose(1, 2) for t in qkv.chunk(3, -1)]
        x = x + self.attn.out_proj(attention(*split).transpose(1, 2).reshape(b, n, w))
        return x + self.mlp(self.ln_2(x))


class Tower(nn.Module):
    """Open_clip's tensor names; the positions are those of the input size already."""

    def __init__(self, config, size, official=False):
        super().__init__()
        width, patch = config["width"], config["patch_size"]
        activation = QuickGelu if config["quick_gelu"] else nn.GELU
        self.official, self.levels = official, common.levels(config["layers"])
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(1 + (size // patch) ** 2, width))
        self.ln_pre = nn.Identity() if config["no_ln_pre"] else nn.LayerNorm(width)
        heads, mlp = width // config["head_width"], int(width * config["mlp_ratio"])
        self.transformer = nn.Module()
        blocks = (Block(width, heads, mlp, activation) for _ in range(config["layers"]))
        self.transformer.resblocks = nn.ModuleList(blocks)
        self.ln_post = nn.LayerNorm(width)

    def forward(self, images, after_block=None, attention=F.scaled_dot_product_attention):
        """`[B, 3, S, S]` to the tokens `[B, 1 + L, W]` after each quarter of the blocks; `after_block(i, tokens)` may
        change them, `attention` is that of the fused style."""
        x = self.conv1(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(x.shape[0], 1, -1), x], 1) + self.positional_embedding
        x = self.ln_pre(x)
        x = x.permute(1, 0, 2) if self.official else x
        taps = []
        for i, block in enumerate(self.transformer.resblocks):
            x = block.official(x) if self.official else block.fused(x, attention)
            x = x if after_block is None else after_block(i, x)
            if i + 1 in self.levels:
                taps.append(x.permute(1, 0, 2) if self.official else x)
        return taps


def resize_positions(table, grid):
    """Bicubic with antialiasing, as open_clip does it; the class token's row stays."""
    old = int((len(table) - 1) ** 0.5)
    if old == grid:
        return table
    patches = table[1:].T.reshape(1, -1, old, old)
    patches = F.interpolate(patches, size=(grid, grid), mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([table[:1], patches.flatten(2)[0].T])


def build(config, tensors, size, official=False):
    """A tower from tensors under their names in the image tower (`conv1.weight`, ..), which it takes over."""
    with torch.device("meta"):
        tower = Tower(config, size, official)
    projection = tensors.pop("proj")
    tensors["positional_embedding"] = resize_positions(tensors["positional_embedding"], size // config["patch_size"])
    tower.load_state_dict(tensors, strict=True, assign=True)
    # Not part of the passes that are timed: `ln_post(tokens) @ proj` is up to who wants it.
    tower.proj = nn.Parameter(projection)
    return tower.eval().requires_grad_(False)


def load(folder, size, official=False):
    """The image tower of a model folder at an input size, in f32."""
    tensors = {}
    with safe_open(common.weights_file(folder), framework="pt") as file:
        for name in file.keys():
            if name.startswith("visual."):
                # A copy: a view of the mapped file would not be aligned for the processor's vectors.
                tensors[name.removeprefix("visual.")] = file.get_tensor(name).float().clone()
    return build(common.vision_config(folder), tensors, size, official)


@torch.no_grad()
def main():
    folder = pathlib.Path(sys.argv[1])
    with safe_open(folder / "expected.safetensors.data", framework="pt") as expected:
        images = expected.get_tensor("images")
        for official in (True, False):
            tower = load(folder, images.shape[-1], official)
            for level, tokens in zip(tower.levels, tower(images)):
                known = expected.get_tensor(f"tokens.level{level}")
                far = float((tokens - known).abs().max() / known.abs().max())
                print(f"{'official' if official else 'fused':8} level {level:2}: {far:.1e} of the range")


if __name__ == "__main__":
    main()
