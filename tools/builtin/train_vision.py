"""Fine-tunes the vision tower end to end: find damage, keep the teacher's classes.

Writes vision.pt: the tower, the anchors, the class vectors in the shared space, the level projections."""

import argparse
import copy
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from model import CONFIG, LEVELS, from_teacher
from validation import measure, real_and_synthetic

SIDE = CONFIG["model_cfg"]["vision_cfg"]["image_size"]
TEMPERATURE = 100.0


class Scenes:
    """The scenes of make_scenes.py in a fixed random order, again and again, mirrored and toned again each time."""

    def __init__(self, folder, seed, exclude):
        names = json.loads((Path(folder) / "names.json").read_text())
        self.pictures = np.load(Path(folder) / "pictures.npy", mmap_mode="r")
        self.masks = np.load(Path(folder) / "masks.npy", mmap_mode="r")
        self.rng = np.random.default_rng((seed, 77))
        self.usable = [i for i, name in enumerate(names) if name not in exclude]
        self.order = []

    def batch(self, size):
        while len(self.order) < size:
            self.order += list(self.rng.permutation(self.usable))
        chosen, self.order = self.order[:size], self.order[size:]
        x, masks = [], []
        for i in chosen:
            picture = torch.from_numpy(np.array(self.pictures[i])).permute(2, 0, 1).float() / 127.5 - 1
            mask = torch.from_numpy(np.unpackbits(self.masks[i]).reshape(SIDE, SIDE)).float()
            if self.rng.random() < 0.5:
                picture, mask = picture.flip(2), mask.flip(1)
            if self.rng.random() < 0.5:
                picture, mask = picture.transpose(1, 2), mask.T
            if self.rng.random() < 0.15:
                picture = picture[self.rng.permutation(3).tolist()]
            tone = torch.from_numpy(self.rng.normal(0, 0.05, (3, 1, 1))).float()
            x.append((picture * float(np.exp(self.rng.normal(0, 0.15))) + tone + float(self.rng.normal(0, 0.1))).clamp(-1, 1))
            masks.append(mask)
        return torch.stack(x), torch.stack(masks)


class Learner(nn.Module):
    """The tower with AA-CLIP's additions: a projection per level to a space with two anchors."""

    def __init__(self, tower, classes):
        super().__init__()
        width, embed = tower.proj.shape
        self.tower = tower
        # The last level uses visual.proj itself, so that patches, class token and text share a space.
        self.level_proj = nn.ParameterList(nn.Parameter(torch.eye(width, embed)) for _ in LEVELS[:-1])
        self.det_proj = nn.Parameter(torch.eye(width, embed))
        # Two anchors close together, as a text tower puts them; the temperature is AA-CLIP's and there is no offset,
        # so that its adapters can start from the learned projections.
        middle, step = torch.randn(2, embed)
        self.anchors = nn.Parameter(F.normalize(middle, dim=0) + 0.1 * torch.tensor([[-1.0], [1.0]]) * F.normalize(step, dim=0))
        self.class_map = nn.Parameter(torch.eye(width, embed))
        self.det_scale, self.det_bias = nn.Parameter(torch.tensor(4.6)), nn.Parameter(torch.tensor(0.0))
        self.register_buffer("classes", classes - classes.mean(0))

    def direction(self):
        normal, abnormal = F.normalize(self.anchors, dim=1)
        return abnormal - normal

    def class_vectors(self):
        return F.normalize(self.classes @ self.class_map, dim=1)

    def forward(self, x):
        tokens = self.tower(x)
        with torch.autocast("cpu", enabled=False):
            tokens = [self.tower.ln_post(t.float()) for t in tokens]
            d = self.direction()
            grid = int((tokens[0].shape[1] - 1) ** 0.5)
            levels = []
            for t, p in zip(tokens, [*self.level_proj, self.tower.proj]):
                z = F.normalize(t[:, 1:] @ p, dim=-1)
                levels.append((z @ d * TEMPERATURE).view(-1, grid, grid))
            det = F.normalize(tokens[-1][:, 1:] @ self.det_proj, dim=-1).mean(1) @ d
            picture = F.normalize(tokens[-1][:, 0] @ self.tower.proj, dim=-1)
        return torch.stack(levels, 1), det * self.det_scale.exp() + self.det_bias, picture


def dice(p, mask):
    p, mask = p.flatten(1), mask.flatten(1)
    return (1 - (2 * (p * mask).sum(1) + 1) / (p.sum(1) + mask.sum(1) + 1)).mean()


def segmentation(logits, mask):
    """Focal + Dice on maps enlarged to the mask."""
    big = F.interpolate(logits[:, None], size=mask.shape[-2:], mode="bilinear", align_corners=True)[:, 0]
    bce = F.binary_cross_entropy_with_logits(big, mask, reduction="none")
    p = torch.sigmoid(big)
    pt = torch.exp(-bce)
    return 4 * (((1 - pt) ** 2) * bce).mean() + bce.mean() + dice(p, mask)


def losses(out, mask):
    levels, det, _ = out
    label = mask.flatten(1).amax(1)
    half = F.max_pool2d(mask[:, None], 2)[:, 0] if mask.shape[-1] > 200 else mask
    coarse = F.interpolate(mask[:, None], size=levels.shape[-2:], mode="area")
    terms = {
        "seg": segmentation(levels.mean(1), half),
        "level": F.binary_cross_entropy_with_logits(levels, coarse.expand_as(levels)),
        "top": F.binary_cross_entropy_with_logits(levels.mean(1).flatten(1).topk(6, 1)[0].mean(1), label),
        "det": F.binary_cross_entropy_with_logits(det, label),
    }
    return terms["seg"] + terms["level"] + 0.3 * terms["top"] + 0.3 * terms["det"], terms


def groups(learner, rate, decay, base):
    """Lower learning rates for lower blocks, none of them decayed towards zero where it is a vector."""
    out = []
    for name, p in learner.named_parameters():
        if name.startswith("tower.") and name != "tower.proj":
            depth = int(name.split(".")[3]) + 1 if "resblocks" in name else (13 if "ln_post" in name else 0)
            lr = rate * decay ** (13 - depth)
        else:
            lr = base
        out.append({"params": [p], "lr": lr, "base": lr, "weight_decay": 0.05 if p.ndim > 1 else 0.0})
    return out


def report(learner, sets, side=SIDE):
    learner.eval()

    def maps(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            levels, det, _ = learner(x)
        return levels.mean(1), None

    result = measure(sets, maps, side)
    learner.train()
    return result


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--teacher", default="../shared/teacher/vit_tiny_patch16_224.safetensors")
    a.add_argument("--data", default="../shared/data", help="for validation")
    a.add_argument("--scenes", default="target/builtin/scenes", help="folder written by make_scenes.py")
    a.add_argument("--out", default="target/builtin/vision.pt")
    a.add_argument("--steps", type=int, default=2400)
    a.add_argument("--minutes", type=float, help="stop after this time instead of --steps; the schedule follows")
    a.add_argument("--batch", type=int, default=12)
    a.add_argument("--small", type=float, default=0.5, help="share of the steps at 240 px")
    a.add_argument("--rate", type=float, default=2e-4)
    a.add_argument("--layer-decay", type=float, default=0.85)
    a.add_argument("--seed", type=int, default=1, help="of the order of the scenes; the start is always the same")
    a.add_argument("--base-rate", type=float, default=1e-3, help="of the projections and anchors")
    a.add_argument("--exclude", nargs="*", default=[], help="names of scenes left out of training (development)")
    a = a.parse_args()
    torch.manual_seed(1)  # Runs that are to be averaged must start at the same place.
    tower, classes, bias = from_teacher(a.teacher)
    teacher = copy.deepcopy(tower).eval().requires_grad_(False)
    learner = Learner(tower, classes)
    average = copy.deepcopy(learner).requires_grad_(False)
    optimiser = torch.optim.AdamW(groups(learner, a.rate, a.layer_decay, a.base_rate), betas=(0.9, 0.98))
    scenes = Scenes(a.scenes, a.seed, a.exclude)
    sets = real_and_synthetic(a.data, SIDE)
    start, sums, step, halfway = time.time(), {}, 0, False
    while True:
        done = (time.time() - start) / 60 / a.minutes if a.minutes else step / a.steps
        if done >= 1:
            break
        x, mask = scenes.batch(a.batch)
        if done < a.small:
            x = F.interpolate(x, size=(240, 240), mode="bilinear", antialias=True, align_corners=False)
        warm = min(1, (step + 1) / 100)
        factor = warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        for g in optimiser.param_groups:
            g["lr"] = g["base"] * factor
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = learner(x)
            loss, terms = losses(out, mask)
            if step % 2 == 0:
                with torch.no_grad():
                    little = F.interpolate(x[:4], size=(224, 224), mode="bilinear", antialias=True, align_corners=False)
                    cls = teacher.ln_post(teacher(little)[-1][:, 0].float())
                    target = F.softmax(cls @ classes.T + bias, dim=1)
                logits = 30 * out[2][:4] @ learner.class_vectors().T
                terms["class"] = -(target * F.log_softmax(logits.float(), 1)).sum(1).mean()
                loss = loss + 0.1 * terms["class"]
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 2.0)
        optimiser.step()
        with torch.no_grad():
            keep = min(0.995, (step + 1) / (step + 10))
            for p, q in zip(average.parameters(), learner.parameters()):
                p.lerp_(q, 1 - keep)
        for k, v in terms.items():
            n, total = sums.get(k, (0, 0.0))
            sums[k] = (n + 1, total + v.item())
        step += 1
        if step % 50 == 0:
            line = " ".join(f"{k} {t / n:.3f}" for k, (n, t) in sums.items())
            passed = time.time() - start
            print(f"{step} ({done:.0%}) {line} | {step * a.batch / passed:.1f} pictures/s {passed:.0f} s", flush=True)
            sums = {}
            torch.save(average.state_dict(), a.out)
        if done > 0.5 and not halfway:
            halfway = True
            report(average, sets)
    torch.save(average.state_dict(), a.out)
    print(f"{step} steps of {a.batch} pictures in {time.time() - start:.0f} s")
    report(average, sets)


if __name__ == "__main__":
    main()
