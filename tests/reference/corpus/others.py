"""WebP, GIF, BMP, PNM."""

import itertools
import struct

import numpy as np

from common import SIZES, eight, grey_of, rounded, saved, scene


def others(corpus):
    from PIL import Image

    for width, height in [*SIZES, (1, 1), (1, 17), (17, 1)]:
        where = f"{width}x{height}"
        rgb = Image.fromarray(eight(scene(width, height)))
        alpha = Image.fromarray(eight(scene(width, height, 1)[..., 0]))
        rgba = rgb.copy()
        rgba.putalpha(alpha)
        grey, bilevel, palette = rgb.convert("L"), rgb.convert("1"), rgb.quantize(32)
        for mode, image in (("rgb", rgb), ("rgba", rgba)):
            corpus.add("WebP lossless", f"webp-{where}-{mode}.webp", saved(image, "WEBP", lossless=True, exact=True))
            for quality in (5, 50, 90):
                data = saved(image, "WEBP", quality=quality, exact=True)
                corpus.add("WebP lossy", f"webp-{where}-{mode}-{quality}.webp", data)
        corpus.add("WebP lossless", f"webp-{where}-grey.webp", saved(grey, "WEBP", lossless=True))
        animated = saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)], lossless=True)
        corpus.add("WebP lossless", f"webp-{where}-animated.webp", animated)
        for mode, image in (("palette", palette), ("grey", grey), ("bilevel", bilevel), ("rgb", rgb)):
            for interlaced in (0, 1):
                corpus.add("GIF", f"gif-{where}-{mode}-{interlaced}.gif", saved(image, "GIF", interlace=interlaced))
        corpus.add("GIF", f"gif-{where}-transparent.gif", saved(palette, "GIF", transparency=3))
        corpus.add(
            "GIF",
            f"gif-{where}-animated.gif",
            saved(palette, "GIF", save_all=True, append_images=[palette.rotate(180)]),
        )
        for mode, image in (("palette", palette), ("grey", grey), ("bilevel", bilevel), ("rgb", rgb), ("rgba", rgba)):
            corpus.add("BMP", f"bmp-{where}-{mode}.bmp", saved(image, "BMP"))
        bitmaps(corpus, where, np.asarray(rgb), np.asarray(palette))
        pnms(corpus, where, scene(width, height))
    image = Image.fromarray(eight(scene(61, 47)))
    for form in ("WEBP", "GIF", "BMP", "PPM"):
        good = saved(image, form)
        for share in (3, 6, 9):
            name = f"{form.lower()}-cut-{share}.{form.lower()}"
            corpus.add("WebP, GIF, BMP, PNM damaged", name, good[: len(good) * share // 10], damaged=True)
    for orientation in range(1, 9):
        turn = Image.Exif()
        turn[0x112] = orientation
        corpus.add(
            "WebP turned", f"webp-turned-{orientation}.webp", saved(image, "WEBP", lossless=True, exif=turn.tobytes())
        )


def bitmaps(corpus, where, rgb, index):
    """Bitmaps that Pillow does not write: 16 bits, rows from the top, run lengths, the oldest header."""
    height, width = rgb.shape[:2]

    def bmp(bits, compression, rows, palette=b"", masks=b"", top=False, old=False):
        if old:
            info = struct.pack("<IHHHH", 12, width, height, 1, bits)
        else:
            colours = len(palette) // 4
            sides = struct.pack("<ii", width, -height if top else height)
            info = (
                struct.pack("<I", 40)
                + sides
                + struct.pack("<HHIIiiII", 1, bits, compression, len(rows), 2835, 2835, colours, 0)
            )
        head = info + masks + palette
        return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(rows), 0, 0, 14 + len(head)) + head + rows

    def padded(rows):
        return b"".join(row + b"\0" * (-len(row) % 4) for row in rows)

    bgr = [row[:, ::-1].tobytes() for row in rgb]
    corpus.add("BMP", f"bmp-{where}-top.bmp", bmp(24, 0, padded(bgr), top=True))
    corpus.add("BMP", f"bmp-{where}-old.bmp", bmp(24, 0, padded(bgr[::-1]), old=True))
    wide = rgb.astype(np.uint16)
    five = (wide[..., 0] >> 3 << 10 | wide[..., 1] >> 3 << 5 | wide[..., 2] >> 3).astype("<u2")
    six = (wide[..., 0] >> 3 << 11 | wide[..., 1] >> 2 << 5 | wide[..., 2] >> 3).astype("<u2")
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    corpus.add(
        "BMP 16 bits", f"bmp-{where}-555.bmp", bmp(16, 0, padded(row.tobytes() for row in five[::-1])), tolerance=1
    )
    corpus.add(
        "BMP 16 bits",
        f"bmp-{where}-565.bmp",
        bmp(16, 3, padded(row.tobytes() for row in six[::-1]), masks=masks),
        tolerance=1,
    )
    colours = b"".join(bytes([i * 5 % 256, i * 11 % 256, i * 3 % 256, 0]) for i in range(32))
    runs = b""
    for row in index[::-1]:
        for value, group in itertools.groupby(row):
            count = len(list(group))
            runs += b"".join(bytes([min(count - k, 255), value]) for k in range(0, count, 255))
        runs += b"\0\0"
    corpus.add("BMP", f"bmp-{where}-runs.bmp", bmp(8, 1, runs + b"\0\1", palette=colours))


def pnms(corpus, where, values):
    height, width = values.shape[:2]
    rgb, grey = eight(values), eight(grey_of(values))
    corpus.add("PNM", f"pnm-{where}-p6.ppm", b"P6\n# a comment\n%d %d\n255\n" % (width, height) + rgb.tobytes())
    corpus.add("PNM", f"pnm-{where}-p5.pgm", b"P5 %d %d 255\n" % (width, height) + grey.tobytes())
    text = b" ".join(b"%d" % v for v in rgb.ravel())
    corpus.add("PNM", f"pnm-{where}-p3.ppm", b"P3\n%d %d\n255\n" % (width, height) + text + b"\n")
    text = b"\n".join(b"%d" % v for v in grey.ravel())
    corpus.add("PNM", f"pnm-{where}-p2.pgm", b"P2\n%d %d\n255\n" % (width, height) + text + b"\n")
    bits = grey < 128
    corpus.add("PNM", f"pnm-{where}-p4.pbm", b"P4\n%d %d\n" % (width, height) + np.packbits(bits, axis=1).tobytes())
    text = b"\n".join(b"".join(b"%d" % v for v in row) for row in bits)
    corpus.add("PNM", f"pnm-{where}-p1.pbm", b"P1\n%d %d\n" % (width, height) + text + b"\n")
    for largest in (100, 1023, 4095, 65535):
        for magic, content in ((b"P5", grey_of(values)), (b"P6", values)):
            stored = np.round(content * largest).astype(np.uint16)
            data = stored.astype(">u2" if largest > 255 else "u1").tobytes()
            name = f"pnm-{where}-{magic.decode().lower()}-{largest}.pnm"
            truth = rounded(stored, 0, largest)
            data = magic + b"\n%d %d\n%d\n" % (width, height, largest) + data
            corpus.add("PNM wide", name, data, truth, tolerance=1)
