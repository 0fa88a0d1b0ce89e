#!/usr/bin/env python3
"""Decoding of 12-megapixel pictures from memory to RGB: the program's decoders, Pillow and OpenCV, interleaved.

pip install numpy pillow opencv-python-headless && cargo build --release --example pixels
python benches/compare/decode.py target/release/examples/pixels [--threads 1] [--rounds 15]
"""

import argparse
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np
from PIL import Image

WIDTH, HEIGHT = 4000, 3000
FORMS = {
    "JPEG 4:2:0": ("jpg", {"quality": 90, "subsampling": 2}),
    "JPEG 4:4:4": ("jpg", {"quality": 90, "subsampling": 0}),
    "JPEG progressive": ("jpg", {"quality": 90, "progressive": True}),
    "PNG": ("png", {}),
}


def draw():
    """Gradients, a fine texture, shapes with edges, sensor noise. The same every time."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    random = np.random.default_rng(1)
    picture = np.stack([90 + x / 40, 110 + y / 50, 120 + (x + y) / 90], -1)
    picture += (18 * np.sin(x / 3.1 + y / 7.7) * np.sin(y / 41))[..., None]
    for _ in range(60):
        cx, cy, radius = random.uniform(0, WIDTH), random.uniform(0, HEIGHT), random.uniform(20, 300)
        inside = (x - cx) ** 2 + (y - cy) ** 2 < radius**2
        picture[inside] += random.uniform(-70, 70, 3).astype(np.float32)
    noise = random.normal(0, 6, picture.shape).astype(np.float32)
    return Image.fromarray((picture + cv2.GaussianBlur(noise, (0, 0), 0.8)).clip(0, 255).astype(np.uint8))


class Ours:
    def __init__(self, program, threads):
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([program, "--no-pixels"], env=environment, text=True, bufsize=1, **pipes)

    def seconds(self, file):
        self.process.stdin.write(f"{file}\n")
        return json.loads(self.process.stdout.readline())["seconds"]


def timed(decode):
    start = time.perf_counter()
    decode()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    ours, picture, slow = Ours(args.program, args.threads), draw(), False
    print(f"Pillow {Image.__version__}, OpenCV {cv2.__version__}, {args.threads} threads, milliseconds (median)")
    print("| picture | MB | aaclip | Pillow | OpenCV | times the faster (median of rounds) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for name, (ending, options) in FORMS.items():
            file = pathlib.Path(folder, f"x.{ending}")
            picture.save(file, **options)
            content = file.read_bytes()
            stored = np.frombuffer(content, np.uint8)
            contestants = {
                "aaclip": lambda: ours.seconds(file),
                "Pillow": lambda: timed(lambda: Image.open(io.BytesIO(content)).convert("RGB")),
                "OpenCV": lambda: timed(lambda: cv2.imdecode(stored, cv2.IMREAD_COLOR_RGB)),
            }
            rounds = [{who: decode() for who, decode in contestants.items()} for _ in range(args.rounds + 2)][2:]
            middle = {who: 1e3 * statistics.median(r[who] for r in rounds) for who in contestants}
            ratio = statistics.median(min(r["Pillow"], r["OpenCV"]) / r["aaclip"] for r in rounds)
            slow |= ratio < 1
            figures = " | ".join(f"{middle[who]:.1f}" for who in contestants)
            print(f"| {name} | {len(content) / 1e6:.1f} | {figures} | {ratio:.2f} |")
    sys.exit(slow)


if __name__ == "__main__":
    main()
