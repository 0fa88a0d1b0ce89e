"""The projections the image tower was trained with, as AA-CLIP's adapters: the start for `aaclip train --init`."""

import argparse

import torch
from safetensors.torch import save_file


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--vision", default="target/builtin/vision.pt", help="what train_vision.py wrote")
    a.add_argument("--out", default="target/builtin/first.safetensors")
    a = a.parse_args()
    state = torch.load(a.vision, weights_only=False)
    levels = [state[f"level_proj.{i}"] for i in range(3)] + [state["tower.proj"]]
    out = {f"image_adapter.seg_proj.{i}.fc.weight": p.T.contiguous().float() for i, p in enumerate(levels)}
    out["image_adapter.det_proj.fc.weight"] = state["det_proj"].T.contiguous().float()
    save_file(out, a.out, metadata={"method": "aa-clip", "levels": "3,6,9,12", "image_size": "320"})


if __name__ == "__main__":
    main()
