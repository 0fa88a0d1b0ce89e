"""A prototype of AA-CLIP's stage 2 on the frozen towers: shows the possible result of `aaclip train`. Ships nothing.

Anchors are the plain text tower's; losses and scores follow AA-CLIP (one step differs: batches of 8, cosine rate)."""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import tokenizers
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file

from model import LEVELS, TextTower, VisionTower
from real import read
from train_text import encode
from validation import measure, mvtec, real_and_synthetic, tensor

NORMAL = ["{}", "a {}", "the {}"]
ABNORMAL = ["a damaged {}", "a broken {}", "a {} with flaw", "a {} with defect", "a {} with damage"]
TEMPLATES = ["{}.", "a photo of {}."]


def towers(folder):
    tensors = load_file(Path(folder) / "open_clip_model.safetensors")
    vision, text = VisionTower(), TextTower()
    vision.load_state_dict({k.removeprefix("visual."): v for k, v in tensors.items() if k.startswith("visual.")})
    text.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("visual.") and k != "logit_scale"})
    tokenizer = tokenizers.Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    return vision.eval().requires_grad_(False), text.eval().requires_grad_(False), tokenizer


@torch.no_grad()
def anchors(text, tokenizer, name):
    """[D, 2]: normal, abnormal."""
    both = []
    for states in (NORMAL, ABNORMAL):
        sentences = [t.format(s.format(name)) for s in states for t in TEMPLATES]
        both.append(F.normalize(F.normalize(text(*encode(tokenizer, sentences)), dim=1).mean(0), dim=0))
    return torch.stack(both, 1)


class Adapters(nn.Module):
    """Residual adapters after the first blocks, a projection per level, one for the picture's score."""

    def __init__(self, width, embed, until=6, weight=0.1):
        super().__init__()
        linear = lambda out: nn.Parameter(nn.init.xavier_uniform_(torch.empty(out, width)))
        self.layers = nn.ParameterList(linear(width) for _ in range(until))
        self.seg = nn.ParameterList(linear(embed) for _ in LEVELS)
        self.det = linear(embed)
        self.weight = weight

    def residual(self, i, x):
        a = F.leaky_relu(x @ self.layers[i].T)
        a = a * x.norm(dim=-1, keepdim=True) / a.norm(dim=-1, keepdim=True)
        return self.weight * a + (1 - self.weight) * x

    def forward(self, tower, pictures):
        x = tower.conv1(pictures)
        grid = x.shape[-1]
        x = torch.cat([tower.class_embedding.expand(len(x), 1, -1), x.flatten(2).transpose(1, 2)], 1) + tower.positions(grid)
        seg = []
        for i, block in enumerate(tower.transformer.resblocks):
            x = block(x)
            if i < len(self.layers):
                x = self.residual(i, x)
            if i + 1 in LEVELS:
                t = tower.ln_post(x[:, 1:].float())
                with torch.autocast("cpu", enabled=False):
                    seg.append(F.normalize(t @ self.seg[len(seg)].T, dim=-1))
                    det = F.normalize(t @ self.det.T, dim=-1).mean(1)
        return seg, det, grid


def segmentation(p, mask):
    onehot = torch.stack([1 - mask, mask], 1).clamp(1e-5, 1 - 1e-5)
    pt = (onehot * p).sum(1) + 1e-5
    dice = lambda q, m: (1 - (2 * (q * m).flatten(1).sum(1) + 1) / (q.flatten(1).sum(1) + m.flatten(1).sum(1) + 1)).mean()
    return -((1 - pt) ** 2 * pt.log()).mean() + dice(p[:, 0], 1 - mask) + dice(p[:, 1], mask)


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--model", default="target/builtin/model")
    a.add_argument("--data", default="../shared/data")
    a.add_argument("--training-set", default="target/builtin/adapters-data", help="made by make_training_set.py")
    a.add_argument("--mvtec", help="measure on MVTec too: for the final test only")
    a.add_argument("--steps", type=int, default=250)
    a.add_argument("--batch", type=int, default=8)
    a.add_argument("--out", help="keep the adapters here, for measuring other weights with --load")
    a.add_argument("--load")
    a = a.parse_args()
    torch.manual_seed(4)
    vision, text, tokenizer = towers(a.model)
    adapters = Adapters(*vision.proj.shape)
    folder = Path(a.training_set)
    rows = [json.loads(line) for line in (folder / "full-shot.jsonl").read_text().splitlines()]
    names = sorted({r["class_name"] for r in rows})
    by_name = {n: anchors(text, tokenizer, n) for n in names}
    cos = np.mean([float(v[:, 0] @ v[:, 1]) for v in by_name.values()])
    print(f"cosine of the anchors {cos:.3f}")
    if a.load:
        adapters.load_state_dict(torch.load(a.load))
        a.steps = 0
    optimiser = torch.optim.Adam(adapters.parameters(), 5e-4, betas=(0.5, 0.999))
    order, start, sums = np.random.default_rng(4).permutation(len(rows)), time.time(), [0, 0]
    for step in range(a.steps):
        part = [rows[order[(step * a.batch + k) % len(rows)]] for k in range(a.batch)]
        x = tensor([read(folder / r["image_path"]) for r in part])
        masks = [read(folder / r["mask_path"], True) if "mask_path" in r else np.zeros((320, 320), np.uint8) for r in part]
        mask = torch.from_numpy((np.stack(masks) > 0).astype(np.float32))
        t = torch.stack([by_name[r["class_name"]] for r in part])
        label = torch.tensor([int(r["label"]) for r in part])
        optimiser.param_groups[0]["lr"] = 5e-4 * 0.5 * (1 + math.cos(math.pi * step / a.steps))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            seg, det, grid = adapters(vision, x)
        image = F.cross_entropy(torch.einsum("bd,bdk->bk", det, t), label)
        loss = image
        for f in seg:
            logits = 100 * torch.einsum("bld,bdk->bkl", f, t).unflatten(2, (grid, grid))
            p = F.interpolate(logits, size=mask.shape[1:], mode="bilinear", align_corners=True).softmax(1)
            loss = loss + segmentation(p, mask)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        sums = [sums[0] + loss.item(), sums[1] + image.item()]
        if (step + 1) % 50 == 0:
            print(f"{step + 1}/{a.steps} loss {sums[0] / 50:.3f} image {sums[1] / 50:.3f} | {time.time() - start:.0f} s", flush=True)
            sums = [0, 0]
    if a.out:
        torch.save(adapters.state_dict(), a.out)

    general = anchors(text, tokenizer, "object")

    def maps(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            seg, det, grid = adapters(vision, x)
        total = sum(100 * (f @ (general[:, 1] - general[:, 0])) / 2 for f in seg)
        return total.unflatten(1, (grid, grid)), (det @ general[:, 1] + 1) / 2

    measure(real_and_synthetic(a.data), maps)
    if a.mvtec:
        print("MVTec")
        measure(mvtec(a.mvtec), maps)


if __name__ == "__main__":
    main()
