#!/usr/bin/env python3
"""Pixel metrics against scikit-learn and an AUPRO of its own, on random data; then time and memory of both.

    pip install numpy scikit-learn scipy
    cargo build --release --example pixel_metrics
    python3 tests/reference/metrics.py                  # differences: fails above 1e-6
    python3 tests/reference/metrics.py --bench 1725     # that many maps of 518 x 518 beside scikit-learn

scikit-learn gets a sample of the maps (--share) if memory does not hold all of them; its time is then scaled up
linearly, which flatters it (sorting is not linear).
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from scipy.ndimage import gaussian_filter, label
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "..", "target"))
PROGRAM = os.path.join(TARGET, "release", "examples", "pixel_metrics")


def ours(maps, masks, limit, *more):
    with tempfile.TemporaryDirectory() as folder:
        names = [os.path.join(folder, n) for n in ("maps.npy", "masks.npy")]
        np.save(names[0], maps.astype(np.float32))
        np.save(names[1], masks.astype(np.uint8))
        found = subprocess.run([PROGRAM, *names, str(limit), *more], capture_output=True, text=True)
        if found.returncode:
            sys.exit(found.stderr)
        return json.loads(found.stdout)


def aupro(maps, masks, limit):
    """All distinct values as thresholds, one picture and region at a time, numpy only."""
    order = np.argsort(-maps.ravel(), kind="stable")
    values = maps.ravel()[order]
    share = np.zeros(maps.shape)
    regions = 0
    for i, mask in enumerate(masks):
        numbered, count = label(mask, np.ones((3, 3)))
        for k in range(1, count + 1):
            share[i][numbered == k] = 1 / np.count_nonzero(numbered == k)
        regions += count
    last = np.r_[values[1:] != values[:-1], True]
    overlap = np.r_[0, np.cumsum(share.ravel()[order])[last] / regions]
    good = ~masks.astype(bool).ravel()[order]
    rate = np.r_[0, np.cumsum(good)[last] / np.count_nonzero(good)]
    inside = rate <= limit
    x, y = rate[inside], overlap[inside]
    if not inside.all():
        k = np.argmin(inside)
        t = (limit - rate[k - 1]) / (rate[k] - rate[k - 1])
        x, y = np.r_[x, limit], np.r_[y, overlap[k - 1] + t * (overlap[k] - overlap[k - 1])]
    return np.trapezoid(y, x) / limit if hasattr(np, "trapezoid") else np.trapz(y, x) / limit


def sklearn_metrics(maps, masks):
    y, s = masks.astype(bool).ravel(), maps.ravel()
    precision, recall, _ = precision_recall_curve(y, s)
    with np.errstate(invalid="ignore"):
        f1 = np.nanmax(2 * precision * recall / (precision + recall))
    return roc_auc_score(y, s), average_precision_score(y, s), f1


def blobs(rng, count, size):
    """Masks of a few blobs (a third of the pictures good) and maps that partly see them."""
    masks = np.zeros((count, size, size), np.uint8)
    maps = np.empty((count, size, size), np.float32)
    base = rng.random((16, size, size), np.float32)
    for i in range(count):
        for _ in range(rng.integers(0, 4) if i % 3 else 0):
            y, x, r = *rng.integers(0, size, 2), rng.integers(2, max(3, size // 12))
            masks[i, max(0, y - r) : y + r, max(0, x - r) : x + 2 * r] = 1
        noise = np.roll(base[i % 16], rng.integers(0, size, 2), (0, 1))
        maps[i] = noise * np.float32(0.7) + masks[i] * np.float32(0.2 * rng.random()) + np.float32(0.1 * rng.random())
    return maps, masks


def differences():
    rng = np.random.default_rng(3)
    worst = 0.0
    for case in range(12):
        count, size = int(rng.integers(1, 12)), int(rng.integers(20, 120))
        maps, masks = blobs(rng, count + 2, size)
        if case % 3 == 1:
            maps = np.round(maps, 2)  # ties
        if case % 3 == 2:
            maps = np.stack([gaussian_filter(m, 3) for m in maps]) - np.float32(0.4)  # smooth, both signs
        limit = [0.3, 0.05, 1.0][case % 3]
        found = ours(maps, masks, limit)
        auroc, ap, f1 = sklearn_metrics(maps, masks)
        for name, a, b in [
            ("auroc", found["ranking"]["auroc"], auroc),
            ("ap", found["ranking"]["average_precision"], ap),
            ("f1", found["ranking"]["f1_max"], f1),
            ("aupro", found["aupro"], aupro(maps, masks, limit)),
        ]:
            worst = max(worst, abs(a - b))
            print(f"case {case:2} {name:6} {a:.10f} {b:.10f} {abs(a - b):.1e}")
    print(f"largest difference {worst:.1e}")
    return worst < 1e-6


def held(pid):
    """Peak memory of a process, in MB. (The figure of `wait` includes memory copied from this process.)"""
    try:
        with open(f"/proc/{pid}/status") as lines:
            return next((int(line.split()[1]) * 1.024 / 1000 for line in lines if line.startswith("VmHWM")), 0)
    except FileNotFoundError:
        return 0


def bench(count, share):
    rng = np.random.default_rng(5)
    size = 518
    part = max(1, int(count * share))
    with tempfile.TemporaryDirectory() as folder:
        names = [os.path.join(folder, n) for n in ("maps.npy", "masks.npy")]
        maps = np.lib.format.open_memmap(names[0], "w+", np.float32, (count, size, size))
        masks = np.lib.format.open_memmap(names[1], "w+", np.uint8, (count, size, size))
        for i in range(0, count, 75):
            end = min(count, i + 75)
            maps[i:end], masks[i:end] = blobs(rng, end - i, size)
        maps.flush()
        masks.flush()
        sample = np.array(maps[:part]), np.array(masks[:part])
        del maps, masks
        for way in (["0.3"], ["0.3", "binned"]):
            start = time.perf_counter()
            process = subprocess.Popen([PROGRAM, *names, *way], stdout=subprocess.PIPE, text=True)
            peak = 0
            while process.poll() is None:
                peak = max(peak, held(process.pid))
                time.sleep(0.02)
            taken = time.perf_counter() - start
            found = json.loads(process.stdout.read())
            print(f"ours, {count} maps {' '.join(way)}: {taken:.1f} s, peak {peak:.0f} MB, "
                  f"auroc {found['ranking']['auroc']:.6f} aupro {found['aupro']:.6f}")
            if way == ["0.3"]:
                ours_time = taken
        start = time.perf_counter()
        sklearn_metrics(*sample)
        without = (time.perf_counter() - start) * count / part
        start = time.perf_counter()
        aupro(*sample, 0.3)
        pro = (time.perf_counter() - start) * count / part
        print(f"scikit-learn (AUROC, AP, F1), {part} maps scaled to {count}: {without:.1f} s = "
              f"{without / ours_time:.1f} x ours; with AUPRO in numpy {without + pro:.1f} s = "
              f"{(without + pro) / ours_time:.1f} x ours")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", type=int, metavar="MAPS")
    parser.add_argument("--share", type=float, default=0.1)
    args = parser.parse_args()
    if args.bench:
        bench(args.bench, args.share)
    elif not differences():
        sys.exit("FAILED")
