#!/usr/bin/env python3
"""A folder of pictures through `aaclip detect` and through a PyTorch script, as whole processes, interleaved.

    pip install -r benches/compare/requirements.txt && cargo build --release
    python benches/compare/folder.py builtin
    python tests/reference/full_size.py --model ViT-B-16-plus-240 --size 240 DIR
    python benches/compare/folder.py DIR

Both sides decode, preprocess, run the model, make the map, and write a heatmap and a line of JSON for each picture.
The anchors of the prompts are there beforehand on both sides.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

import common

HERE = pathlib.Path(__file__).resolve().parent
PROMPTS = {"sdp": "clip-ad", "aa-clip": "aa-clip"}
# Times the images/s of PyTorch; how alike scores must be for a time to count.
WANTED, ALIKE = 2.0, 0.99


def draw(folder, count, ending):
    """Pictures of 640 x 480: a gradient, soft shapes, sensor noise. The same every time."""
    folder.mkdir()
    y, x = np.mgrid[0:480, 0:640].astype(np.float32) / 480
    for n in range(count):
        random = np.random.default_rng(n)
        corner, slope = random.uniform(60, 180, 3), random.uniform(-60, 60, (2, 3))
        picture = corner + x[..., None] * slope[0] + y[..., None] * slope[1]
        for _ in range(12):
            (cx, cy), radius = random.uniform(0, 1.3, 2), random.uniform(0.02, 0.2)
            spot = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * radius**2))
            picture += spot[..., None] * random.uniform(-90, 90, 3)
        picture += random.normal(0, 6, picture.shape)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"{n:04}.{ending}", quality=90)


def run(command, threads, results):
    """Runs a whole process; returns its seconds. `results` gets its output on stdout."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    with open(results, "w") as out:
        start = time.perf_counter()
        done = subprocess.run([str(part) for part in command], stdout=out, stderr=subprocess.PIPE, text=True, env=environment)
        took = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return took


def scores(results):
    records = (json.loads(line) for line in results.read_text().splitlines())
    return {pathlib.Path(r["path"]).name: r["score"] for r in records}


class Ours:
    def __init__(self, args):
        self.name, self.args = "aaclip", args
        described = subprocess.run([args.binary, "detect", "--help"], capture_output=True, text=True, check=True).stdout
        self.threads = ["--threads", args.threads] if "--threads" in described else []

    def command(self, pictures, out):
        a = self.args
        fixed = ["--save", "heatmap", "--format", "jsonl", "--class", "object", "--quiet"]
        chosen = ["--model", a.model, "--method", a.method, "--image-size", a.size, "--out", out]
        return [a.binary, "detect", pictures, *fixed, *chosen, *self.threads, *a.extra.split()]


class Theirs:
    def __init__(self, args, anchors, batch):
        self.name, self.args, self.anchors, self.batch = f"PyTorch, batch {batch}", args, anchors, batch

    def command(self, pictures, out):
        a = self.args
        chosen = ["--model", a.model, "--method", a.method, "--size", a.size, "--anchors", self.anchors]
        return [sys.executable, HERE / "folder_torch.py", pictures, out, *chosen,
                "--batch", self.batch, "--threads", a.threads, "--loaders", a.loaders]  # fmt: skip


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="DIR|builtin", help="model folder (open_clip's form), or the built-in model")
    parser.add_argument("--method", choices=PROMPTS, help="[default: aa-clip for the built-in model, else sdp]")
    parser.add_argument("--size", type=int, help="side of the model's square in pixels [default: the model's own]")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--form", choices=("jpg", "png"), default="jpg", help="of the pictures; decoders of JPEG differ a little")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", default="1,8", help="batch sizes of the PyTorch script; its best one counts")
    parser.add_argument("--loaders", type=int, default=2, help="processes of its DataLoader")
    parser.add_argument("--binary", default=str(common.ROOT / "target/release/aaclip"))
    parser.add_argument("--extra", default="", help="further options of `aaclip detect`, in quotes")
    args = parser.parse_args()
    builtin = args.model == "builtin"
    args.method = args.method or ("aa-clip" if builtin else "sdp")
    if builtin and args.method == "sdp" or not builtin and args.method == "aa-clip":
        parser.error("sdp is for a model folder, aa-clip for the built-in model")
    config = common.vision_config(common.ROOT / "weights/builtin" if builtin else args.model)
    args.size = args.size or config["image_size"]
    return args


def main():
    args = arguments()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        pictures, anchors = work / "pictures", work / "anchors.npy"
        draw(pictures, args.pictures, args.form)
        encode = [sys.executable, HERE / "anchors.py", args.model, PROMPTS[args.method], anchors]
        run(encode, args.threads, work / "encode.log")
        ours = Ours(args)
        contestants = [ours, *(Theirs(args, anchors, int(b)) for b in args.batch.split(","))]
        # Our anchors go to their cache, and both sides' files to the system's.
        run(ours.command(pictures / f"0000.{args.form}", work / "first"), args.threads, work / "first.log")
        seconds, start_up, found = {c.name: [] for c in contestants}, {}, {}
        for n in range(args.rounds):
            for c in contestants:
                print(f"  round {n + 1}: {c.name}", file=sys.stderr, flush=True)
                out, results = work / f"out {n} {c.name}", work / "results.jsonl"
                took = run(c.command(pictures, out), args.threads, results)
                heatmaps = len(list(out.rglob("*.heatmap.png")))
                found[c.name] = scores(results)
                if not heatmaps == len(found[c.name]) == args.pictures:
                    sys.exit(f"{c.name}: {heatmaps} heatmaps and {len(found[c.name])} results of {args.pictures} pictures")
                if not seconds[c.name] or took < min(seconds[c.name]):
                    times = out / "times.json"
                    start_up[c.name] = json.loads(times.read_text())["start_up"] if times.exists() else None
                seconds[c.name].append(took)
    report(args, seconds, start_up, found)


def report(args, seconds, start_up, found):
    print(f"{args.model}, {args.method}: {args.pictures} pictures, {args.size} px, {args.threads} threads, {args.rounds} rounds")
    for name, times in seconds.items():
        rate = args.pictures / min(times)
        start = f", {start_up[name]:.1f} s of it start-up" if start_up[name] is not None else ""
        print(f"{name:18} best {min(times):7.2f} s, median {statistics.median(times):7.2f} s, {rate:7.2f} images/s{start}")
    ours = min(seconds.pop("aaclip"))
    best = min(seconds, key=lambda name: min(seconds[name]))
    names = sorted(found["aaclip"])
    a, b = ([found[side][n] for n in names] for side in ("aaclip", best))
    far = max(abs(x - y) for x, y in zip(a, b))
    alike = float(np.corrcoef(a, b)[0, 1])
    ratio = min(seconds[best]) / ours
    verdict = "met" if ratio >= WANTED else f"MISSED by {100 * (1 - ratio / WANTED):.0f} %"
    verdict = verdict if alike >= ALIKE else "NOT COMPARABLE"
    print(f"{verdict:16} aaclip does {ratio:.2f} x the images/s of {best}, at least {WANTED:.2f}")
    loop = min(min(times) - start_up[name] for name, times in seconds.items())
    print(f"{'':16} against PyTorch without its start-up (ours counted): {loop / ours:.2f} x")
    print(f"{'':16} scores: correlation {alike:.5f}, largest difference {far:.1e}, from {min(a):.3f} to {max(a):.3f}")


if __name__ == "__main__":
    main()
