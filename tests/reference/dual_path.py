"""CLIP-AD's staged dual path in PyTorch, on an open_clip model. Our own code: a second opinion, not a port."""

import torch
import torch.nn.functional as F


def hashed(count, salt):
    """`count` values in [-0.5, 0.5) from an integer hash: the same on every machine and in every version."""
    h = torch.arange(count, dtype=torch.int64) + salt * 7919
    mask = 0xFFFFFFFF
    h = (h & mask) ^ ((h & mask) >> 16)
    h = (h * 0x7FEB352D) & mask
    h ^= h >> 15
    h = (h * 0x846CA68B) & mask
    h ^= h >> 16
    return ((h >> 21) - 1024).to(torch.float32) / 2048.0


def fill(model):
    """Gives every parameter of `model` values from the formula, at a scale that keeps activations sane."""
    for salt, (name, parameter) in enumerate(sorted(model.named_parameters())):
        values = hashed(parameter.numel(), salt + 1).reshape(parameter.shape)
        if name.endswith(("ln_1.weight", "ln_2.weight", "ln_pre.weight", "ln_post.weight", "ln_final.weight")):
            values = 1.0 + 0.2 * values
        elif parameter.ndim >= 2 and "embedding" not in name:
            fan_in = parameter[0].numel() if not name.endswith(("proj", "projection")) else parameter.shape[0]
            values = values * 3.4 / fan_in**0.5
        parameter.data.copy_(values)
    return model.eval()


def _attend(a, b, v, heads):
    batch, length, width = v.shape
    split = lambda x: x.reshape(batch, length, heads, width // heads).transpose(1, 2)
    scores = split(a) @ split(b).transpose(-2, -1) * (width // heads) ** -0.5
    return (scores.softmax(-1) @ split(v)).transpose(1, 2).reshape(batch, length, width)


def attention_output(block, x):
    """What the block's ordinary attention adds to the residual stream."""
    a = block.ln_1(x)
    return block.attn(a, a, a, need_weights=False)[0]


def value_value(block, x):
    """The V-V attention of CLIP surgery, through the same output projection."""
    attn = block.attn
    width = x.shape[-1]
    weight, bias = attn.in_proj_weight[2 * width :], attn.in_proj_bias[2 * width :]
    v = F.linear(block.ln_1(x), weight, bias)
    return attn.out_proj(_attend(v, v, v, attn.num_heads))


@torch.no_grad()
def embed(visual, images):
    x = visual.conv1(images).flatten(2).transpose(1, 2)
    cls = visual.class_embedding.expand(len(x), 1, -1)
    return visual.ln_pre(torch.cat([cls, x], 1) + visual.positional_embedding)


@torch.no_grad()
def dual_path(visual, images, levels):
    """Per level: original tokens and projected surgery tokens, with the reference's in-place updates."""
    blocks = visual.transformer.resblocks
    layers = len(blocks)
    x = embed(visual, images)
    states, sums, attended = [], [], []
    surgery = None
    for i, block in enumerate(blocks):
        vv = value_value(block, x)
        surgery = vv if 4 * i % layers == 0 else surgery + vv
        y = x + attention_output(block, x)
        attended.append(y)
        x = y + block.mlp(block.ln_2(y))
        states.append(x)
        sums.append(surgery)
    found = {}
    for level in levels:
        original = attended[level] if level < layers else states[-1]
        end = next(e for e in range(level, layers + 1) if 4 * e % layers == 0)
        tokens = sums[end - 1].clone()
        tokens[:, 0] = original[:, 0]
        found[level] = (original, visual.ln_post(tokens) @ visual.proj)
    return found
