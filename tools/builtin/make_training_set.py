"""Writes pictures and masks to train the adapters with: OUT/full-shot.jsonl in AA-CLIP's form. Half are damaged."""

import argparse
import json
import multiprocessing
from pathlib import Path

import cv2
import numpy as np

from real import RealPictures
from scenes import scene


def write(folder, data, seed, side, share, shares, count):
    real = RealPictures(data) if data else None
    rows = {}
    for i in range(share, count, shares):
        attempt = 0
        while True:
            s = scene(np.random.default_rng((seed, i, attempt)), side, real)
            if bool(s.mask.any()) == bool(i % 2):
                break
            attempt += 1
        picture, mask = f"pictures/{i:06}.jpg", f"masks/{i:06}.png"
        cv2.imwrite(str(folder / picture), s.picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        rows[i] = {"image_path": picture, "label": float(i % 2), "class_name": s.name}
        if i % 2:
            cv2.imwrite(str(folder / mask), (s.mask * 255).astype(np.uint8))
            rows[i]["mask_path"] = mask
    return rows


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("out")
    a.add_argument("--data", help="also show the real pictures of this folder")
    a.add_argument("--count", type=int, default=2000)
    a.add_argument("--seed", type=int, default=3)
    a.add_argument("--side", type=int, default=320)
    a.add_argument("--processes", type=int, default=2)
    a = a.parse_args()
    out = Path(a.out)
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    (out / "masks").mkdir(exist_ok=True)
    with multiprocessing.Pool(a.processes) as pool:
        work = [(out, a.data, a.seed, a.side, k, a.processes, a.count) for k in range(a.processes)]
        rows = {k: v for part in pool.starmap(write, work) for k, v in part.items()}
    lines = [json.dumps(rows[i]) for i in range(a.count)]
    (out / "full-shot.jsonl").write_text("\n".join(lines) + "\n")
    print(f"{a.count} pictures in {out}")


if __name__ == "__main__":
    main()
