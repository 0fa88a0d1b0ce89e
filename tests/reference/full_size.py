#!/usr/bin/env python3
"""Full-size check against PyTorch: writes a model with formula weights and PyTorch's results for it.

    pip install torch open_clip_torch safetensors
    python tests/reference/full_size.py --model ViT-L-14-336 --size 518 DIR
    AACLIP_FULL_SIZE=DIR cargo test --release --test golden full_size -- --nocapture

The tower itself is open_clip's; the V-V path on it is `dual_path.py`. Nothing is downloaded.
"""

import argparse
import json
import pathlib

import open_clip
import torch
from open_clip.model import resize_pos_embed
from safetensors.torch import save_file

from dual_path import dual_path, fill, hashed

SENTENCES = ["a photo of a flawless bottle.", "a blurry photo of the metal_nut with contamination.", "x"]


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="ViT-B-16-plus-240")
    parser.add_argument("--size", type=int, required=True, help="input size in pixels")
    parser.add_argument("dir", type=pathlib.Path)
    args = parser.parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    config = open_clip.get_model_config(args.model)
    native = fill(open_clip.create_model(args.model, pretrained=None))
    state = {k: v.clone().contiguous() for k, v in native.state_dict().items() if k != "attn_mask"}
    save_file(state, args.dir / "open_clip_model.safetensors")
    (args.dir / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}, indent=1))

    model = open_clip.create_model(args.model, pretrained=None, force_image_size=args.size)
    resize_pos_embed(state, model, antialias=True)
    model.load_state_dict(state, strict=False)
    model.eval()
    layers = len(model.visual.transformer.resblocks)
    levels = [layers * k // 4 for k in (1, 2, 3, 4)]
    images = (hashed(3 * args.size**2, 99) * 4).reshape(1, 3, args.size, args.size)
    # Smooth the noise a little: real pictures are not white noise.
    images = torch.nn.functional.avg_pool2d(images, 9, 1, 4) * 4

    expected = {"images": images}
    seen = {}
    for i, block in enumerate(model.visual.transformer.resblocks):
        block.register_forward_hook(lambda _m, _i, out, i=i: seen.__setitem__(i + 1, out))
    expected["pooled"] = model.encode_image(images)
    for level in levels:
        expected[f"tokens.level{level}"] = seen[level].clone()
    for level, (original, surgery) in dual_path(model.visual, images, levels).items():
        expected[f"original.level{level}"] = original
        expected[f"surgery.level{level}"] = surgery
    expected["text"] = model.encode_text(open_clip.get_tokenizer(args.model)(SENTENCES))
    save_file({k: v.contiguous() for k, v in expected.items()}, args.dir / "expected.safetensors.data")
    (args.dir / "sentences.json").write_text(json.dumps(SENTENCES))
    print(f"wrote {args.dir}: levels {levels}")


if __name__ == "__main__":
    main()
