"""Damage done to any picture. Each function: (rng, picture, inside, area) -> (picture, mask) or None where it
does not apply. `inside` is where the part is; `area` is the wanted size of the damage in pixels."""

import cv2
import numpy as np

from noise import blend, colour, fractal, relief, smooth
from shapes import blob
from textures import surface


def somewhere(rng, inside):
    ys, xs = np.nonzero(inside > 0.5)
    i = int(rng.integers(0, len(ys)))
    return np.array([xs[i], ys[i]], np.float64)


def walk(rng, start, length, wiggle, heading=None):
    """Points of a line that keeps its heading more or less."""
    steps = max(3, int(length / 4))
    heading = rng.uniform(0, 6.3) if heading is None else heading
    turns = heading + np.cumsum(rng.normal(0, wiggle, steps)) + np.linspace(0, rng.normal(0, 0.8), steps)
    return start + np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 1) * 4, 0)


def draw(side, points, thickness):
    mask = np.zeros((side, side), np.float32)
    cv2.polylines(mask, [np.round(points * 8).astype(np.int32)], False, 1.0, max(1, int(thickness)), cv2.LINE_AA, 3)
    return mask


def region(rng, picture, inside, area):
    """A soft-edged random region of about `area` pixels."""
    side = picture.shape[0]
    aspect = rng.uniform(0.3, 1)
    radius = np.sqrt(area / (np.pi * aspect))
    mask = blob(rng, side, somewhere(rng, inside), radius, rng.uniform(0.05, 0.6), aspect)
    if rng.random() < 0.4:
        mask = mask * (fractal(rng, side, rng.uniform(6, 30), 3) > rng.uniform(0.25, 0.5))
        mask = smooth(mask.astype(np.float32), 1)
    return smooth(mask, rng.choice([0.6, rng.uniform(0.5, 4)])) * np.clip(smooth(inside, 1) * 1.5, 0, 1)


def contrast(rng, picture, mask, low=0.08, high=0.7):
    """A tint that is visible against the colours under the mask."""
    under = picture[mask > 0.3].mean(0) if (mask > 0.3).any() else picture.mean((0, 1))
    step = rng.uniform(low, high) * (1 if rng.random() < (1 - under.mean()) else -1)
    return np.clip(under + step + rng.normal(0, 0.08, 3), 0, 1).astype(np.float32)


def scratch(rng, picture, inside, area):
    side = picture.shape[0]
    mask = np.zeros((side, side), np.float32)
    thickness = rng.choice([1, 1, 2, 2, 3, 5])
    start, heading = somewhere(rng, inside), rng.uniform(0, 6.3)
    for _ in range(int(rng.choice([1, 1, 1, 2, 4, 8]))):
        length = np.clip(area / (thickness + 2) * rng.uniform(0.5, 2), 15, side * 0.7)
        mask = np.maximum(mask, draw(side, walk(rng, start, length, rng.uniform(0, 0.1), heading + rng.normal(0, 0.1)), thickness))
        start = start + rng.normal(0, 12, 2)
    mask = mask * inside
    out = blend(picture, contrast(rng, picture, mask, 0.1, 0.6), mask * rng.uniform(0.5, 1))
    return out * (relief(smooth(mask, 1), rng, 0.6) if rng.random() < 0.4 else 1), mask


def crack(rng, picture, inside, area):
    side = picture.shape[0]
    start = somewhere(rng, inside)
    mask = np.zeros((side, side), np.float32)
    heading = rng.uniform(0, 6.3)
    for branch in range(int(rng.integers(1, 5))):
        points = walk(rng, start, np.clip(np.sqrt(area) * rng.uniform(1, 4), 15, side * 0.8), rng.uniform(0.2, 0.6), heading)
        mask = np.maximum(mask, draw(side, points, rng.choice([1, 1, 2, 3, 6])))
        start, heading = points[int(rng.integers(0, len(points)))], heading + rng.normal(0, 1.0)
    mask = mask * inside
    return blend(picture, picture * rng.uniform(0, 0.5), mask * rng.uniform(0.6, 1)), mask


def stain(rng, picture, inside, area):
    mask = region(rng, picture, inside, area)
    tint = contrast(rng, picture, mask) if rng.random() < 0.5 else colour(rng)
    if rng.random() < 0.4:
        return picture * (1 - mask[..., None] * (1 - tint) * rng.uniform(0.4, 1)), mask
    return blend(picture, tint * (0.85 + 0.3 * fractal(rng, picture.shape[0], 30, 3)[..., None]), mask * rng.uniform(0.3, 1)), mask


def speck(rng, picture, inside, area):
    """Contamination: a cluster of small bodies."""
    side = picture.shape[0]
    mask = np.zeros((side, side), np.float32)
    centre, tint = somewhere(rng, inside), colour(rng)
    count = int(rng.integers(1, 14))
    for _ in range(count):
        at = centre + rng.normal(0, np.sqrt(area) * 0.6, 2)
        mask = np.maximum(mask, blob(rng, side, at, np.sqrt(area / count / 3) + 1, 0.5, rng.uniform(0.4, 1)))
    mask = mask * inside
    return blend(picture, tint * relief(smooth(mask, 1.5), rng, 1.0), mask * rng.uniform(0.6, 1)), mask


def hole(rng, picture, inside, area):
    mask = region(rng, picture, inside, min(area, 2500))
    deep = picture * rng.uniform(0, 0.4) if rng.random() < 0.7 else colour(rng, 0, 0.3)
    out = blend(picture, deep, np.clip(mask * 1.5, 0, 1))
    return out * relief(smooth(-mask, rng.uniform(1, 3)), rng, rng.uniform(0.3, 2)), mask


def dent(rng, picture, inside, area):
    mask = region(rng, picture, inside, area)
    height = smooth(mask, max(1.0, np.sqrt(area) / rng.uniform(4, 12)))
    shaded = np.clip(picture + 0.04, 0, 1) * relief(height * rng.choice([-1, 1]), rng, rng.uniform(2, 7))
    return shaded, (height > 0.25).astype(np.float32) * inside


def warp(rng, picture, inside, area):
    """Material pushed aside: bent threads, squeezed edges, flow."""
    side = picture.shape[0]
    centre = somewhere(rng, inside)
    axis = np.arange(side, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    radius = np.sqrt(area) * rng.uniform(0.7, 1.1) + 5
    d2 = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
    fall = np.exp(-d2 / (radius * radius * 0.6)).astype(np.float32)
    if rng.random() < 0.5:
        push = rng.normal(0, 1, 2)
        push = push / np.linalg.norm(push) * radius * rng.uniform(0.35, 0.8)
        mx, my = x - fall * push[0], y - fall * push[1]
    else:
        turn = fall * rng.choice([-1, 1]) * rng.uniform(0.7, 2.2)
        dx, dy = x - centre[0], y - centre[1]
        mx = centre[0] + np.cos(turn) * dx - np.sin(turn) * dy
        my = centre[1] + np.sin(turn) * dx + np.cos(turn) * dy
    out = cv2.remap(picture, mx.astype(np.float32), my.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    moved = (np.abs(out - picture).mean(2) > 0.02).astype(np.float32)
    mask = ((fall > 0.35) & (smooth(moved, 3) > 0.15)).astype(np.float32)
    return out, mask


def cut_paste(rng, picture, inside, area):
    """A piece of the same picture in the wrong place."""
    side = picture.shape[0]
    mask = region(rng, picture, inside, area)
    centre = (float(rng.uniform(0.3, 0.7) * side), float(rng.uniform(0.3, 0.7) * side))
    turn = cv2.getRotationMatrix2D(centre, rng.choice([0, 90, 180, rng.uniform(0, 360)]), rng.uniform(0.7, 1.4))
    turn[:, 2] += rng.uniform(-0.3, 0.3, 2) * side
    moved = cv2.warpAffine(picture, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    moved = np.clip(moved + rng.normal(0, 0.05), 0, 1)
    return blend(picture, moved, mask), mask


def foreign(rng, picture, inside, area):
    """Other material in place of the surface."""
    mask = region(rng, picture, inside, area)
    return blend(picture, surface(rng, picture.shape[0])[0], mask * rng.uniform(0.4, 1)), mask


def abrasion(rng, picture, inside, area):
    """A rubbed, blurred or roughened place."""
    side = picture.shape[0]
    mask = region(rng, picture, inside, area)
    if rng.random() < 0.5:
        other = cv2.GaussianBlur(picture, (0, 0), rng.uniform(2, 8)) * rng.uniform(0.85, 1.15)
    else:
        rough = fractal(rng, side, rng.uniform(30, 120), 2, 0.8) - 0.5
        other = picture + rng.uniform(0.3, 0.9) * rough[..., None]
    return blend(picture, np.clip(other, 0, 1), mask), mask


def fold(rng, picture, inside, area):
    side = picture.shape[0]
    line = draw(side, walk(rng, somewhere(rng, inside), np.clip(np.sqrt(area) * 4, 30, side), rng.uniform(0, 0.12)), rng.integers(3, 10))
    height = smooth(line, rng.uniform(2, 5)) * inside
    height = height / (height.max() + 1e-6)
    return np.clip(picture + 0.04, 0, 1) * relief(height, rng, rng.uniform(2.5, 8)), (height > 0.3).astype(np.float32)


def thread(rng, picture, inside, area):
    """A fibre or hair on the surface."""
    side = picture.shape[0]
    points = walk(rng, somewhere(rng, inside), np.clip(area / 3, 30, side), rng.uniform(0.1, 0.35))
    mask = draw(side, points, rng.choice([1, 2, 2, 3])) * inside
    shadow = cv2.warpAffine(mask, np.float32([[1, 0, 2], [0, 1, 2]]), (side, side))
    out = picture * (1 - 0.4 * smooth(shadow, 1)[..., None])
    return blend(out, contrast(rng, picture, mask, 0.25, 0.9), mask), mask


def glue(rng, picture, inside, area):
    """A clear smear with a bright rim."""
    mask = region(rng, picture, inside, area)
    out = blend(picture, picture * rng.uniform(0.6, 0.95) + rng.uniform(0, 0.3), mask * rng.uniform(0.4, 0.9))
    out = out * relief(smooth(mask, 2), rng, rng.uniform(0.8, 2.5))
    return out, mask


def poke(rng, picture, inside, area):
    side = picture.shape[0]
    mask = np.zeros((side, side), np.float32)
    for _ in range(int(rng.choice([1, 1, 2, 4]))):
        mask = np.maximum(mask, blob(rng, side, somewhere(rng, inside), rng.uniform(2.5, 7), 0.2, rng.uniform(0.6, 1)))
    mask = mask * inside
    out = blend(picture, picture * rng.uniform(0.1, 0.6), mask)
    return out * relief(smooth(-mask, 1.2), rng, rng.uniform(0.5, 2.5)), mask


def chip(rng, picture, inside, area):
    """A piece broken off the edge: the background shows."""
    side = picture.shape[0]
    outside = (inside < 0.5).astype(np.uint8)
    share = outside.mean()
    if share < 0.15 or share > 0.97:
        return None
    edge = cv2.morphologyEx(outside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    ys, xs = np.nonzero(edge)
    if len(ys) == 0:
        return None
    i = int(rng.integers(0, len(ys)))
    aspect = rng.uniform(0.4, 1)
    bite = blob(rng, side, (xs[i], ys[i]), np.sqrt(area / aspect / 2), rng.uniform(0.2, 0.6), aspect)
    mask = bite * (inside > 0.5)
    if mask.sum() < 20:
        return None
    small = cv2.resize((np.clip(picture, 0, 1) * 255).astype(np.uint8), (side // 2, side // 2))
    gone = cv2.resize(((inside > 0.02) | (bite > 0.1)).astype(np.uint8), (side // 2, side // 2))
    filled = cv2.inpaint(small, cv2.dilate(gone, np.ones((5, 5), np.uint8)), 2, cv2.INPAINT_TELEA) if rng.random() < 0.5 else None
    if filled is None:
        ground = np.broadcast_to(np.median(picture[outside > 0], axis=0), picture.shape)
    else:
        ground = cv2.resize(filled, (side, side)).astype(np.float32) / 255
    out = blend(picture, ground, smooth(mask, 0.7))
    if rng.random() < 0.3:
        out = blend(picture, picture * rng.uniform(0.4, 1.6) + rng.normal(0, 0.1, 3), smooth(mask, 0.7))
    return out, mask


DEFECTS = {
    scratch: 1.3, crack: 1.2, stain: 1.5, speck: 0.8, hole: 1.0, dent: 0.9, warp: 1.0, cut_paste: 1.2, foreign: 0.8,
    abrasion: 0.8, fold: 0.6, thread: 0.8, glue: 0.7, poke: 0.7, chip: 1.2,
}


def damage(rng, picture, inside):
    """One to three kinds of damage, 0.1 to 15 % of the area, never invisible; None if nothing can be done."""
    side = picture.shape[0]
    if (inside > 0.5).sum() < 50:
        return None
    weights = np.array(list(DEFECTS.values()))
    total, mask = picture, np.zeros((side, side), np.float32)
    wanted = int(rng.choice([1, 1, 1, 1, 2, 3]))
    for _ in range(8):
        kind = rng.choice(list(DEFECTS), p=weights / weights.sum())
        area = np.exp(rng.uniform(np.log(0.0012), np.log(0.16))) * side * side
        area = min(area, 0.5 * float((inside > 0.5).sum()))
        done = kind(rng, total, inside, area)
        if done is None:
            continue
        after, where = np.clip(done[0], 0, 1), done[1] > 0.3
        if where.sum() < 12 or where.mean() > 0.35:
            continue
        # Visible against the grain of the surface.
        change = np.abs(after - total).max(2)[where].mean()
        grain = np.abs(total - cv2.GaussianBlur(total, (0, 0), 1.5)).max(2)[where].mean()
        if change < 0.03 + 0.7 * grain:
            continue
        total, mask = after.astype(np.float32), np.maximum(mask, where.astype(np.float32))
        wanted -= 1
        if wanted == 0:
            break
    if not mask.any():
        return None
    return total, cv2.dilate(mask, np.ones((3, 3), np.uint8))
