"""Draws the training scenes of the vision tower once, into flat files: drawing and training at the same time would
fight for two cores. Scene i depends on the seed and i alone."""

import argparse
import json
import multiprocessing
import time
from pathlib import Path

import numpy as np

from model import CONFIG
from real import RealPictures
from scenes import scene

SIDE = CONFIG["model_cfg"]["vision_cfg"]["image_size"]


def files(folder, count, mode):
    pictures = np.lib.format.open_memmap(folder / "pictures.npy", mode, np.uint8, (count, SIDE, SIDE, 3))
    masks = np.lib.format.open_memmap(folder / "masks.npy", mode, np.uint8, (count, SIDE * SIDE // 8))
    return pictures, masks


def draw(folder, data, seed, count, share, shares):
    real = RealPictures(data) if data else None
    pictures, masks = files(folder, count, "r+")
    names = {}
    start = time.time()
    for n, i in enumerate(range(share, count, shares)):
        s = scene(np.random.default_rng((seed, i)), SIDE, real)
        pictures[i], masks[i] = s.picture, np.packbits(s.mask.astype(bool))
        names[i] = s.name
        if share == 0 and n % 500 == 499:
            print(f"{i + 1}/{count}, {(i + 1) / (time.time() - start):.0f} scenes/s", flush=True)
    return names


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--data", help="also show the real pictures of this folder")
    a.add_argument("--out", default="target/builtin/scenes")
    a.add_argument("--count", type=int, default=18000)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--processes", type=int, default=2)
    a = a.parse_args()
    out = Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    files(out, a.count, "w+")
    with multiprocessing.Pool(a.processes) as pool:
        work = [(out, a.data, a.seed, a.count, k, a.processes) for k in range(a.processes)]
        names = {k: v for part in pool.starmap(draw, work) for k, v in part.items()}
    (out / "names.json").write_text(json.dumps([names[i] for i in range(a.count)]))


if __name__ == "__main__":
    main()
