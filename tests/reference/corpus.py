#!/usr/bin/env python3
"""Makes a matrix of small pictures of every kind and compares the program's pixels with those of other readers.

    pip install 'pillow<14' numpy tifffile imagecodecs
    apt-get install libjpeg-turbo-progs                      # cjpeg and jpegtran
    cargo build --release --example pixels
    python tests/reference/corpus.py make CORPUS             # the pictures and manifest.json
    python tests/reference/corpus.py compare CORPUS target/release/examples/pixels
    python tests/reference/corpus.py thin CORPUS tests/data/corpus

A picture's entry in the manifest has its kind, size, tolerance and the digest of the truth: the RGB samples that Pillow
reads, upright; for samples of more than 8 bits the rule of docs/pictures.md applied to the values that were written.
`truth/` has the samples themselves, for pictures with a tolerance. An entry without digest is of a picture that Pillow
refuses too. `compare` prints a table by kind and fails if a picture is wrong without an error.
"""

import argparse
import collections
import hashlib
import io
import itertools
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy as np

SIZES = [(61, 47), (64, 48), (33, 70)]


def scene(width, height, seed=0):
    """Edges, gradients and noise: `[H, W, 3]` of 0..1."""
    rng = np.random.default_rng([seed, width, height])
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x / max(width - 1, 1), y / max(height - 1, 1), (7 * x + 5 * y) % 97 / 96], -1)
    rgb[(x // 9 + y // 7) % 3 == 0] = [0.86, 0.16, 0.12]
    return np.clip(rgb + rng.normal(0, 0.03, rgb.shape), 0, 1)


def eight(values):
    return np.round(values * 255).astype(np.uint8)


def grey_of(values):
    return values @ [0.299, 0.587, 0.114]


def rounded(values, low, high):
    """The rule for wide samples: `low` is black, `high` is white."""
    return np.clip(np.round((values.astype(np.float64) - low) / (high - low) * 255), 0, 255).astype(np.uint8)


class Corpus:
    def __init__(self, folder):
        self.folder, self.entries = folder, {}
        (folder / "truth").mkdir(parents=True, exist_ok=True)

    def add(self, kind, name, data, truth=None, tolerance=0, damaged=False):
        """`truth`: `[H, W]` or `[H, W, 3]`, Pillow's pixels if there is none. `damaged`: to be refused or warned of."""
        if not data:
            return
        self.folder.joinpath(name).write_bytes(data)
        entry = {"kind": kind}
        if damaged:
            entry["damaged"] = True
        elif truth is None:
            truth = pillow(data)
        if truth is not None:
            truth = np.ascontiguousarray(np.repeat(truth.reshape(*truth.shape[:2], -1), 3 if truth.size == truth.shape[0] * truth.shape[1] else 1, -1))
            entry |= {"width": truth.shape[1], "height": truth.shape[0], "tolerance": tolerance}
            entry["sha256"] = hashlib.sha256(truth.tobytes()).hexdigest()
            if tolerance:
                self.folder.joinpath("truth", name + ".rgb").write_bytes(truth.tobytes())
        self.entries[name] = entry

    def close(self):
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(self.entries.items()))
        self.folder.joinpath("manifest.json").write_text("{\n" + lines + "\n}\n")


def pillow(data):
    """Pillow's picture, upright, as RGB; `None` if it refuses."""
    from PIL import Image, ImageOps

    try:
        return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    except Exception:
        return None


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


# JPEG

SAMPLINGS = """1x1,1x1,1x1 2x1,1x1,1x1 1x2,1x1,1x1 2x2,1x1,1x1 4x1,1x1,1x1 1x4,1x1,1x1 4x2,1x1,1x1 2x4,1x1,1x1
    1x1,2x1,2x1 1x1,1x2,1x2 1x1,2x2,2x2 2x1,1x1,2x1 2x1,1x2,1x1 2x2,2x1,2x1 2x2,1x2,1x2 2x2,2x1,1x2 2x2,2x2,1x1 3x1,1x1,1x1
    1x3,1x1,1x1 3x2,1x1,1x1 4x1,2x1,1x1 2x1,2x1,2x1 1x2,1x2,1x2 4x1,2x1,2x1""".split()

SCANS = {"interleaved": None, "separate": "0;\n1;\n2;\n", "pairs": "0;\n1 2;\n", "mixed": "0 1;\n2;\n"}


def cjpeg(pixels, *flags, scans=None):
    head = b"P%d\n%d %d\n255\n" % (5 if pixels.ndim == 2 else 6, pixels.shape[1], pixels.shape[0])
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as script:
        if scans:
            script.write(scans)
            script.flush()
            flags = (*flags, "-scans", script.name)
        run = subprocess.run(["cjpeg", *flags], input=head + pixels.tobytes(), capture_output=True)
    return run.stdout if run.returncode == 0 else None


def segments(data):
    """Marker, start and end of each segment before the first scan's data."""
    at = 2
    while True:
        end = at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        yield data[at + 1], at, end
        if data[at + 1] == 0xDA:
            return
        at = end


def without(data, marker):
    cut = [(start, end) for m, start, end in segments(data) if m == marker]
    for start, end in reversed(cut):
        data = data[:start] + data[end:]
    return data


def app(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def exif(orientation, order=">"):
    mark = b"MM\0*" if order == ">" else b"II*\0"
    entry = struct.pack(order + "HHIHH", 0x112, 3, 1, orientation, 0)
    return mark + struct.pack(order + "IH", 8, 1) + entry + b"\0\0\0\0"


def jpegs(corpus):
    for (width, height), sampling in itertools.product(SIZES, SAMPLINGS):
        pixels = eight(scene(width, height))
        flags = ["-quality", "88", "-sample", sampling]
        name = f"jpeg-{width}x{height}-{sampling.replace(',', '_')}"
        for scan, script in SCANS.items():
            corpus.add(f"JPEG baseline, scans {scan}", f"{name}-{scan}.jpg", cjpeg(pixels, *flags, scans=script))
        corpus.add("JPEG progressive", f"{name}-progressive.jpg", cjpeg(pixels, *flags, "-progressive"))
        corpus.add("JPEG baseline with restarts", f"{name}-restart.jpg", cjpeg(pixels, *flags, "-restart", "2B"))
        rows = cjpeg(pixels, *flags, "-restart", "1", "-progressive")
        corpus.add("JPEG progressive with restarts", f"{name}-restart-progressive.jpg", rows)
    odd = [(1, 1), (1, 40), (40, 1), (2, 2), (3, 3), (8, 9), (16, 17)]
    for (width, height), sampling in itertools.product(odd, SAMPLINGS[:6]):
        for progressive in ((), ("-progressive",)):
            name = f"jpeg-{width}x{height}-{sampling.replace(',', '_')}-{len(progressive)}.jpg"
            data = cjpeg(eight(scene(width, height)), "-sample", sampling, *progressive)
            corpus.add("JPEG of few pixels", name, data)
    pixels = eight(scene(61, 47))
    for quality, optimize in itertools.product([1, 10, 30, 50, 75, 95, 100], [(), ("-optimize",), ("-progressive",)]):
        data = cjpeg(pixels, "-quality", str(quality), *optimize)
        corpus.add("JPEG of every quality", f"jpeg-quality-{quality}{''.join(optimize)}.jpg", data)
    grey = eight(grey_of(scene(61, 47)))
    for sampling, more in itertools.product(["1x1", "2x1", "2x2", "3x1", "4x4"], [(), ("-progressive",), ("-restart", "1B")]):
        data = cjpeg(grey, "-grayscale", "-sample", sampling, *more)
        corpus.add("JPEG grey", f"jpeg-grey-{sampling}{''.join(more)}.jpg", data)
    jpeg_colours(corpus, pixels)
    jpeg_segments(corpus, pixels)
    jpeg_refused(corpus, pixels)


def jpeg_colours(corpus, pixels):
    from PIL import Image
    import imagecodecs

    kind = "JPEG RGB, CMYK, YCCK"
    for more in ((), ("-progressive",), ("-restart", "1B")):
        rgb = cjpeg(pixels, "-rgb", *more)
        corpus.add(kind, f"jpeg-rgb{''.join(more)}.jpg", rgb)
        # Without Adobe's segment the names of the components decide.
        corpus.add(kind, f"jpeg-rgb-names{''.join(more)}.jpg", without(rgb, 0xEE))
        ycc = without(cjpeg(pixels, *more), 0xE0)
        corpus.add(kind, f"jpeg-ycc-bare{''.join(more)}.jpg", ycc)
        for transform in (0, 1, 2):
            adobe = app(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
            corpus.add(kind, f"jpeg-ycc-adobe{transform}{''.join(more)}.jpg", ycc[:2] + adobe + ycc[2:])
    cmyk = Image.fromarray(pixels).convert("CMYK")
    for progressive in (False, True):
        data = saved(cmyk, "JPEG", quality=90, progressive=progressive)
        corpus.add(kind, f"jpeg-cmyk-{progressive:d}.jpg", data)
        corpus.add(kind, f"jpeg-cmyk-bare-{progressive:d}.jpg", without(data, 0xEE))
        for transform in (0, 2):
            adobe = app(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
            data_with = without(data, 0xEE)
            data_with = data_with[:2] + adobe + data_with[2:]
            corpus.add(kind, f"jpeg-cmyk-adobe{transform}-{progressive:d}.jpg", data_with)
    for sampling in ("444", "422", "420"):
        data = imagecodecs.jpeg8_encode(np.asarray(cmyk), level=90, colorspace="CMYK", outcolorspace="YCCK", subsampling=sampling)
        corpus.add(kind, f"jpeg-ycck-{sampling}.jpg", data)


def jpeg_segments(corpus, pixels):
    base, progressive = cjpeg(pixels, "-quality", "90"), cjpeg(pixels, "-quality", "90", "-progressive")
    kind = "JPEG with odd segments"
    comment = app(0xFE, b"\xff\xd8\xff\xda\xff\xd9" * 50)
    thumb = app(0xE1, b"Exif\0\0" + exif(1) + base)
    for form, data in (("base", base), ("progressive", progressive)):
        corpus.add(kind, f"jpeg-{form}-comment.jpg", data[:2] + comment * 3 + data[2:])
        corpus.add(kind, f"jpeg-{form}-thumbnail.jpg", data[:2] + thumb + data[2:])
        corpus.add(kind, f"jpeg-{form}-many.jpg", data[:2] + app(0xE2, b"ICC_PROFILE\0" + bytes(900)) * 20 + data[2:])
        corpus.add(kind, f"jpeg-{form}-trailing.jpg", data + b"\0" * 100 + data)
        corpus.add(kind, f"jpeg-{form}-padding.jpg", data[:2] + b"\xff" * 7 + data[2:])
    for restart in ((), ("-restart", "1B")):
        data = cjpeg(pixels, "-quality", "90", *restart)
        corpus.add(kind, f"jpeg-no-tables{len(restart)}.jpg", without(data, 0xC4))
    # The height in a DNL segment behind the scan: Pillow refuses it, so the truth is the plain form.
    frame = next(start for marker, start, _ in segments(base) if marker == 0xC0)
    late = base[: frame + 5] + b"\0\0" + base[frame + 7 : -2] + b"\xff\xdc\0\4" + base[frame + 5 : frame + 7] + b"\xff\xd9"
    corpus.add(kind, "jpeg-late-height.jpg", late, truth=pillow(base))
    # Turned.
    for orientation, order in itertools.product(range(1, 9), "<>"):
        turn = app(0xE1, b"Exif\0\0" + exif(orientation, order))
        corpus.add("JPEG turned", f"jpeg-turned-{orientation}{'le' if order == '<' else 'be'}.jpg", base[:2] + turn + base[2:])
        scan = next(start for marker, start, _ in segments(base) if marker == 0xDA)
        data = base[:2] + comment + base[2:scan] + turn + base[scan:]
        corpus.add("JPEG turned", f"jpeg-turned-late-{orientation}{'le' if order == '<' else 'be'}.jpg", data)
    for orientation in (3, 6):
        xmp = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>' % orientation
        corpus.add("JPEG turned", f"jpeg-turned-xmp-{orientation}.jpg", base[:2] + app(0xE1, xmp) + base[2:])


def jpeg_refused(corpus, pixels):
    import imagecodecs

    kind = "JPEG arithmetic, 12 bits, lossless"
    corpus.add(kind, "jpeg-arithmetic.jpg", cjpeg(pixels, "-arithmetic"))
    corpus.add(kind, "jpeg-arithmetic-progressive.jpg", cjpeg(pixels, "-arithmetic", "-progressive"))
    twelve = (scene(61, 47) * 4095).astype(np.uint16)
    corpus.add(kind, "jpeg-12.jpg", imagecodecs.jpeg8_encode(twelve, bitspersample=12))
    corpus.add(kind, "jpeg-lossless.jpg", imagecodecs.jpeg8_encode(pixels, lossless=True))
    kind = "JPEG damaged"
    for form, flags in (("base", []), ("progressive", ["-progressive"]), ("restart", ["-restart", "1B"])):
        data = cjpeg(pixels, "-quality", "90", *flags)
        for share in (3, 5, 7, 9):
            cut = data[: len(data) * share // 10]
            corpus.add(kind, f"jpeg-cut-{form}-{share}.jpg", cut, damaged=True)
            corpus.add(kind, f"jpeg-cut-{form}-{share}-end.jpg", cut + b"\xff\xd9", damaged=True)


# PNG


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
        for colour, depth in [(0, 1), (0, 2), (0, 4), (0, 8), (2, 8), (4, 8), (6, 8), (0, 16), (2, 16), (4, 16), (6, 16)]:
            values = np.round((full if colour & 2 else grey)[..., : channels[colour]] * (2**depth - 1)).astype(np.uint16)
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
                    data = data[:at] + struct.pack(">I", len(transparent)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[at:]
                corpus.add("PNG palette", f"png-{where}-palette{depth}{'-tRNS' if transparent else ''}.png", data)
    pixels = eight(scene(61, 47))
    for how, level in itertools.product(range(5), (0, 1, 9)):
        corpus.add("PNG filters and levels", f"png-filter{how}-{level}.png", png(pixels, 8, 2, filters=how, level=level))
    for name, chunk in [("gAMA", (b"gAMA", struct.pack(">I", 100000))), ("sRGB", (b"sRGB", b"\0")), ("pHYs", (b"pHYs", struct.pack(">IIB", 1, 2, 0))), ("own", (b"abCd", b"x" * 99)), ("iCCP", (b"iCCP", b"p\0\0" + zlib.compress(bytes(400)))), ("tRNS", (b"tRNS", struct.pack(">HHH", 1, 2, 3)))]:
        corpus.add("PNG with odd chunks", f"png-{name}.png", png(pixels, 8, 2, chunks=[chunk]))
    for orientation, order in itertools.product(range(1, 9), "<>"):
        turn = (b"eXIf", exif(orientation, order))
        end = f"{orientation}{'le' if order == '<' else 'be'}.png"
        corpus.add("PNG turned", "png-turned-" + end, png(pixels, 8, 2, chunks=[turn]))
        corpus.add("PNG turned", "png-turned-late-" + end, png(pixels, 8, 2, late=[turn]))
    good = png(pixels, 8, 2)
    for share in (3, 6, 9):
        corpus.add("PNG damaged", f"png-cut-{share}.png", good[: len(good) * share // 10], damaged=True)


def bounds(values):
    """Black and white of unsigned samples: the largest value rounded up to the next of 10, 12, .. bits."""
    return 0, 2 ** next(bits for bits in range(10, 34, 2) if values.max() < 2**bits) - 1


# WebP, GIF, BMP, PNM


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
                corpus.add("WebP lossy", f"webp-{where}-{mode}-{quality}.webp", data, tolerance=2)
        corpus.add("WebP lossless", f"webp-{where}-grey.webp", saved(grey, "WEBP", lossless=True))
        animated = saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)], lossless=True)
        corpus.add("WebP lossless", f"webp-{where}-animated.webp", animated)
        for mode, image in (("palette", palette), ("grey", grey), ("bilevel", bilevel), ("rgb", rgb)):
            for interlaced in (0, 1):
                corpus.add("GIF", f"gif-{where}-{mode}-{interlaced}.gif", saved(image, "GIF", interlace=interlaced))
        corpus.add("GIF", f"gif-{where}-transparent.gif", saved(palette, "GIF", transparency=3))
        corpus.add("GIF", f"gif-{where}-animated.gif", saved(palette, "GIF", save_all=True, append_images=[palette.rotate(180)]))
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
        corpus.add("WebP turned", f"webp-turned-{orientation}.webp", saved(image, "WEBP", lossless=True, exif=turn.tobytes()))


def bitmaps(corpus, where, rgb, index):
    """Bitmaps that Pillow does not write: 16 bits, rows from the top, run lengths, the oldest header."""
    height, width = rgb.shape[:2]

    def bmp(bits, compression, rows, palette=b"", masks=b"", top=False, old=False):
        if old:
            info = struct.pack("<IHHHH", 12, width, height, 1, bits)
        else:
            colours = len(palette) // 4
            sides = struct.pack("<ii", width, -height if top else height)
            info = struct.pack("<I", 40) + sides + struct.pack("<HHIIiiII", 1, bits, compression, len(rows), 2835, 2835, colours, 0)
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
    corpus.add("BMP 16 bits", f"bmp-{where}-555.bmp", bmp(16, 0, padded(row.tobytes() for row in five[::-1])), tolerance=8)
    corpus.add("BMP 16 bits", f"bmp-{where}-565.bmp", bmp(16, 3, padded(row.tobytes() for row in six[::-1]), masks=masks), tolerance=8)
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


# TIFF


def tiff(values, **options):
    import tifffile

    out = io.BytesIO()
    turn = options.pop("orientation", None)
    more = options.pop("extratags", [])
    if turn:
        more = [*more, (274, 3, 1, turn, True)]
    tifffile.imwrite(out, values, metadata=None, software=False, extratags=more, **options)
    return out.getvalue()


LAYOUTS = {
    "strip": {},
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 16)},
    "wide-tiles": {"tile": (64, 32)},
}
PACKINGS = {
    "none": {},
    "packbits": {"compression": "packbits"},
    "lzw": {"compression": "lzw"},
    "lzw-predicted": {"compression": "lzw", "predictor": True},
    "deflate": {"compression": "zlib"},
    "deflate-predicted": {"compression": "zlib", "predictor": True},
    "zstd": {"compression": "zstd"},
    "lzma": {"compression": "lzma"},
}


def tiffs(corpus):
    rgb = scene(61, 47)
    alpha = scene(61, 47, 1)[..., :1]
    grey = grey_of(rgb)
    forms = {
        "grey": (eight(grey), {"photometric": "minisblack"}, eight(grey)),
        "white": (255 - eight(grey), {"photometric": "miniswhite"}, eight(grey)),
        "rgb": (eight(rgb), {"photometric": "rgb"}, eight(rgb)),
        "planar": (np.moveaxis(eight(rgb), -1, 0), {"photometric": "rgb", "planarconfig": "separate"}, eight(rgb)),
        "rgba": (eight(np.concatenate([rgb, alpha], -1)), {"photometric": "rgb", "extrasamples": ["unassalpha"]}, eight(rgb)),
        "grey-alpha": (eight(np.concatenate([grey[..., None], alpha], -1)), {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]}, eight(grey)),
    }
    for (form, (values, about, truth)), (layout, where), (packing, how) in itertools.product(forms.items(), LAYOUTS.items(), PACKINGS.items()):
        for order, big in ((("<", False), (">", True)) if layout in ("strips", "tiles") else (("<", False),)):
            options = about | where | how | {"byteorder": order, "bigtiff": big}
            name = f"tiff-{form}-{layout}-{packing}{'-big' if big else ''}.tif"
            corpus.add(f"{'BigTIFF' if big else 'TIFF'} 8 bits", name, tiff(values, **options), truth)
    tiff_wide(corpus, rgb, grey)
    tiff_odd(corpus, rgb, grey)
    for orientation in range(1, 9):
        corpus.add("TIFF turned", f"tiff-turned-{orientation}.tif", tiff(eight(rgb), photometric="rgb", orientation=orientation))


def tiff_wide(corpus, rgb, grey):
    packings = ("none", "lzw-predicted", "deflate", "deflate-predicted", "zstd")
    kinds = [("u16", np.uint16, 65535), ("u16-12", np.uint16, 4095), ("u16-10", np.uint16, 1000), ("u32", np.uint32, 2**32 - 1),
             ("u32-16", np.uint32, 65535), ("f16", np.float16, 1), ("f32", np.float32, 1), ("f32-255", np.float32, 255), ("f64", np.float64, 1)]
    for (kind, dtype, top), (colour, content), layout, packing in itertools.product(
        kinds, (("grey", grey), ("rgb", rgb), ("planar", rgb)), ("strips", "tiles"), packings
    ):
        scaled = content * top
        values = (np.round(scaled) if np.issubdtype(dtype, np.integer) else scaled).astype(dtype)
        truth = rounded(values, *(bounds(values) if np.issubdtype(dtype, np.integer) else (0, top)))
        options = {"photometric": "minisblack" if colour == "grey" else "rgb"} | LAYOUTS[layout] | PACKINGS[packing]
        if colour == "planar":
            values, options = np.moveaxis(values, -1, 0), options | {"planarconfig": "separate"}
        for order in "<>" if packing == "none" else "<":
            try:
                data = tiff(values, byteorder=order, **options)
            except Exception:
                continue
            where = f"{layout}-{packing}-{'le' if order == '<' else 'be'}"
            group = "TIFF float" if dtype in (np.float16, np.float32, np.float64) else "TIFF 16 and 32 bits"
            corpus.add(group, f"tiff-{kind}-{colour}-{where}.tif", data, truth, tolerance=1)
    for bits in (10, 12, 14):
        for colour, content in (("grey", grey), ("rgb", rgb)):
            values = np.round(content * (2**bits - 1)).astype(np.uint16)
            data = tiff(values, photometric="minisblack" if colour == "grey" else "rgb", bitspersample=bits)
            corpus.add("TIFF 10, 12, 14 bits", f"tiff-{bits}bits-{colour}.tif", data, rounded(values, 0, 2**bits - 1), tolerance=1)


def tiff_odd(corpus, rgb, grey):
    from PIL import Image

    image = Image.fromarray(eight(rgb))
    for bits in (1, 2, 4):
        values = np.round(grey * (2**bits - 1)).astype(np.uint8)
        truth = (values.astype(np.uint32) * 255 // (2**bits - 1)).astype(np.uint8)
        data = tiff(values, photometric="minisblack", bitspersample=bits)
        corpus.add("TIFF 1, 2, 4 bits", f"tiff-{bits}bits.tif", data, truth)
    bilevel = image.convert("1")
    for compression in ("raw", "packbits", "tiff_lzw", "group3", "group4", "tiff_ccitt", "tiff_deflate"):
        corpus.add("TIFF bilevel and fax", f"tiff-bilevel-{compression}.tif", saved(bilevel, "TIFF", compression=compression))
    palette = image.quantize(64)
    for compression in ("raw", "packbits", "tiff_lzw", "tiff_deflate", "zstd", "lzma"):
        corpus.add("TIFF palette", f"tiff-palette-{compression}.tif", saved(palette, "TIFF", compression=compression))
        cmyk = image.convert("CMYK")
        corpus.add("TIFF CMYK", f"tiff-cmyk-{compression}.tif", saved(cmyk, "TIFF", compression=compression))
    for quality in (60, 90):
        corpus.add("TIFF JPEG", f"tiff-jpeg-{quality}.tif", saved(image, "TIFF", compression="jpeg", quality=quality), tolerance=3)
        corpus.add("TIFF JPEG", f"tiff-jpeg-grey-{quality}.tif", saved(image.convert("L"), "TIFF", compression="jpeg", quality=quality), tolerance=3)
    for layout, sampling in itertools.product(LAYOUTS, ((1, 1), (2, 1), (2, 2))):
        where = LAYOUTS[layout] if layout != "strips" else {"rowsperstrip": 16}
        try:
            data = tiff(eight(rgb), photometric="ycbcr", compression="jpeg", subsampling=sampling, **where)
        except Exception:
            continue
        corpus.add("TIFF JPEG", f"tiff-jpeg-{layout}-{sampling[0]}{sampling[1]}.tif", data, tolerance=3)
    for share in (0, 1, 128, 255):
        values = np.concatenate([eight(rgb) * (share / 255), np.full(grey.shape + (1,), share)], -1).astype(np.uint8)
        data = tiff(values, photometric="rgb", extrasamples=["assocalpha"])
        corpus.add("TIFF associated alpha", f"tiff-associated-{share}.tif", data)
    two = np.stack([eight(rgb), eight(rgb)[::-1]])
    corpus.add("TIFF of two pages", "tiff-pages.tif", tiff(two, photometric="rgb"), eight(rgb))
    good = tiff(eight(rgb), photometric="rgb", rowsperstrip=5, compression="zlib")
    for share in (3, 6, 9):
        # The directory of pages lies before the data here.
        corpus.add("TIFF damaged", f"tiff-cut-{share}.tif", good[: len(good) * share // 10], damaged=True)


def make(folder):
    corpus = Corpus(folder)
    for part in (jpegs, pngs, others, tiffs):
        part(corpus)
    corpus.close()
    print(f"{len(corpus.entries)} pictures")


def compare(folder, program, details=25):
    """A table by kind; the number of pictures that are wrong without an error."""
    entries = json.loads(folder.joinpath("manifest.json").read_text())
    names = "".join(f"{folder / name}\n" for name in entries)
    out = io.BytesIO(subprocess.run([program], input=names.encode(), capture_output=True, check=True).stdout)
    columns = ("tried", "equal", "within tolerance", "refused", "refused by both", "wrong")
    table = collections.defaultdict(collections.Counter)
    for name, entry in entries.items():
        about = json.loads(out.readline())
        found = b"" if "error" in about else out.read(about["width"] * about["height"] * 3)
        verdict = judge(folder / "truth" / (name + ".rgb"), entry, about, found)
        table[entry["kind"]].update(["tried", verdict])
        if verdict in ("wrong", "refused") and details > 0:
            details -= 1
            print(f"{name}: {verdict}, {about}", file=sys.stderr)
    total = sum(table.values(), collections.Counter())
    print("| kind | " + " | ".join(columns) + " |\n| --- |" + " ---: |" * len(columns))
    for kind, counts in [*sorted(table.items()), ("all", total)]:
        print(f"| {kind} | " + " | ".join(str(counts[column]) for column in columns) + " |")
    valid = total["tried"] - total["refused by both"]
    print(f"\nRefused, but read by Pillow or written to a known rule: {100 * total['refused'] / valid:.2f} %")
    return total["wrong"]


def judge(truth, entry, about, found):
    if "sha256" not in entry:
        # Nothing is known to be right: an error, or a word about the damage.
        refused = "error" in about or entry.get("damaged") and about["warnings"]
        return "refused by both" if refused else "wrong"
    if "error" in about:
        return "refused"
    if hashlib.sha256(found).hexdigest() == entry["sha256"]:
        return "equal"
    if (about["width"], about["height"]) != (entry["width"], entry["height"]) or not entry["tolerance"]:
        return "wrong"
    far = abs(np.frombuffer(found, np.uint8).astype(int) - np.frombuffer(truth.read_bytes(), np.uint8)).max()
    return "within tolerance" if far <= entry["tolerance"] else "wrong"


def thin(folder, into, most=3 << 19):
    """Copies pictures of every kind in turn while they fit into `most` bytes."""
    entries = json.loads(folder.joinpath("manifest.json").read_text())
    kinds = collections.defaultdict(list)
    for name in sorted(entries, key=lambda name: hashlib.sha256(name.encode()).digest()):
        kinds[entries[name]["kind"]].append(name)
    chosen, used = {}, 0
    for name in (name for turn in itertools.zip_longest(*kinds.values()) for name in turn if name):
        files = [file for file in (folder / name, folder / "truth" / (name + ".rgb")) if file.exists()]
        size = sum(-(-file.stat().st_size // 512) * 512 for file in files)
        if used + size > most:
            continue
        used += size
        chosen[name] = entries[name]
        for file in files:
            target = into / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(chosen.items()))
    into.joinpath("manifest.json").write_text("{\n" + lines + "\n}\n")
    print(f"{len(chosen)} pictures, {used >> 10} KiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, second in (("make", None), ("compare", "program"), ("thin", "into")):
        command = commands.add_parser(name)
        command.add_argument("folder", type=pathlib.Path)
        if second:
            command.add_argument(second, type=pathlib.Path)
    arguments = parser.parse_args()
    match arguments.command:
        case "make":
            make(arguments.folder)
        case "compare":
            sys.exit(1 if compare(arguments.folder, arguments.program) else 0)
        case "thin":
            thin(arguments.folder, arguments.into)


if __name__ == "__main__":
    main()
