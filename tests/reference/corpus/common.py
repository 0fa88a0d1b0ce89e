"""What the kinds share: the scene, the rule for wide samples, the manifest."""

import hashlib
import io
import json
import struct

import numpy as np

SIZES = [(61, 47), (64, 48), (33, 70)]


def scene(width, height, seed=0):
    """Edges, gradients and noise: `[H, W, 3]` of 0..1."""
    rng = np.random.default_rng([seed, width, height])
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x / max(width - 1, 1), y / max(height - 1, 1), (7 * x + 5 * y) % 97 / 96], -1)
    rgb[(x // 9 + y // 7) % 3 == 0] = [0.86, 0.16, 0.12]
    return np.clip(rgb + rng.normal(0, 0.03, rgb.shape), 0, 1)


def eight(values):
    return np.round(values * 255).astype(np.uint8)


def grey_of(values):
    return values @ [0.299, 0.587, 0.114]


def rounded(values, low, high):
    """The rule for wide samples: `low` is black, `high` is white."""
    return np.clip(np.round((values.astype(np.float64) - low) / (high - low) * 255), 0, 255).astype(np.uint8)


class Corpus:
    def __init__(self, folder):
        self.folder, self.entries = folder, {}
        (folder / "truth").mkdir(parents=True, exist_ok=True)

    def add(self, kind, name, data, truth=None, tolerance=0, damaged=False):
        """`truth`: `[H, W]` or `[H, W, 3]`, Pillow's pixels if there is none. `damaged`: to be refused or warned of."""
        if not data:
            return
        self.folder.joinpath(name).write_bytes(data)
        entry = {"kind": kind}
        if damaged:
            entry["damaged"] = True
        elif truth is None:
            truth = pillow(data)
        if truth is not None:
            truth = np.ascontiguousarray(
                np.repeat(
                    truth.reshape(*truth.shape[:2], -1), 3 if truth.size == truth.shape[0] * truth.shape[1] else 1, -1
                )
            )
            entry |= {"width": truth.shape[1], "height": truth.shape[0], "tolerance": tolerance}
            entry["sha256"] = hashlib.sha256(truth.tobytes()).hexdigest()
            if tolerance:
                self.folder.joinpath("truth", name + ".rgb").write_bytes(truth.tobytes())
        self.entries[name] = entry

    def close(self):
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(self.entries.items()))
        self.folder.joinpath("manifest.json").write_text("{\n" + lines + "\n}\n")


def pillow(data):
    """Pillow's picture, upright, as RGB; `None` if it refuses."""
    from PIL import Image, ImageOps

    try:
        return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    except Exception:
        return None


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def exif(orientation, order=">"):
    mark = b"MM\0*" if order == ">" else b"II*\0"
    entry = struct.pack(order + "HHIHH", 0x112, 3, 1, orientation, 0)
    return mark + struct.pack(order + "IH", 8, 1) + entry + b"\0\0\0\0"


def bounds(values):
    """Black and white of unsigned samples: the largest value rounded up to the next of 10, 12, .. bits."""
    return 0, 2 ** next(bits for bits in range(10, 34, 2) if values.max() < 2**bits) - 1
