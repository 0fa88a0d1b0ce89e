"""PNG: colour types, depths, interlacing, filters, chunks, damage."""

import itertools
import struct
import zlib

import numpy as np

from common import SIZES, bounds, eight, exif, grey_of, rounded, scene


def png(pixels, depth, colour, interlaced=False, filters=None, palette=None, chunks=(), late=(), level=6):
    """A PNG from `[H, W, C]` values."""
    height, width = pixels.shape[:2]
    pixels = pixels.reshape(height, width, -1)

    def packed(part):
        if depth == 16:
            return part.astype(">u2").reshape(part.shape[0], -1).view(np.uint8)
        if depth == 8:
            return part.astype(np.uint8).reshape(part.shape[0], -1)
        bits = np.unpackbits(part.astype(np.uint8).reshape(part.shape[0], -1, 1), axis=2)[..., 8 - depth :]
        return np.packbits(bits.reshape(part.shape[0], -1), axis=1)

    def filtered(rows):
        step = max(pixels.shape[2] * depth // 8, 1)
        out, above = b"", np.zeros(rows.shape[1], np.int32)
        for y, row in enumerate(rows.astype(np.int32)):
            left, corner = (np.concatenate([np.zeros(min(step, len(r)), np.int32), r[:-step]]) for r in (row, above))
            how = y % 5 if filters is None else filters
            p = left + above - corner
            a, b, c = abs(p - left), abs(p - above), abs(p - corner)
            paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
            guess = [0, left, above, (left + above) // 2, paeth][how]
            out += bytes([how]) + ((row - guess) % 256).astype(np.uint8).tobytes()
            above = row
        return out

    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [pixels[y::dy, x::dx] for x, y, dx, dy in passes] if interlaced else [pixels]
    data = b"".join(filtered(packed(part)) for part in parts if part.size)

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    body = zlib.compress(data, level)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    out += b"".join(chunk(*c) for c in chunks)
    if palette is not None:
        out += chunk(b"PLTE", palette)
    half = len(body) // 2
    out += chunk(b"IDAT", body[:half]) + chunk(b"IDAT", body[half:])
    return out + b"".join(chunk(*c) for c in late) + chunk(b"IEND", b"")


def pngs(corpus):
    channels = {0: 1, 2: 3, 4: 2, 6: 4}
    for (width, height), interlaced in itertools.product([*SIZES, (1, 1), (1, 9), (9, 1), (3, 5)], (False, True)):
        where = f"{width}x{height}{'-interlaced' if interlaced else ''}"
        rgb = scene(width, height)
        alpha = scene(width, height, 1)[..., :1]
        full = np.concatenate([rgb, alpha], -1)
        grey = np.concatenate([grey_of(rgb)[..., None], alpha], -1)
        for colour, depth in [
            (0, 1),
            (0, 2),
            (0, 4),
            (0, 8),
            (2, 8),
            (4, 8),
            (6, 8),
            (0, 16),
            (2, 16),
            (4, 16),
            (6, 16),
        ]:
            values = np.round((full if colour & 2 else grey)[..., : channels[colour]] * (2**depth - 1)).astype(
                np.uint16
            )
            name = f"png-{where}-colour{colour}-{depth}.png"
            colours = values[..., : 3 if colour & 2 else 1]
            data = png(values, depth, colour, interlaced)
            if depth == 16:
                truth = rounded(colours, *bounds(colours))
                corpus.add("PNG 16 bits", name, data, truth, tolerance=1)
            else:
                corpus.add(f"PNG {'interlaced' if interlaced else 'plain'}", name, data)
        for depth in (1, 2, 4, 8):
            index = (np.arange(width * height).reshape(height, width) * 7) % 2**depth
            palette = eight(scene(2**depth, 1)).tobytes()
            for transparent in (b"", bytes(range(min(2**depth, 7)))):
                data = png(index, depth, 3, interlaced, palette=palette, late=())
                if transparent:
                    at = data.index(b"IDAT") - 4
                    chunk = b"tRNS" + transparent
                    data = (
                        data[:at]
                        + struct.pack(">I", len(transparent))
                        + chunk
                        + struct.pack(">I", zlib.crc32(chunk))
                        + data[at:]
                    )
                corpus.add("PNG palette", f"png-{where}-palette{depth}{'-tRNS' if transparent else ''}.png", data)
    pixels = eight(scene(61, 47))
    for how, level in itertools.product(range(5), (0, 1, 9)):
        corpus.add(
            "PNG filters and levels", f"png-filter{how}-{level}.png", png(pixels, 8, 2, filters=how, level=level)
        )
    for name, chunk in [
        ("gAMA", (b"gAMA", struct.pack(">I", 100000))),
        ("sRGB", (b"sRGB", b"\0")),
        ("pHYs", (b"pHYs", struct.pack(">IIB", 1, 2, 0))),
        ("own", (b"abCd", b"x" * 99)),
        ("iCCP", (b"iCCP", b"p\0\0" + zlib.compress(bytes(400)))),
        ("tRNS", (b"tRNS", struct.pack(">HHH", 1, 2, 3))),
    ]:
        corpus.add("PNG with odd chunks", f"png-{name}.png", png(pixels, 8, 2, chunks=[chunk]))
    for orientation, order in itertools.product(range(1, 9), "<>"):
        turn = (b"eXIf", exif(orientation, order))
        end = f"{orientation}{'le' if order == '<' else 'be'}.png"
        corpus.add("PNG turned", "png-turned-" + end, png(pixels, 8, 2, chunks=[turn]))
        corpus.add("PNG turned", "png-turned-late-" + end, png(pixels, 8, 2, late=[turn]))
    good = png(pixels, 8, 2)
    for share in (3, 6, 9):
        corpus.add("PNG damaged", f"png-cut-{share}.png", good[: len(good) * share // 10], damaged=True)
