"""Parts that repeat themselves around their middle: strong edges that are not damage. A tower that has seen few such
takes the structure of every new part for a fault."""

import cv2
import numpy as np

from noise import blend, colour, fractal
from shapes import background, blob, box, bulge, cast_shadow, disc, material, place


def turned(rng, side, centre):
    """The rays of light on turned metal: factors [side, side, 1] around 1, the same on opposite sides."""
    axis = np.arange(side, dtype=np.float32)
    x, y = np.meshgrid(axis - centre[0], axis - centre[1])
    angle = np.arctan2(y, x)
    rays = sum(rng.uniform(0.2, 1) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in (2, 4, int(rng.integers(5, 9))))
    grooves = 0.1 * np.sin(np.sqrt(x * x + y * y) * rng.uniform(0.8, 2.5))
    return np.clip(1 + rng.uniform(0.1, 0.4) * rays + grooves, 0.2, 1.9).astype(np.float32)[..., None]


def element(rng, side, radius):
    """A random small shape in the middle of a layer, drawn once and then repeated."""
    middle = np.array([side / 2, side / 2])
    form = rng.integers(0, 4)
    if form == 0:
        return disc(side, middle, radius)
    if form == 1:
        return box(side, middle, radius * rng.uniform(0.3, 1.2, 2), rng.choice([0, np.pi / 4]), rng.uniform(0, 0.8))
    if form == 2:
        return np.clip(disc(side, middle, radius) - disc(side, middle, radius * rng.uniform(0.4, 0.8)), 0, 1)
    return blob(rng, side, middle, radius, rng.uniform(0.1, 0.4), rng.uniform(0.4, 1))


def rosette(rng, side, faulty):
    """A wheel, flange, burner, cap or emblem. Fault: one of the repeated elements missing, moved, turned or filled."""
    centre = side / 2 + rng.normal(0, side * 0.03, 2)
    radius = side * rng.uniform(0.26, 0.46)
    fold = int(rng.integers(2, 13))
    start = rng.uniform(0, 6.3)
    mask = disc(side, centre, radius) if rng.random() < 0.6 else box(side, centre, (radius, radius * rng.uniform(0.6, 1)), rng.uniform(0, 1.6), 0.3)
    picture = cast_shadow(rng, background(rng, side), mask)
    paint = material(rng, side, colour(rng, 0.25, 0.95, rng.beta(1, 5)))
    shade = turned(rng, side, centre) if rng.random() < 0.4 else bulge(rng, mask, radius * rng.uniform(0.05, 0.5))
    picture = place(picture, paint, mask, shade)
    layers = int(rng.integers(1, 4))
    broken = int(rng.integers(0, layers)) if faulty else -1
    fault = None
    for layer in range(layers):
        far = radius * rng.uniform(0.25, 0.85)
        size = min(far * np.sin(np.pi / max(fold, 2)) * rng.uniform(0.4, 0.95), radius * 0.3)
        stamp = element(rng, side, size)
        turns = rng.choice([1.0, 0.0])
        hollow, other = rng.random() < 0.5, material(rng, side)
        dark, lamp = rng.uniform(0.1, 0.6), int(rng.integers(0, 2**31))
        spare = int(rng.integers(0, fold)) if layer == broken else -1
        for k in range(fold):
            angle = start + 6.2832 * k / fold
            where = centre + far * np.array([np.cos(angle), np.sin(angle)])

            def put(away, turn, scale):
                move = cv2.getRotationMatrix2D((side / 2, side / 2), -np.degrees(angle * turns + turn), scale)
                move[:, 2] += where + away - side / 2
                return cv2.warpAffine(stamp, move, (side, side), flags=cv2.INTER_LINEAR) * mask

            here = put(np.zeros(2), 0.0, 1.0)
            if k == spare:
                fault = here
                if rng.random() < 0.4:
                    continue
                here = put(rng.normal(0, size * 0.5, 2), rng.uniform(0.4, 1.2), rng.uniform(0.6, 1.3))
                fault = np.maximum(fault, here)
            same = np.random.default_rng(lamp)
            picture = blend(picture, picture * dark, here) if hollow else place(picture, other, here, bulge(same, here, size * 0.4))
    if rng.random() < 0.5:
        hole = disc(side, centre, radius * rng.uniform(0.08, 0.4))
        picture = blend(picture, picture * rng.uniform(0.05, 0.5), hole)
    if rng.random() < 0.3:
        haze = fractal(rng, side, rng.uniform(2, 8), 2)[..., None]
        picture = picture * (1 + rng.uniform(0, 0.3) * (haze - 0.5))
    return picture, mask, fault
