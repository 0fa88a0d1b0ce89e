"""Pictures to measure on: the kept fifth of the real ones, synthetic scenes of other seeds, MVTec (final test only)."""

from pathlib import Path

import cv2
import numpy as np
import torch

import scores
from real import RealPictures, read
from scenes import scene


def square(picture, mask, side):
    picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    mask = np.zeros((side, side)) if mask is None else cv2.resize(mask, (side, side), interpolation=cv2.INTER_NEAREST)
    return picture, (mask > 0).astype(np.uint8)


def real_and_synthetic(data, side=320, synthetic=160):
    """kind -> list of (picture, label, mask or None)."""
    kept = RealPictures(data, part="val")
    sets = {}
    for kind in kept.good:
        rows = [(square(p, None, side), 0, True) for p in kept.good[kind]]
        rows += [(square(p, m, side), 1, m is not None) for p, m in kept.bad[kind]]
        sets[kind] = [(p, label, m if known else None) for (p, m), label, known in rows]
    sets["synthetic"] = []
    for seed in range(synthetic):
        s = scene(np.random.default_rng((9, seed)), side)
        sets["synthetic"].append((s.picture, int(s.mask.any()), s.mask))
    return sets


def mvtec(root, side=320):
    """For testing only: never for training or for choosing."""
    sets = {}
    for folder in sorted(Path(root).iterdir()):
        if not (folder / "test").is_dir():
            continue
        rows = sets[folder.name] = []
        for path in sorted((folder / "test").glob("*/*")):
            label = int(path.parent.name != "good")
            found = list((folder / "ground_truth" / path.parent.name).glob(path.stem + "*")) if label else []
            picture, mask = square(read(path), read(found[0], True) if found else None, side)
            rows.append((picture, label, mask))
    return sets


def tensor(pictures):
    x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
    return x / 127.5 - 1


@torch.no_grad()
def measure(sets, maps_and_scores, side=320):
    """`maps_and_scores`: pictures [B, 3, S, S] -> (grid maps [B, g, g], image scores [B] or None for the maximum)."""
    rows = {}
    for kind, items in sets.items():
        found = ([], [], [], [])
        for start in range(0, len(items), 16):
            part = items[start : start + 16]
            grids, image = maps_and_scores(tensor([p for p, _, _ in part]))
            grids = scores.blur(grids[:, None].float())
            big = torch.nn.functional.interpolate(grids, size=(side // 2, side // 2), mode="bilinear", align_corners=True)[:, 0]
            for i, (_, label, mask) in enumerate(part):
                found[0].append(float(big[i].max()) if image is None else (float(big[i].max()), float(image[i])))
                found[1].append(label)
                if mask is not None:
                    found[2].append(big[i].numpy())
                    found[3].append(mask[::2, ::2])
        if image is not None:
            both = np.array(found[0])
            low, high = both.min(0), both.max(0)
            both = (both - low) / (high - low + 1e-9)
            found = (list(both.mean(1)),) + found[1:]
        rows[kind] = found
    return scores.table(rows)
