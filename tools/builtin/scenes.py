"""One training picture: its object, whether it is damaged, and where."""

from dataclasses import dataclass

import cv2
import numpy as np

import real
from defects import damage
from parts import part
from photograph import photograph
from shapes import lettering
from textures import surface


@dataclass
class Scene:
    picture: np.ndarray  # uint8 [side, side, 3]
    mask: np.ndarray  # float32 [side, side], 0 or 1
    name: str  # the object in the picture


def flip(rng, picture, mask):
    turn = int(rng.integers(0, 4))
    picture, mask = np.rot90(picture, turn), np.rot90(mask, turn)
    if rng.random() < 0.5:
        picture, mask = picture[:, ::-1], mask[:, ::-1]
    return np.ascontiguousarray(picture), np.ascontiguousarray(mask)


def zoom(rng, picture, inside, fault):
    """A camera a little nearer or turned; the border is repeated."""
    side = picture.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.normal(0, 12), rng.uniform(0.9, 1.25))
    move = lambda layer: cv2.warpAffine(layer, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return move(picture), move(inside), None if fault is None else move(fault)


def scene(rng, side, pictures=None, real_share=0.4):
    """Half of the scenes are damaged. `pictures`: RealPictures or None."""
    damaged = rng.random() < 0.5
    empty = np.zeros((side, side), np.float32)
    if pictures is not None and rng.random() < real_share:
        if damaged and rng.random() < 0.5:
            picture, mask, kind = pictures.pick(rng, True)
            picture, mask = real.view(rng, picture, mask, side)
            return Scene(photograph(rng, picture, gentle=True), mask, real.KINDS[kind][0])
        picture, _, kind = pictures.pick(rng, False)
        name, fills = real.KINDS[kind]
        picture, mask = real.view(rng, picture, None, side)
        inside, fault = real.inside(picture, fills), None
        gentle = rng.random() < 0.5
    else:
        gentle = False
        if rng.random() < 0.4:
            picture, name = surface(rng, side)
            inside, fault = np.ones((side, side), np.float32), None
            if rng.random() < 0.1:
                picture = np.clip(lettering(rng, picture, inside), 0, 1).astype(np.float32)
        else:
            picture, inside, fault, name = part(rng, side, damaged and rng.random() < 0.6)
            if rng.random() < 0.5:
                picture, inside, fault = zoom(rng, picture, inside, fault)
            picture, inside = np.clip(picture, 0, 1), inside
    if not damaged:
        mask = empty
    elif fault is not None and (fault > 0.4).sum() > 12:
        mask = cv2.dilate((fault > 0.4).astype(np.float32), np.ones((3, 3), np.uint8))
    else:
        done = damage(rng, picture.astype(np.float32), inside)
        picture, mask = done if done is not None else (picture, empty)
    picture, mask = flip(rng, picture, mask)
    return Scene(photograph(rng, picture, gentle), mask, name)


__all__ = ["Scene", "scene"]
