"""int8 per output row for matrices and the token embedding, f16 for the rest, in one safetensors file.

Tensor NAME of a matrix becomes I8 NAME and F32 NAME.scale [rows]: value = NAME * scale[row]. For `visual.proj` and
`text_projection`, which are applied as x @ P, rows are input rows. The patch convolution counts as [W, 3*P*P]."""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def quantise(tensors):
    out = {}
    for name, t in tensors.items():
        if t.ndim >= 2 and "positional" not in name:
            rows = t.flatten(1)
            scale = rows.abs().amax(1).clamp_min(1e-12) / 127
            out[name] = torch.round(rows / scale[:, None]).to(torch.int8).view(t.shape)
            out[name + ".scale"] = scale.float()
        else:
            out[name] = t.half()
    return out


def expand(tensors):
    out = {}
    for name, t in tensors.items():
        if name.endswith(".scale") and name.removesuffix(".scale") in tensors:
            continue
        if t.dtype == torch.int8:
            scale = tensors[name + ".scale"]
            t = t.float() * scale.view(-1, *[1] * (t.ndim - 1))
        out[name] = t.float()
    return out


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--model", default="target/builtin/model", help="folder written by export.py")
    a.add_argument("--out", default="target/builtin/builtin.safetensors")
    a.add_argument("--expanded", help="also write a model folder with the expanded f32 weights, to measure the cost")
    a = a.parse_args()
    exact = load_file(Path(a.model) / "open_clip_model.safetensors")
    small = quantise(exact)
    save_file(small, a.out)
    back = expand(small)
    worst = max((float((back[k] - v).norm() / v.norm().clamp_min(1e-12)), k) for k, v in exact.items())
    print(f"{Path(a.out).stat().st_size:,} bytes; largest relative change {worst[0]:.4f} in {worst[1]}")
    if a.expanded:
        Path(a.expanded).mkdir(parents=True, exist_ok=True)
        save_file(back, Path(a.expanded) / "open_clip_model.safetensors")
        for name in ("open_clip_config.json", "tokenizer.json"):
            (Path(a.expanded) / name).write_bytes((Path(a.model) / name).read_bytes())


if __name__ == "__main__":
    main()
