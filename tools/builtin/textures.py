"""Procedural surfaces. Each function: (rng, side) -> picture. `surface` picks one and returns its name too."""

import cv2
import numpy as np

from noise import blend, colour, coordinates, fractal, nearby, normalise, ramp, relief, smooth


def plain(rng, side):
    base = colour(rng, 0.05, 1.0)
    picture = ramp(fractal(rng, side, rng.uniform(1, 3), 1), base, nearby(rng, base, 0.03))
    return picture + rng.uniform(0, 0.04) * (fractal(rng, side, side / 3, 1) - 0.5)[..., None]


def clouds(rng, side):
    base = colour(rng, 0.1, 0.9)
    field = fractal(rng, side, rng.uniform(3, 60), int(rng.integers(2, 5)), rng.uniform(0.4, 0.8))
    return ramp(field, base, nearby(rng, base, rng.uniform(0.05, 0.3)), nearby(rng, base, 0.15))


def brushed(rng, side):
    thin = rng.uniform(0.5, 4)
    field = fractal(rng, side * 3 // 2, 20, 3, 0.7, (10.0, thin / 10))
    turn = cv2.getRotationMatrix2D((side * 0.75, side * 0.75), rng.uniform(0, 180), 1)
    field = cv2.warpAffine(field, turn, (side * 3 // 2,) * 2, borderMode=cv2.BORDER_REFLECT)
    field = field[side // 4 : side // 4 + side, side // 4 : side // 4 + side]
    base = colour(rng, 0.2, 0.85, rng.beta(1, 6))
    return ramp(field, base, nearby(rng, base * rng.uniform(0.6, 0.95), 0.03), base)


def weave(rng, side):
    n = rng.uniform(14, 60)
    u, v = coordinates(rng, side, rng.uniform(0, 0.05))
    u, v = u * n, v * n
    over = (np.floor(u) + np.floor(v)) % rng.choice([2, 2, 3]) < 1
    ridge = np.where(over, np.abs(np.sin(np.pi * u)), np.abs(np.sin(np.pi * v)))
    base = colour(rng, 0.15, 0.95)
    other = nearby(rng, base, rng.uniform(0.03, 0.3))
    picture = np.where(over[..., None], base, other) * (0.55 + 0.45 * ridge[..., None])
    return picture * (1 + rng.uniform(0.05, 0.4) * (fractal(rng, side, side / 3, 2) - 0.5)[..., None])


def knit(rng, side):
    n = rng.uniform(8, 26)
    u, v = coordinates(rng, side, rng.uniform(0, 0.04))
    chevron = np.sin(2 * np.pi * (v * n + np.abs((u * n) % 1 - 0.5) * rng.uniform(0.8, 2)))
    column = np.abs(np.sin(np.pi * u * n))
    field = normalise(chevron * 0.5 + column * 0.5)
    base = colour(rng, 0.1, 0.9)
    picture = ramp(field, base * rng.uniform(0.2, 0.7), base)
    return picture * (1 + 0.3 * (fractal(rng, side, side / 3, 2) - 0.5)[..., None])


def carpet(rng, side):
    base = colour(rng, 0.2, 0.8, rng.beta(1, 4))
    field = fractal(rng, side, side / rng.uniform(2.5, 6), 2, 0.8)
    u, _ = coordinates(rng, side, 0.02)
    field = field + rng.uniform(0, 0.5) * np.sin(2 * np.pi * u * rng.uniform(15, 50))
    return ramp(normalise(field), base * rng.uniform(0.2, 0.7), nearby(rng, base, 0.05))


def mesh(rng, side):
    n = rng.uniform(6, 22)
    u, v = coordinates(rng, side, rng.uniform(0, 0.03))
    width = rng.uniform(0.1, 0.3)
    au, av = np.abs((u * n) % 1 - 0.5), np.abs((v * n) % 1 - 0.5)
    distance = np.minimum(au, av) if rng.random() < 0.7 else np.hypot(au, av) - 0.2
    wire = smooth((distance < width).astype(np.float32), 0.8)
    back, front = colour(rng, 0, 1), colour(rng, 0, 1)
    if np.abs(back - front).mean() < 0.15:
        front = 1 - front
    back = blend(clouds(rng, side), np.ones((side, side, 3), np.float32) * back, np.full((side, side), 0.85, np.float32))
    return blend(back, front * (0.7 + 0.3 * smooth(wire, 2)[..., None]), wire)


def stripes(rng, side):
    u, _ = coordinates(rng, side, rng.uniform(0, 0.05))
    wave = np.sin(2 * np.pi * u * rng.uniform(5, 50)) * rng.uniform(0.8, 4)
    base = colour(rng)
    picture = ramp(np.clip(wave * 0.5 + 0.5, 0, 1), base, nearby(rng, base, rng.uniform(0.05, 0.35)))
    return picture * (1 + 0.15 * (fractal(rng, side, 40, 3) - 0.5)[..., None])


def wood(rng, side):
    u, v = coordinates(rng, side, rng.uniform(0.02, 0.15))
    rings = np.sin(2 * np.pi * (u * rng.uniform(4, 25) + 2 * fractal(rng, side, 2, 2)))
    grain = fractal(rng, side, 15, 3, 0.8, (0.3, 6) if rng.random() < 0.5 else (6, 0.3))
    base = np.clip(np.array([0.6, 0.42, 0.26]) * rng.uniform(0.5, 1.5) + rng.normal(0, 0.05, 3), 0, 1)
    return ramp(normalise(rings * rng.uniform(0.1, 0.5) + grain), base * rng.uniform(0.5, 0.85), base)


def cells(rng, side, count):
    """Distances to the nearest of `count` random points, and which one it is."""
    seeds = np.ones((side, side), np.uint8)
    seeds[rng.integers(0, side, count), rng.integers(0, side, count)] = 0
    return cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)


def leather(rng, side):
    distance, _ = cells(rng, side, int(rng.uniform(300, 4000)))
    height = normalise(np.sqrt(distance)) + 0.6 * fractal(rng, side, side / 5, 2)
    base = colour(rng, 0.1, 0.7)
    return base * relief(smooth(-height, rng.uniform(0.5, 1.5)), rng, rng.uniform(0.4, 2.0)) * (
        0.9 + 0.2 * fractal(rng, side, 4, 3)[..., None]
    )


def terrazzo(rng, side):
    base = colour(rng, 0.3, 1.0)
    picture = np.ones((side, side, 3), np.float32) * base
    for _ in range(int(rng.integers(1, 4))):
        field = fractal(rng, side, rng.uniform(12, 60), 2, 0.6)
        spots = smooth((field > np.quantile(field, rng.uniform(0.6, 0.93))).astype(np.float32), 0.7)
        picture = blend(picture, colour(rng), spots * rng.uniform(0.4, 1))
    return picture


def stones(rng, side):
    distance, label = cells(rng, side, int(rng.uniform(60, 900)))
    shades = rng.normal(0, rng.uniform(0.03, 0.2), (label.max() + 1, 1)) + rng.normal(0, 0.02, (label.max() + 1, 3))
    picture = np.clip(colour(rng, 0.3, 0.8) + shades[label], 0, 1).astype(np.float32)
    return picture * relief(-smooth(distance, 1), rng, rng.uniform(0.02, 0.15))


def bricks(rng, side):
    n = rng.uniform(3, 9)
    u, v = coordinates(rng, side, rng.uniform(0, 0.02), rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)]))
    v = v * n * rng.choice([1, 2])
    u = u * n + (np.floor(v) % 2) * rng.choice([0, 0.5])
    joint = (np.minimum(np.abs(u % 1 - 0.5), np.abs(v % 1 - 0.5) + 0) > 0.5 - rng.uniform(0.02, 0.08)) | (
        np.abs(v % 1 - 0.5) > 0.46
    ) | (np.abs(u % 1 - 0.5) > 0.46)
    shade = rng.normal(0, rng.uniform(0, 0.08), 997)[(np.floor(u) * 31 + np.floor(v) * 17).astype(int) % 997]
    base = colour(rng, 0.3, 0.9)
    picture = (base + shade[..., None]) * (0.85 + 0.3 * fractal(rng, side, 30, 3)[..., None])
    return blend(picture.astype(np.float32), nearby(rng, base * rng.uniform(0.4, 1.3), 0.05), smooth(joint.astype(np.float32), 0.8))


def dots(rng, side):
    n = rng.uniform(5, 28)
    u, v = coordinates(rng, side, rng.uniform(0, 0.01))
    v = v * n
    u = u * n + (np.floor(v) % 2) * rng.choice([0, 0.5])
    spot = np.hypot(u % 1 - 0.5, v % 1 - 0.5) < rng.uniform(0.15, 0.4)
    base = colour(rng)
    other = colour(rng)
    return blend(np.ones((side, side, 3), np.float32) * base * (0.9 + 0.2 * fractal(rng, side, 60, 2)[..., None]), other, smooth(spot.astype(np.float32), 0.8))


def grains(rng, side):
    """Pellets, seeds, gravel: many small overlapping ellipses."""
    picture = np.ones((side, side, 3), np.float32) * colour(rng, 0, 0.4)
    base = colour(rng, 0.3, 0.95)
    size = rng.uniform(4, 14)
    for _ in range(int(min(1500, 2.2 * side * side / (size * size * 2.2)))):
        centre = (int(rng.integers(0, side)), int(rng.integers(0, side)))
        axes = (max(2, int(size * rng.uniform(0.7, 1.2))), max(1, int(size * rng.uniform(0.4, 0.9))))
        shade = nearby(rng, base * rng.uniform(0.7, 1.1), 0.03)
        cv2.ellipse(picture, centre, axes, rng.uniform(0, 180), 0, 360, [float(c) for c in shade], -1, cv2.LINE_AA)
    return picture


SURFACES = {
    "smooth surface": plain,
    "painted surface": plain,
    "concrete surface": clouds,
    "paper": clouds,
    "brushed metal": brushed,
    "steel sheet": brushed,
    "woven fabric": weave,
    "cloth": weave,
    "knitted fabric": knit,
    "carpet": carpet,
    "felt": carpet,
    "metal mesh": mesh,
    "grid": mesh,
    "striped fabric": stripes,
    "wood": wood,
    "wooden board": wood,
    "leather": leather,
    "speckled tile": terrazzo,
    "stone surface": stones,
    "brick wall": bricks,
    "perforated plate": dots,
    "gravel": grains,
}


def surface(rng, side):
    name = str(rng.choice(list(SURFACES)))
    return np.clip(SURFACES[name](rng, side), 0, 1).astype(np.float32), name
