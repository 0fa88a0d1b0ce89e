#!/usr/bin/env python3
"""Makes tests/data/images: one tiny picture per format and pixel mode, and Pillow's result for each.

    pip install 'pillow<13' numpy
    python tests/reference/make_image_fixtures.py tests/data/images

`modes.json` holds, per file, Pillow's mode, the picture as RGB, and CLIP-AD's chain to 7 x 7 (resize in the file's
own mode, then RGB). Pillow 13 may run the vertical pass first and then differs by a level; the golden data and this
program have the horizontal pass first, as all versions before.
"""

import json
import pathlib
import sys

import numpy as np
from PIL import Image

WIDTH, HEIGHT, SIZE = 12, 9, 7


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    smooth = np.stack([x * 20, y * 25, 255 - x * 10], -1).astype(np.uint8)
    rgb, rgba = Image.fromarray(noise[..., :3]), Image.fromarray(noise, "RGBA")
    grey = rgb.convert("L")
    palette = rgb.quantize(16)
    ramp = grey.convert("P")
    ramp.putpalette([v for i in range(256) for v in (i, i, i)])
    bilevel = grey.convert("1")
    save = {
        "rgb.png": rgb, "rgba.png": rgba, "grey.png": grey, "grey_alpha.png": rgba.convert("LA"),
        "palette.png": palette, "bilevel.png": bilevel, "rgb.bmp": rgb, "palette.bmp": palette, "grey.bmp": grey,
        "bilevel.bmp": bilevel, "palette.gif": palette, "grey.gif": ramp, "rgb.tif": rgb, "grey.tif": grey,
        "rgba.tif": rgba,
    }
    for name, image in save.items():
        image.save(out / name)
    palette.save(out / "palette_transparent.png", transparency=3)
    grey.save(out / "grey_transparent.png", transparency=int(noise[0, 0, 0]))
    rgb.save(out / "rgb_transparent.png", transparency=tuple(int(v) for v in noise[0, 0, :3]))
    rgb.save(out / "lossless.webp", lossless=True)
    Image.fromarray(smooth).save(out / "rgb.jpg", quality=95, subsampling=0)
    Image.fromarray(smooth).convert("L").save(out / "grey.jpg", quality=95)
    expected = {}
    for path in sorted(out.iterdir()):
        if path.suffix == ".json":
            continue
        image = Image.open(path)
        small = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC).convert("RGB")
        expected[path.name] = {
            "mode": image.mode,
            "rgb": np.asarray(image.convert("RGB")).ravel().tolist(),
            "clipad": np.asarray(small).ravel().tolist(),
        }
    # One file per line keeps differences readable.
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in expected.items())
    (out / "modes.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
