"""Real pictures of ../shared/data: good ones, and damaged ones with masks (image labels only for aliens)."""

from pathlib import Path

import cv2
import numpy as np

import noise  # noqa: F401  (sets OpenCV's threads)

# The object in the pictures, as in a prompt; whether the part fills the picture.
KINDS = {
    "ballscrew": ("ball screw", True),
    "cookies": ("cookie", False),
    "aliens": ("plastic toy alien", False),
    "hazelnut-toy": ("hazelnut", False),
    "deeppcb": ("printed circuit board", True),
}


def read(path, grey=False):
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(path)
    return picture if grey else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def pcb_mask(root, name, picture):
    """The pixels in the boxes that differ from the template: closer to the defect than the boxes themselves."""
    template = read(root / "good" / f"{name}.jpg")
    differs = np.abs(picture.astype(np.int32) - template).max(2) > 90
    mask = np.zeros(picture.shape[:2], np.uint8)
    for line in (root / "boxes" / f"{name}.txt").read_text().splitlines():
        x0, y0, x1, y1 = (int(v) for v in line.split()[:4])
        mask[y0:y1, x0:x1] = differs[y0:y1, x0:x1]
    return cv2.dilate(mask * 255, np.ones((7, 7), np.uint8))


class RealPictures:
    """All pictures in memory, split by name: every fifth of each folder is kept for validation."""

    def __init__(self, root, kinds=KINDS, part="train"):
        self.good, self.bad = {}, {}
        for kind in kinds:
            folder = Path(root) / kind
            chosen = lambda paths: [p for i, p in enumerate(sorted(paths)) if (i % 5 == 4) == (part == "val")]
            self.good[kind] = [read(p) for p in chosen((folder / "good").glob("*.jpg"))]
            self.bad[kind] = []
            for path in chosen((folder / "defect").glob("*.jpg")):
                picture = read(path)
                if kind == "deeppcb":
                    mask = pcb_mask(folder, path.stem, picture)
                elif (folder / "masks").is_dir():
                    mask = (read(folder / "masks" / f"{path.stem}.png", True) > 0).astype(np.uint8) * 255
                else:
                    mask = None
                self.bad[kind].append((picture, mask))

    def pick(self, rng, damaged, masks_only=True):
        source = self.bad if damaged else self.good
        kinds = [k for k in source if source[k] and not (damaged and masks_only and k == "aliens")]
        # Kinds with many pictures more often, but not in proportion.
        weights = np.sqrt([len(source[k]) for k in kinds])
        kind = str(rng.choice(kinds, p=weights / weights.sum()))
        item = source[kind][int(rng.integers(0, len(source[kind])))]
        return (item if damaged else (item, None)) + (kind,)


def view(rng, picture, mask, side, crop=True):
    """A turned, mirrored, stretched, sometimes cropped square view."""
    h, w = picture.shape[:2]
    if crop and rng.random() < 0.6:
        share = rng.uniform(0.5, 1.0)
        ch, cw = int(h * share), int(w * share)
        y, x = int(rng.integers(0, h - ch + 1)), int(rng.integers(0, w - cw + 1))
        if mask is not None and mask.any() and not mask[y : y + ch, x : x + cw].any():
            y = x = 0
            ch, cw = h, w
        picture = picture[y : y + ch, x : x + cw]
        mask = None if mask is None else mask[y : y + ch, x : x + cw]
    turn, flip = int(rng.integers(0, 4)), rng.random() < 0.5
    out = []
    for layer, how in ((picture, cv2.INTER_AREA), (mask, cv2.INTER_AREA)):
        if layer is None:
            out.append(np.zeros((side, side), np.float32))
            continue
        layer = np.rot90(layer, turn)
        layer = np.ascontiguousarray(layer[:, ::-1] if flip else layer)
        out.append(cv2.resize(layer, (side, side), interpolation=how).astype(np.float32) / 255)
    return out[0], (out[1] > 0.3).astype(np.float32)


def inside(picture, fills):
    """The position of the part: pixels that differ from the picture's border."""
    side = picture.shape[0]
    if fills:
        return np.ones((side, side), np.float32)
    border = np.concatenate([picture[:8].reshape(-1, 3), picture[-8:].reshape(-1, 3)])
    distance = np.abs(picture - np.median(border, 0)).max(2)
    grey = (np.clip(distance * 2, 0, 1) * 255).astype(np.uint8)
    _, found = cv2.threshold(cv2.GaussianBlur(grey, (0, 0), 2), 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    if not 0.02 < found.mean() < 0.9:
        return np.ones((side, side), np.float32)
    return found.astype(np.float32)
