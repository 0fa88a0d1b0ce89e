"""AUROC without dependencies, and AA-CLIP's blur of a patch map."""

import numpy as np
import torch
import torch.nn.functional as F


def auroc(scores, labels):
    scores, labels = np.asarray(scores, np.float64).ravel(), np.asarray(labels).ravel() > 0.5
    positive, negative = int(labels.sum()), int((~labels).sum())
    if positive == 0 or negative == 0:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2
    return float((rank[inverse][labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def blur(maps):
    """[B, 1, g, g]: kernel 7, sigma 1, reflected border."""
    kernel = torch.exp(-torch.arange(-3, 4).float() ** 2 / 2)
    kernel = kernel / kernel.sum()
    maps = F.conv2d(F.pad(maps, (3, 3, 0, 0), "reflect"), kernel.view(1, 1, 1, 7))
    return F.conv2d(F.pad(maps, (0, 0, 3, 3), "reflect"), kernel.view(1, 1, 7, 1))


def table(rows):
    """rows: kind -> (image scores, labels, pixel maps, masks); prints and returns mean image and pixel AUROC."""
    image, pixel = [], []
    for kind, (scores, labels, maps, masks) in rows.items():
        image.append(auroc(scores, labels))
        pixel.append(auroc(np.stack(maps), np.stack(masks)) if maps else float("nan"))
        print(f"  {kind:22} {len(labels):4} pictures  image {image[-1]:.3f}  pixel {pixel[-1]:.3f}", flush=True)
    print(f"  {'mean':22} {'':13}  image {np.nanmean(image):.3f}  pixel {np.nanmean(pixel):.3f}", flush=True)
    return float(np.nanmean(image)), float(np.nanmean(pixel))
