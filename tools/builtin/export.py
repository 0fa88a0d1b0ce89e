"""Writes the model folder: open_clip_config.json, open_clip_model.safetensors (f32), tokenizer.json."""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from model import CONFIG


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--vision", default="target/builtin/vision.pt")
    a.add_argument("--text", default="target/builtin/text.pt")
    a.add_argument("--tokenizer", default="target/builtin/tokenizer.json")
    a.add_argument("--out", default="target/builtin/model")
    a = a.parse_args()
    out = Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    learnt = torch.load(a.vision)
    tensors = {"visual." + k.removeprefix("tower."): v for k, v in learnt.items() if k.startswith("tower.")}
    tensors |= torch.load(a.text)
    # ln(100), CLIP's usual value; neither method reads it.
    tensors["logit_scale"] = torch.tensor(4.6052)
    save_file({k: v.detach().float().contiguous() for k, v in sorted(tensors.items())}, out / "open_clip_model.safetensors")
    (out / "open_clip_config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    if Path(a.tokenizer).resolve() != (out / "tokenizer.json").resolve():
        shutil.copy(a.tokenizer, out / "tokenizer.json")
    print(f"{sum(v.numel() for v in tensors.values()):,} parameters in {out}")


if __name__ == "__main__":
    main()
