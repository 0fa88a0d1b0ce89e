"""Procedural parts on a background. Each function: (rng, side, faulty) -> (picture, inside, fault).

`inside` is where the part is; `fault` is the mask of a structural fault (an element missing, misplaced, bent or
exchanged) where `faulty` asked for one and the part has such faults, else None."""

import cv2
import numpy as np

from noise import blend, colour, fractal, nearby, smooth
from ornaments import rosette
from shapes import (background, blob, box, bulge, cast_shadow, disc, gear, highlight, lettering, material, place)


def pose(rng, side):
    centre = side / 2 + rng.normal(0, side * 0.03, 2)
    return centre, rng.choice([0, np.pi / 2, rng.uniform(0, 2 * np.pi)])


def finish(rng, picture, mask, gloss=0.5, print_chance=0.3):
    if rng.random() < print_chance:
        picture = lettering(rng, picture, mask)
    if rng.random() < gloss:
        shine = highlight(rng, picture.shape[0], mask)
        picture = blend(picture, np.ones(3, np.float32), shine)
    return picture


def lump(rng, side, faulty):
    """Nuts, cookies, pebbles, potatoes."""
    centre, _ = pose(rng, side)
    mask = blob(rng, side, centre, side * rng.uniform(0.22, 0.42), rng.uniform(0, 0.2), rng.uniform(0.6, 1))
    ground = cast_shadow(rng, background(rng, side), mask)
    picture = place(ground, material(rng, side), mask, bulge(rng, mask, side * rng.uniform(0.1, 0.3)))
    if rng.random() < 0.3:
        for _ in range(int(rng.integers(3, 25))):
            spot = disc(side, centre + rng.normal(0, side * 0.13, 2), rng.uniform(2, 7)) * mask
            picture = blend(picture, colour(rng, 0, 0.5), spot * 0.8)
    return finish(rng, picture, mask, 0.4, 0.15), mask, None


def capsule(rng, side, faulty):
    centre, turn = pose(rng, side)
    size = np.array([rng.uniform(0.25, 0.42), rng.uniform(0.09, 0.2)]) * side
    mask = box(side, centre, size, turn, 1)
    ground = cast_shadow(rng, background(rng, side), mask)
    shade = bulge(rng, mask, size[1])
    base = colour(rng, 0.1, 1)
    picture = place(ground, material(rng, side, base), mask, shade)
    if rng.random() < 0.6:
        away = centre + size[0] * np.array([np.cos(turn), np.sin(turn)])
        half = mask * box(side, away, (size[0], side), turn, 0)
        picture = place(picture, material(rng, side), half, shade)
    return finish(rng, picture, mask, 0.6, 0.5), mask, None


def pill(rng, side, faulty):
    centre, turn = pose(rng, side)
    size = np.array([rng.uniform(0.25, 0.4), rng.uniform(0.16, 0.3)]) * side
    mask = box(side, centre, size, turn, 1)
    ground = cast_shadow(rng, background(rng, side), mask)
    picture = place(ground, material(rng, side, colour(rng, 0.6, 1, 0.05)), mask, bulge(rng, mask, side * 0.05))
    if rng.random() < 0.5:
        speck = fractal(rng, side, 60, 2)
        speck = smooth((speck > np.quantile(speck, rng.uniform(0.93, 0.99))).astype(np.float32), 0.7)
        picture = blend(picture, colour(rng, 0.2, 0.8), speck * mask * 0.8)
    return finish(rng, picture, mask, 0.3, 0.7), mask, None


def rings(rng, side, faulty):
    """A bottle or a can from above, a washer, a bearing, a cap."""
    centre, _ = pose(rng, side)
    radius = side * rng.uniform(0.28, 0.45)
    mask = disc(side, centre, radius)
    picture = cast_shadow(rng, background(rng, side), mask)
    here = radius
    while here > radius * 0.12:
        ring = disc(side, centre, here)
        picture = place(picture, material(rng, side), ring, bulge(rng, ring, here * rng.uniform(0.05, 0.5)))
        here *= rng.uniform(0.4, 0.92)
    if rng.random() < 0.4:
        hole = disc(side, centre, radius * rng.uniform(0.15, 0.55))
        picture = blend(picture, background(rng, side), hole)
        mask = mask * (1 - hole)
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 5))):
            arc = np.zeros((side, side), np.float32)
            r, start = int(radius * rng.uniform(0.3, 0.97)), rng.uniform(0, 360)
            cv2.ellipse(arc, tuple(int(c) for c in centre), (r, r), 0, start, start + rng.uniform(10, 90), 1.0, int(rng.integers(1, 6)), cv2.LINE_AA)
            picture = blend(picture, np.ones(3, np.float32), smooth(arc, 1) * mask * rng.uniform(0.3, 0.9))
    return finish(rng, picture, mask, 0.2, 0.15), mask, None


def nut(rng, side, faulty):
    """Hexagon nuts, notched nuts, gears, flanges with holes. Fault: flipped, a tooth or a hole missing."""
    centre, turn = pose(rng, side)
    turn = rng.uniform(0, 6.3)
    radius = side * rng.uniform(0.27, 0.44)
    teeth = int(rng.integers(4, 13))
    depth = rng.choice([0, rng.uniform(0.08, 0.3)])
    mask = gear(rng, side, centre, radius, teeth, depth, turn)
    hole = disc(side, centre, radius * rng.uniform(0.2, 0.5))
    fault = None
    metal = colour(rng, 0.3, 0.9, rng.beta(1, 6))
    body = mask * (1 - hole)
    holes = np.zeros_like(mask)
    count = int(rng.choice([0, teeth, rng.integers(2, 9)]))
    spare = int(rng.integers(0, count)) if faulty and count > 1 else -1
    for k in range(count):
        where = centre + radius * 0.68 * np.array([np.cos(turn + 6.2832 * k / count), np.sin(turn + 6.2832 * k / count)])
        small = disc(side, where, radius * 0.08)
        if k == spare:
            fault = small
        else:
            holes = np.maximum(holes, small)
    body = body * (1 - holes)
    ground = background(rng, side)
    ground = cast_shadow(rng, ground, body)
    picture = place(ground, material(rng, side, metal), body, bulge(rng, body, radius * rng.uniform(0.03, 0.3)))
    if rng.random() < 0.6:
        groove = np.abs(disc(side, centre, radius * 0.75) - disc(side, centre, radius * 0.71))
        picture = picture * (1 - 0.4 * (groove * body)[..., None])
    return finish(rng, picture, body, 0.5, 0.2), np.maximum(mask, 0), fault


def screw(rng, side, faulty):
    """A head, a shaft and a thread; also bolts and nails. Fault: thread flattened, shaft bent or cut off."""
    centre, turn = pose(rng, side)
    turn = rng.uniform(0, 6.3)
    length, thick = side * rng.uniform(0.28, 0.42), side * rng.uniform(0.025, 0.07)
    axis = np.arange(side, dtype=np.float32)
    x, y = np.meshgrid(axis - centre[0], axis - centre[1])
    u = np.cos(turn) * x + np.sin(turn) * y
    v = -np.sin(turn) * x + np.cos(turn) * y
    fault = None
    kind = int(rng.integers(0, 3)) if faulty else -1
    at = rng.uniform(-0.3, 0.8) * length
    if kind == 0:
        v = v - np.where(u > at, (u - at) * rng.choice([-1, 1]) * rng.uniform(0.15, 0.5), 0)
    pitch = thick * rng.uniform(0.35, 0.9)
    start = length * rng.uniform(-0.8, 0.3)
    wave = np.sin(2 * np.pi * (u / pitch + 0.3 * v / thick))
    damaged = (u > at) & (u < at + length * rng.uniform(0.1, 0.35)) if kind == 1 else np.zeros_like(u, bool)
    thread = ((u > start) & ~damaged).astype(np.float32)
    width = thick * (1 + 0.18 * thread * wave)
    tip = np.clip((length - u) / (thick * rng.uniform(0.8, 3)), 0, 1)
    end = at if kind == 2 else length
    shaft = np.clip(width * tip - np.abs(v) + 0.5, 0, 1) * (u > -length) * (u < end)
    head = (u > -length) & (u < -length + thick * rng.uniform(1, 2.2))
    flare = np.clip(thick * rng.uniform(1.6, 2.2) - np.abs(v) + 0.5, 0, 1) * head
    mask = np.maximum(shaft, flare).astype(np.float32)
    if kind == 0:
        fault = mask * (u > at)
    elif kind == 1:
        fault = mask * damaged
    elif kind == 2:
        fault = box(side, centre + (at + 4) * np.array([np.cos(turn), np.sin(turn)]), (thick, thick * 1.2), turn)
    shade = (0.6 + 0.6 * np.sqrt(np.clip(1 - (v / (thick * 1.2)) ** 2, 0, 1)) + 0.2 * thread * wave)[..., None]
    ground = cast_shadow(rng, background(rng, side), mask)
    picture = place(ground, material(rng, side, colour(rng, 0.25, 0.9, rng.beta(1, 6))), mask, shade)
    return finish(rng, picture, mask, 0.3, 0), mask, fault


def cable(rng, side, faulty):
    """A cut cable from above: wires of strands in a coat. Fault: a wire missing, exchanged or moved."""
    centre, turn = pose(rng, side)
    radius = side * rng.uniform(0.3, 0.45)
    mask = disc(side, centre, radius)
    picture = cast_shadow(rng, background(rng, side), mask)
    picture = place(picture, material(rng, side), mask, bulge(rng, mask, radius * 0.2))
    count = int(rng.integers(2, 6))
    small = radius * min(0.44, 1.25 / (count + 0.8))
    distance = max(small * 1.03 / np.sin(np.pi / count), small * 1.02) if count > 1 else 0
    distance = min(distance, radius - small)
    colours = [colour(rng) for _ in range(count)]
    if rng.random() < 0.4:
        colours = [colours[0]] * count
    spare = int(rng.integers(0, count)) if faulty else -1
    kind = int(rng.integers(0, 3))
    turn = rng.uniform(0, 6.3)
    fault = None
    copper = colour(rng, 0.5, 0.9, rng.uniform(0, 0.6))
    for k in range(count):
        t = turn + 6.2832 * k / count
        where = centre + distance * np.array([np.cos(t), np.sin(t)])
        wire = disc(side, where, small)
        paint = colours[k]
        if k == spare:
            fault = wire
            if kind == 0:
                continue
            if kind == 1:
                paint = np.clip(1 - paint + rng.normal(0, 0.1, 3), 0, 1).astype(np.float32)
        picture = place(picture, np.ones((side, side, 3), np.float32) * paint, wire, bulge(rng, wire, small * 0.3))
        core = disc(side, where, small * rng.uniform(0.55, 0.75))
        if k == spare and kind == 2:
            picture = blend(picture, background(rng, side) * 0.3, core)
            continue
        picture = blend(picture, copper * 0.4, core)
        strand = small * rng.uniform(0.07, 0.14)
        for _ in range(70):
            r, a = small * 0.6 * np.sqrt(rng.random()), rng.uniform(0, 6.3)
            at = where + r * np.array([np.cos(a), np.sin(a)])
            shade = [float(c) for c in np.clip(copper * rng.uniform(0.6, 1.3), 0, 1)]
            cv2.circle(picture, (int(at[0]), int(at[1])), max(1, int(strand)), shade, -1, cv2.LINE_AA)
    return picture, mask, fault


def brush(rng, side, faulty):
    """Tufts in rows on a rounded head. Fault: a tuft missing, bent, or of the wrong colour."""
    centre, _ = pose(rng, side)
    upright = rng.random() < 0.7
    cols, rows = int(rng.integers(3, 6)), int(rng.integers(6, 12))
    cell = side * 0.8 / rows
    size = (cols * cell * 0.62, rows * cell * 0.55)
    if not upright:
        size, cols, rows = size[::-1], rows, cols
    mask = box(side, centre, size, 0, rng.uniform(0.4, 1))
    picture = cast_shadow(rng, background(rng, side), mask)
    picture = place(picture, material(rng, side), mask, bulge(rng, mask, cell))
    colours = [colour(rng, 0.3, 1, rng.beta(2, 1)) for _ in range(int(rng.integers(1, 4)))]
    spares = set()
    if faulty:
        r, c = int(rng.integers(0, rows)), int(rng.integers(0, cols))
        spares = {(r + a, c + b) for a in range(int(rng.integers(1, 3))) for b in range(int(rng.integers(1, 3)))}
    kind = int(rng.integers(0, 3))
    fault = np.zeros((side, side), np.float32)
    for row in range(rows):
        for col in range(cols):
            where = centre + cell * np.array([col - (cols - 1) / 2, row - (rows - 1) / 2]) * np.array([1.05, 1.0])
            tint = colours[(row + (col in (0, cols - 1))) % len(colours)]
            if mask[int(np.clip(where[1], 0, side - 1)), int(np.clip(where[0], 0, side - 1))] < 0.5:
                continue
            spare = (row, col) in spares
            if spare:
                fault = np.maximum(fault, disc(side, where, cell * 0.5))
                if kind == 0:
                    continue
                if kind == 1:
                    tint = colour(rng)
            for _ in range(26):
                a = rng.normal(0, cell * (0.17 if not (spare and kind == 2) else 0.42), 2)
                if spare and kind == 2:
                    a = a + cell * 0.4
                    fault = np.maximum(fault, disc(side, where + cell * 0.4, cell * 0.6))
                shade = [float(c) for c in np.clip(tint * rng.uniform(0.5, 1.25), 0, 1)]
                cv2.circle(picture, (int(where[0] + a[0]), int(where[1] + a[1])), max(1, int(cell * 0.07)), shade, -1, cv2.LINE_AA)
    return picture, mask, fault if fault.any() else None


def zipper(rng, side, faulty):
    """Two rows of teeth between tapes. Fault: teeth missing or pushed apart, the tape split."""
    across = rng.random() < 0.3
    picture = background(rng, side)
    tape = box(side, (side / 2, side / 2), (side * rng.uniform(0.2, 0.35), side), 0)
    cloth = colour(rng, 0.02, 0.9)
    picture = place(picture, material(rng, side, cloth), tape)
    gap = side * rng.uniform(0.015, 0.03)
    step = side / rng.uniform(18, 40)
    tooth = colour(rng, 0.1, 0.95, rng.beta(1, 4))
    fault = None
    at, span = rng.uniform(0.15, 0.75) * side, rng.uniform(1.2, 5) * step
    kind = int(rng.integers(0, 3)) if faulty else -1
    teeth = np.zeros((side, side), np.float32)
    for k in range(int(side / step) + 1):
        y = k * step
        broken = kind >= 0 and at < y < at + span
        if broken and kind == 0:
            continue
        for sign in (-1, 1):
            x = side / 2 + sign * gap
            if broken and kind == 1:
                x += sign * gap * rng.uniform(1, 2.5)
            if broken and kind == 2:
                x, y = x + rng.normal(0, gap), y + rng.normal(0, step / 2)
            shape = ((x, y + (sign > 0) * step / 2), (gap * 2.4, step * 0.6), 0 if not (broken and kind == 2) else rng.uniform(-40, 40))
            points = cv2.boxPoints(shape)
            cv2.fillPoly(teeth, [np.round(points * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    picture = place(picture, np.ones((side, side, 3), np.float32) * tooth, teeth, bulge(rng, teeth, step * 0.3))
    for x in (0.5 - 0.12, 0.5 + 0.12):
        seam = (np.arange(side) // 6 % 2)[:, None] * np.ones((1, side)) * (np.abs(np.arange(side)[None, :] - x * side) < 1)
        picture = blend(picture, nearby(rng, cloth, 0.15), seam.astype(np.float32))
    if kind >= 0:
        fault = box(side, (side / 2, at + span / 2), (gap * (3 if kind == 0 else 4.5), span / 2 + 1))
    if across:
        picture, tape = picture.transpose(1, 0, 2).copy(), tape.T.copy()
        fault = None if fault is None else fault.T.copy()
    return picture, tape, fault


def board(rng, side, faulty):
    """A printed circuit board. Fault: a chip missing, turned, exchanged; a lead bent; a trace cut."""
    base = colour(rng, 0.1, 0.6, rng.uniform(0.3, 1))
    picture = material(rng, side, base)
    metal = colour(rng, 0.4, 0.95, rng.beta(1, 3))
    for _ in range(int(rng.integers(5, 25))):
        p = rng.uniform(0, side, 2)
        for _ in range(int(rng.integers(1, 5))):
            q = p + rng.choice([-1, 0, 1], 2) * rng.uniform(10, 80)
            ends = [tuple(int(c) for c in e) for e in (p, q)]
            cv2.line(picture, *ends, [float(c) for c in np.clip(base * 1.35, 0, 1)], int(rng.integers(1, 5)), cv2.LINE_AA)
            p = q
        cv2.circle(picture, ends[1], int(rng.integers(2, 6)), [float(c) for c in metal], -1, cv2.LINE_AA)
    fault = np.zeros((side, side), np.float32)
    spare = int(rng.integers(0, 2)) if faulty else -1
    for k in range(int(rng.integers(2, 7))):
        where, size = rng.uniform(0.12, 0.88, 2) * side, rng.uniform(0.03, 0.14, 2) * side
        turn = 0.0
        body = box(side, where, size)
        if k == spare:
            kind = int(rng.integers(0, 3))
            fault = np.maximum(fault, box(side, where, size + 4))
            if kind == 0:
                for s in (-1, 1):
                    picture = blend(picture, metal, box(side, where + np.array([s * size[0] * 0.8, 0]), (size[0] * 0.2, size[1] * 0.8)))
                continue
            if kind == 1:
                turn = rng.uniform(0.2, 1.2)
                body = box(side, where, size, turn)
                fault = np.maximum(fault, body)
            if kind == 2:
                fault *= 0
                fault = np.maximum(fault, disc(side, where, min(size) * 0.9) * body)
        legs = int(rng.integers(2, 9))
        for j in range(legs):
            off = (j - (legs - 1) / 2) * 2 * size[0] / legs
            for s in (-1, 1):
                c = np.array([off, s * size[1] * 1.15])
                c = np.array([c[0] * np.cos(turn) - c[1] * np.sin(turn), c[0] * np.sin(turn) + c[1] * np.cos(turn)])
                picture = blend(picture, metal, box(side, where + c, (size[0] * 0.5 / legs, size[1] * 0.22), turn))
        picture = place(picture, np.ones((side, side, 3), np.float32) * colour(rng, 0.02, 0.5, 0.1), body, bulge(rng, body, 3))
        picture = lettering(rng, picture, body) if rng.random() < 0.6 else picture
        if k == spare and fault.any() and kind == 2:
            picture = blend(picture, colour(rng), fault * rng.uniform(0.5, 1))
    return picture, np.ones((side, side), np.float32), fault if fault.any() else None


def transistor(rng, side, faulty):
    """A body on legs in front of a board with holes. Fault: bent or cut leg, misplaced or missing body."""
    from textures import dots, mesh

    picture = dots(rng, side) if rng.random() < 0.6 else background(rng, side)
    if rng.random() < 0.2:
        picture = mesh(rng, side)
    picture = np.clip(picture, 0, 1).astype(np.float32)
    kind = int(rng.integers(0, 4)) if faulty else -1
    centre = np.array([side / 2, side * rng.uniform(0.35, 0.45)])
    size = np.array([rng.uniform(0.13, 0.22), rng.uniform(0.1, 0.16)]) * side
    home = box(side, centre, size)
    fault = None
    turn = 0.0
    if kind == 2:
        centre = centre + rng.choice([-1, 1], 2) * rng.uniform(0.1, 0.22, 2) * side
        turn = rng.uniform(-1.0, 1.0)
    count = int(rng.integers(2, 5))
    metal = colour(rng, 0.5, 0.95, rng.beta(1, 6))
    legs = np.zeros((side, side), np.float32)
    spare = int(rng.integers(0, count))
    long = side * rng.uniform(0.2, 0.38)
    for k in range(count):
        x = centre[0] + (k - (count - 1) / 2) * 2 * size[0] / count
        p = np.array([x, centre[1] + size[1]])
        q = p + np.array([0.0, long])
        if k == spare and kind in (0, 1):
            q = p + np.array([rng.choice([-1, 1]) * rng.uniform(0.3, 0.8) * long, long * 0.8]) if kind == 0 else p + np.array([0, long * rng.uniform(0.1, 0.5)])
            fault = np.zeros((side, side), np.float32)
            cv2.line(fault, tuple(int(c) for c in p), tuple(int(c) for c in (q if kind == 0 else p + np.array([0, long]))), 1.0, 13)
        cv2.line(legs, tuple(int(c) for c in p), tuple(int(c) for c in q), 1.0, int(side * 0.022), cv2.LINE_AA)
    body = box(side, centre, size, turn, rng.uniform(0, 0.3))
    if kind == 3:
        fault, body, legs = home, body * 0, legs * (rng.random() < 0.5)
    elif kind == 2:
        fault = np.maximum(body, home)
    part = np.maximum(body, legs)
    picture = cast_shadow(rng, picture, part)
    picture = place(picture, np.ones((side, side, 3), np.float32) * metal, legs, bulge(rng, legs, 3))
    picture = place(picture, material(rng, side, colour(rng, 0.03, 0.5, 0.1)), body, bulge(rng, body, 6))
    return finish(rng, picture, body, 0.3, 0.6), np.maximum(part, home), fault


def array(rng, side, faulty):
    """Equal items in a tray or scattered: tablets, sweets, macaroni, candles. Fault: missing, exchanged, broken item."""
    cols, rows = int(rng.integers(2, 7)), int(rng.integers(2, 7))
    picture = background(rng, side)
    cell = side * rng.uniform(0.8, 0.98) / max(cols, rows)
    jitter = rng.choice([0.0, 0.0, 0.08])
    form, aspect, turn0 = int(rng.integers(0, 4)), rng.uniform(0.45, 1), rng.uniform(0, 3.1)
    free_turn = rng.random() < 0.4
    paint = material(rng, side, colour(rng, 0.1, 1))
    tray = rng.random() < 0.4
    spare = (int(rng.integers(0, rows)), int(rng.integers(0, cols))) if faulty else None
    kind = int(rng.integers(0, 4))
    inside, fault = np.zeros((side, side), np.float32), None
    lamp = int(rng.integers(0, 2**31))

    def item(where, turn):
        size = np.array([cell * 0.42, cell * 0.42 * aspect])
        if form == 0:
            return box(side, where, size, turn, 1)
        if form == 1:
            return box(side, where, size, turn, 0.3)
        if form == 2:
            return gear(rng, side, where, cell * 0.42, 6, 0, turn)
        arc = np.zeros((side, side), np.float32)
        cv2.ellipse(arc, tuple(int(c) for c in where), tuple(int(c) for c in size * 0.8), np.degrees(turn), 0, 230, 1.0, max(2, int(cell * 0.16)), cv2.LINE_AA)
        return arc

    for row in range(rows):
        for col in range(cols):
            where = side / 2 + cell * np.array([col - (cols - 1) / 2, row - (rows - 1) / 2]) + rng.normal(0, jitter * cell, 2)
            turn = rng.uniform(0, 6.3) if free_turn else turn0
            mask = item(where, turn)
            light = np.random.default_rng(lamp)
            if tray:
                cup = disc(side, where, cell * 0.47)
                picture = picture * (1 - 0.25 * cup[..., None]) * bulge(light, cup, cell * 0.1)
            here = paint
            if (row, col) == spare:
                fault = np.maximum(mask, smooth(mask, 2))
                if kind == 0:
                    continue
                if kind == 1:
                    here = material(rng, side)
                elif kind == 2:
                    cut = blob(rng, side, where + rng.normal(0, cell * 0.2, 2), cell * 0.28, 0.4)
                    fault = cut * mask
                    mask = mask * (1 - cut)
                else:
                    mask = box(side, where, (cell * 0.4, cell * 0.15), rng.uniform(0, 3), rng.uniform(0, 1))
                    fault = np.maximum(fault, mask)
            inside = np.maximum(inside, mask)
            picture = place(picture, here, mask, bulge(np.random.default_rng(lamp), mask, cell * 0.2))
    return picture, inside, fault


def assembly(rng, side, faulty):
    """A made-up industrial part: a housing with regular features, mirrored. Fault: a feature missing or moved."""
    centre, turn = pose(rng, side)
    turn = turn if rng.random() < 0.5 else 0.0
    size = rng.uniform(0.2, 0.42, 2) * side
    mask = box(side, centre, size, turn, rng.uniform(0, 0.6))
    for _ in range(int(rng.integers(0, 3))):
        off = rng.uniform(0.5, 1.1) * size * rng.choice([(1, 0), (0, 1)])
        for sign in (-1, 1):
            c = sign * np.array([off[0] * np.cos(turn) - off[1] * np.sin(turn), off[0] * np.sin(turn) + off[1] * np.cos(turn)])
            mask = np.maximum(mask, box(side, centre + c, size * rng.uniform(0.2, 0.4), turn, 0.5))
    picture = cast_shadow(rng, background(rng, side), mask)
    picture = place(picture, material(rng, side), mask, bulge(rng, mask, side * rng.uniform(0.01, 0.1)))
    features, fault = [], None
    for _ in range(int(rng.integers(1, 4))):
        off, extent = rng.uniform(0.1, 0.8, 2) * size, rng.uniform(0.05, 0.25) * size.min()
        features += [(off * np.array(s), extent, int(rng.integers(0, 2))) for s in ((1, 1), (-1, 1), (1, -1), (-1, -1))]
    paint = material(rng, side)
    hollow = rng.random() < 0.5
    spare = int(rng.integers(0, len(features))) if faulty else -1
    lamp = int(rng.integers(0, 2**31))
    for k, (off, extent, form) in enumerate(features):
        c = np.array([off[0] * np.cos(turn) - off[1] * np.sin(turn), off[0] * np.sin(turn) + off[1] * np.cos(turn)])
        shape = disc(side, centre + c, extent) if form else box(side, centre + c, (extent, extent), turn, 0.2)
        shape = shape * mask
        if k == spare:
            fault = shape
            if rng.random() < 0.6:
                continue
            shape = disc(side, centre + c + rng.normal(0, extent, 2), extent * rng.uniform(0.6, 1.4)) * mask
            fault = np.maximum(fault, shape)
        picture = blend(picture, picture * 0.25, shape) if hollow else place(picture, paint, shape, bulge(np.random.default_rng(lamp), shape, extent * 0.4))
    return finish(rng, picture, mask, 0.5, 0.4), mask, fault


PARTS = {
    "nut": lump,
    "cookie": lump,
    "pebble": lump,
    "capsule": capsule,
    "pill": pill,
    "tablet": pill,
    "bottle": rings,
    "washer": rings,
    "cap": rings,
    "metal nut": nut,
    "gear": nut,
    "screw": screw,
    "bolt": screw,
    "cable": cable,
    "wires": cable,
    "brush": brush,
    "toothbrush": brush,
    "zipper": zipper,
    "circuit board": board,
    "electronic module": board,
    "transistor": transistor,
    "electronic component": transistor,
    "tray of tablets": array,
    "sweets": array,
    "machine part": assembly,
    "plastic housing": assembly,
    "connector": assembly,
    "wheel": rosette,
    "flange": rosette,
    "metal cap": rosette,
}


def part(rng, side, faulty):
    name = str(rng.choice(list(PARTS)))
    picture, inside, fault = PARTS[name](rng, side, faulty)
    return np.clip(picture, 0, 1).astype(np.float32), inside, fault, name
