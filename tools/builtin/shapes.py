"""Outlines and paint: the components of procedural parts."""

import cv2
import numpy as np

from noise import blend, colour, coordinates, fractal, nearby, normalise, relief, smooth
from textures import surface


def polygon(side, points):
    mask = np.zeros((side, side), np.float32)
    cv2.fillPoly(mask, [np.round(np.asarray(points) * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    return mask


def blob(rng, side, centre, radius, roughness=0.15, aspect=1.0):
    """A closed random outline from a few Fourier terms."""
    t = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    r = np.ones_like(t)
    for k in range(2, 7):
        r += roughness * rng.normal() / k * np.cos(k * t + rng.uniform(0, 6.3))
    turn = rng.uniform(0, np.pi)
    x, y = radius * r * np.cos(t), radius * r * np.sin(t) * aspect
    points = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1)
    return polygon(side, points + np.asarray(centre))


def gear(rng, side, centre, radius, teeth, depth, turn):
    """A regular polygon (depth 0) or a wheel with square notches."""
    if depth == 0:
        t = turn + np.arange(teeth) * 2 * np.pi / teeth
        r = np.full(teeth, radius)
    else:
        t = turn + np.linspace(0, 2 * np.pi, 720, endpoint=False)
        r = radius * np.where(np.sin(teeth * (t - turn)) > rng.uniform(-0.6, 0.6), 1.0, 1 - depth)
    return polygon(side, np.stack([np.cos(t) * r, np.sin(t) * r], 1) + np.asarray(centre))


def box(side, centre, size, turn=0.0, round_by=0.0):
    """A rectangle of half-sizes `size`, its corners rounded by a share of the shorter side."""
    mask = np.zeros((side, side), np.float32)
    reach = np.hypot(*size) + 2
    (x0, y0), (x1, y1) = (np.clip(np.asarray(centre) + d, 0, side).astype(int) for d in (-reach, reach + 1))
    if x0 >= x1 or y0 >= y1:
        return mask
    axis = np.arange(side, dtype=np.float32)
    x, y = np.meshgrid(axis[x0:x1] - np.float32(centre[0]), axis[y0:y1] - np.float32(centre[1]))
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u, v = np.abs(c * x + s * y), np.abs(-s * x + c * y)
    r = round_by * min(size)
    u, v = u - np.float32(size[0] - r), v - np.float32(size[1] - r)
    distance = np.sqrt(np.maximum(u, 0) ** 2 + np.maximum(v, 0) ** 2) + np.minimum(np.maximum(u, v), 0)
    mask[y0:y1, x0:x1] = np.clip(0.5 + r - distance, 0, 1)
    return mask


def disc(side, centre, radius):
    return box(side, centre, (radius, radius), 0, 1)


def mirrored(rng, mask, depth):
    """Bands of light and dark that follow the outline, as a polished body shows: factors [side, side, 1] around 1."""
    side = mask.shape[0]
    distance = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    height = smooth(np.minimum(distance / (depth + 1e-6), 1.0).astype(np.float32), rng.uniform(0.6, 3))
    dy, dx = np.gradient(height)
    around = np.arctan2(dy, dx) * int(rng.integers(1, 4)) + rng.uniform(0, 6.3)
    slope = np.sqrt(dx * dx + dy * dy)
    slope = slope / (slope.max() + 1e-6)
    waves = rng.uniform(1, 4) * height * 6.2832 + rng.uniform(0, 1.5) * np.sin(around) * (0.3 + slope)
    shade = 1 + rng.uniform(0.15, 0.75) * np.tanh(rng.uniform(1, 4) * np.sin(waves + rng.uniform(0, 6.3)))
    return shade.astype(np.float32)[..., None]


def bulge(rng, mask, depth):
    """Shading of a rounded body with this outline."""
    side = mask.shape[0]
    x, y, w, h = cv2.boundingRect((mask > 0.02).astype(np.uint8))
    shade = np.ones((side, side, 1), np.float32)
    if w == 0:
        return shade
    if rng.random() < 0.2:
        return mirrored(rng, mask, max(depth, 4) * rng.uniform(0.7, 2))
    x0, y0, x1, y1 = max(x - 4, 0), max(y - 4, 0), min(x + w + 4, side), min(y + h + 4, side)
    distance = cv2.distanceTransform((mask[y0:y1, x0:x1] > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    near = np.minimum(distance / (depth + 1e-6), 1.0)
    height = np.sqrt(near * (2 - near)).astype(np.float32)
    shade[y0:y1, x0:x1] = relief(smooth(height, max(1.0, depth / 8)), rng, rng.uniform(0.3, 1.6))
    return shade


def material(rng, side, base=None):
    """Paint for a part: a colour with some structure, sometimes one of the surfaces."""
    kind = rng.random()
    if kind < 0.25:
        return surface(rng, side)[0]
    base = colour(rng, 0.08, 1.0) if base is None else base
    amount = rng.choice([0.03, 0.1, 0.3])
    field = fractal(rng, side, rng.uniform(3, 60), 3, 0.6)[..., None]
    return np.clip(base * (1 + amount * (field - 0.5) * 2), 0, 1).astype(np.float32)


def background(rng, side):
    """Mostly plain and black, white or grey; sometimes a table with structure."""
    kind = rng.random()
    if kind < 0.7:
        level = rng.choice([rng.uniform(0, 0.12), rng.uniform(0.85, 1), rng.uniform(0.2, 0.85)])
        base = np.clip(level + rng.normal(0, 0.02, 3), 0, 1)
        if rng.random() < 0.2:
            base = colour(rng)
        u, _ = coordinates(rng, side)
        picture = base * (1 + rng.uniform(0, 0.3) * u[..., None])
        return np.clip(picture + rng.uniform(0, 0.05) * (fractal(rng, side, 80, 2) - 0.5)[..., None], 0, 1).astype(np.float32)
    return surface(rng, side)[0]


def highlight(rng, side, mask):
    """Light reflected by a glossy part: harmless, so good parts have it too."""
    shine = np.zeros((side, side), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        ys, xs = np.nonzero(mask > 0.5)
        if len(ys) == 0:
            break
        i = int(rng.integers(0, len(ys)))
        axes = (int(rng.uniform(2, side / 10)), int(rng.uniform(2, side / 30)))
        cv2.ellipse(shine, (int(xs[i]), int(ys[i])), axes, rng.uniform(0, 180), 0, 360, 1.0, -1, cv2.LINE_AA)
    return smooth(shine, rng.uniform(1, 5)) * mask * rng.uniform(0.2, 0.8)


def lettering(rng, picture, mask, lines=None):
    """A legitimate print: letters, a logo or a line, somewhere near the middle of the part."""
    ys, xs = np.nonzero(mask > 0.5)
    if len(ys) < 400:
        return picture
    side = picture.shape[0]
    ink = np.zeros((side, side), np.uint8)
    text = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUVXYZ0123456789-"), int(rng.integers(1, 7))))
    size = rng.uniform(0.4, 1.2) * np.sqrt(len(ys)) / 110
    thick = int(max(1, size * rng.uniform(1, 3)))
    font = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
    (w, h), _ = cv2.getTextSize(text, font, size, thick)
    x, y = int(xs.mean() - w / 2 + rng.normal(0, 4)), int(ys.mean() + h / 2 + rng.normal(0, 6))
    cv2.putText(ink, text, (x, y), font, size, 255, thick, cv2.LINE_AA)
    ink = ink.astype(np.float32) / 255
    if rng.random() < 0.6:
        turn = cv2.getRotationMatrix2D((float(xs.mean()), float(ys.mean())), rng.uniform(0, 360), 1)
        ink = cv2.warpAffine(ink, turn, (side, side))
    ink = ink * mask
    if rng.random() < 0.4:
        return picture * relief(smooth(ink, 0.8), rng, rng.uniform(0.3, 1.0))
    return blend(picture, colour(rng), ink * rng.uniform(0.5, 1))


def place(picture, paint, mask, shade=1.0):
    """Lays a painted part on the picture."""
    x, y, w, h = cv2.boundingRect((mask > 0).astype(np.uint8))
    here = np.s_[y : y + h, x : x + w]
    out = picture.copy()
    lit = paint[here] * (shade if np.isscalar(shade) else shade[here])
    out[here] = blend(picture[here], np.clip(lit, 0, 1), mask[here])
    return out


def cast_shadow(rng, picture, mask):
    if rng.random() < 0.5:
        return picture
    move = np.float32([[1, 0, rng.normal(0, 6)], [0, 1, rng.normal(0, 6)]])
    shadow = smooth(cv2.warpAffine(mask, move, mask.shape[::-1]), rng.uniform(2, 9))
    return picture * (1 - rng.uniform(0.1, 0.6) * shadow[..., None])


__all__ = [
    "background", "blob", "box", "bulge", "cast_shadow", "disc", "gear", "highlight", "lettering", "material",
    "nearby", "normalise", "place", "polygon",
]
