"""The effects of a camera and a lamp on a picture; harmless, so it never changes a mask."""

import cv2
import numpy as np

from noise import coordinates, fractal


def light(rng, picture):
    """An even gradient, a spot or a soft shadow."""
    side = picture.shape[0]
    u, v = coordinates(rng, side)
    kind = rng.integers(0, 4)
    if kind == 0:
        factor = 1 + rng.uniform(0, 0.5) * u
    elif kind == 1:
        u, v = u - rng.uniform(-0.4, 0.4), v - rng.uniform(-0.4, 0.4)
        factor = 1 + rng.uniform(-0.4, 0.4) * np.exp(-(u * u + v * v) / rng.uniform(0.03, 0.3))
    elif kind == 2:
        factor = 1 + rng.uniform(0, 0.3) * (fractal(rng, side, 2, 2) - 0.5)
    else:
        return picture
    return picture * factor[..., None]


def photograph(rng, picture, gentle=False):
    """Light, tone, white balance, blur, sensor noise and JPEG: float RGB in, uint8 RGB out."""
    if not gentle:
        picture = light(rng, picture)
    picture = np.clip(picture, 0, 1) ** np.exp(rng.normal(0, 0.2))
    picture = picture * rng.uniform(0.8, 1.15) + rng.uniform(-0.05, 0.05)
    picture = picture * np.exp(rng.normal(0, 0.04, 3)).astype(np.float32)
    if rng.random() < 0.15:
        picture = picture.mean(2, keepdims=True).repeat(3, 2)
    if rng.random() < 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.3))
    if rng.random() < 0.6:
        grain = rng.standard_normal(picture.shape[:2] + (1,), np.float32)
        picture = picture + rng.uniform(0, 0.035) * grain
    picture = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.integers(55, 96))
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    return picture
