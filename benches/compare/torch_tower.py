#!/usr/bin/env python3
"""Times CLIP-AD's dual path of one picture in PyTorch and in aaclip, interleaved in one run, and prints the ratio.

    pip install torch open_clip_torch safetensors pillow
    cargo build --release
    python tests/reference/full_size.py --model ViT-L-14-336 --size 518 DIR
    python benches/compare/torch_tower.py DIR [--rounds 3] [--threads N]

DIR is a model folder that full_size.py made. PyTorch runs eagerly in f32, the way the official code does
(nn.MultiheadAttention for the ordinary path, plain matrix products for the V-V path).
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

import open_clip
import torch
from PIL import Image
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "reference"))
from dual_path import dual_path  # noqa: E402


def torch_model(folder):
    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    images = load_file(folder / "expected.safetensors.data")["images"]
    config["vision_cfg"]["image_size"] = images.shape[-1]
    model = open_clip.CLIP(**config).eval()
    state = load_file(folder / "open_clip_model.safetensors")
    open_clip.model.resize_pos_embed(state, model, antialias=True)
    model.load_state_dict(state, strict=False)
    return model.visual, images


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--binary", default=str(ROOT / "target/release/aaclip"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    visual, images = torch_model(args.dir)
    layers, size = len(visual.transformer.resblocks), images.shape[-1]
    levels = [layers * k // 4 for k in (1, 2, 3, 4)]
    ours, theirs, memory = [], [], ""
    with tempfile.TemporaryDirectory() as folder:
        picture = os.path.join(folder, "picture.png")
        Image.effect_noise((640, 480), 60).convert("RGB").save(picture)
        # Three pictures a round: the first one of a process warms it up.
        command = [args.binary, "detect", *[picture] * 3, "--model", str(args.dir), "--image-size", str(size)]
        environment = dict(os.environ, RAYON_NUM_THREADS=str(args.threads))
        for _ in range(args.rounds):
            run = subprocess.run([*command, "--format", "jsonl", "--verbose"], capture_output=True, text=True, env=environment)
            if run.returncode:
                sys.exit(run.stderr)
            ours += [json.loads(line)["timing_ms"]["model"] / 1000 for line in run.stdout.splitlines()]
            memory = run.stderr.strip()
            start = time.perf_counter()
            dual_path(visual, images, levels)
            theirs.append(time.perf_counter() - start)
    for name, times in (("aaclip", ours), ("PyTorch", theirs)):
        print(f"{name:8} best {min(times):.3f} s, median {statistics.median(times):.3f} s of {len(times)}")
    print(f"aaclip takes {min(ours) / min(theirs):.2f} x PyTorch's time (best of each; PyTorch {torch.__version__}, {args.threads} threads)")
    print(memory)


if __name__ == "__main__":
    main()
