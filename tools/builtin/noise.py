"""Random fields that every picture is made of. Pictures are float32 RGB in 0..1, fields are float32 [side, side]."""

import cv2
import numpy as np

# Threads of its own would hang a forked worker.
cv2.setNumThreads(0)


def normalise(field):
    low, high = float(field.min()), float(field.max())
    return (field - low) / (high - low + 1e-6)


def fractal(rng, side, scale=8.0, octaves=4, gain=0.5, stretch=(1.0, 1.0)):
    """Fractal noise in 0..1: `scale` cells across the picture, finer octaves weaker by `gain`."""
    total = np.zeros((side, side), np.float32)
    weight = 1.0
    for octave in range(octaves):
        cells = scale * 2**octave
        rows = int(np.clip(cells * stretch[0], 2, side))
        cols = int(np.clip(cells * stretch[1], 2, side))
        grid = rng.random((rows, cols), np.float32)
        total += weight * cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
        weight *= gain
    return normalise(total)


def coordinates(rng, side, warp=0.0, angle=None):
    """Rotated pixel coordinates in -0.5..0.5, bent by noise of strength `warp`."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
    x, y = np.meshgrid(axis, axis)
    if warp > 0:
        x = x + warp * (fractal(rng, side, 3, 2) - 0.5)
        y = y + warp * (fractal(rng, side, 3, 2) - 0.5)
    angle = rng.uniform(0, np.pi) if angle is None else angle
    c, s = np.cos(angle), np.sin(angle)
    return c * x + s * y, -s * x + c * y


def colour(rng, low=0.0, high=1.0, saturation=None):
    """A random colour: many parts are grey or brownish, so saturation is mostly low."""
    value = rng.uniform(low, high)
    saturation = rng.beta(1.0, 2.0) if saturation is None else saturation
    hue = rng.choice([rng.uniform(0, 1), rng.normal(0.08, 0.03)]) % 1.0
    channels = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return (value * (1 - saturation + saturation * channels)).astype(np.float32)


def nearby(rng, base, amount=0.1):
    return np.clip(base + rng.normal(0, amount, 3), 0, 1).astype(np.float32)


def ramp(field, *colours):
    """Maps a field in 0..1 to a gradient through the colours."""
    position = np.clip(field, 0, 1) * (len(colours) - 1)
    table = np.asarray(colours, np.float32)
    lower = np.minimum(position.astype(np.int32), len(colours) - 2)
    part = (position - lower)[..., None]
    return table[lower] * (1 - part) + table[lower + 1] * part


def relief(height, rng, strength=2.0, angle=None):
    """Lambert-like shading of a height field: a factor around 1."""
    angle = rng.uniform(0, 2 * np.pi) if angle is None else angle
    height = height.astype(np.float32)
    dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3)
    dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3)
    return np.clip(1 + strength * (np.cos(angle) * dx + np.sin(angle) * dy), 0.2, 1.9)[..., None]


def blend(picture, other, alpha):
    alpha = alpha[..., None] if alpha.ndim == 2 else alpha
    return picture * (1 - alpha) + other * alpha


def smooth(field, sigma):
    return cv2.GaussianBlur(field, (0, 0), max(float(sigma), 0.3))
