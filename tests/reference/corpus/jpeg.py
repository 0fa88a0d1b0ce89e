"""JPEG: samplings, scans, colours, segments, damage."""

import itertools
import struct
import subprocess
import tempfile

import numpy as np

from common import SIZES, eight, exif, grey_of, pillow, saved, scene

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
    # The decoder takes 32 rows of MCUs at a time.
    pixels = eight(scene(24, 1100))
    for sampling, more in itertools.product(SAMPLINGS, [(), ("-progressive",), ("-restart", "1")]):
        data = cjpeg(pixels, "-quality", "60", "-sample", sampling, *more)
        corpus.add("JPEG of many rows", f"jpeg-24x1100-{sampling.replace(',', '_')}{''.join(more)}.jpg", data)
    for sampling, more in itertools.product(["1x1", "2x2", "3x3", "4x4"], [(), ("-progressive",)]):
        data = cjpeg(eight(grey_of(scene(24, 1100))), "-grayscale", "-quality", "60", "-sample", sampling, *more)
        corpus.add("JPEG of many rows", f"jpeg-24x1100-grey-{sampling}{''.join(more)}.jpg", data)
    pixels = eight(scene(61, 47))
    for quality, optimize in itertools.product([1, 10, 30, 50, 75, 95, 100], [(), ("-optimize",), ("-progressive",)]):
        data = cjpeg(pixels, "-quality", str(quality), *optimize)
        corpus.add("JPEG of every quality", f"jpeg-quality-{quality}{''.join(optimize)}.jpg", data)
    grey = eight(grey_of(scene(61, 47)))
    for sampling, more in itertools.product(
        ["1x1", "2x1", "2x2", "3x1", "4x4"], [(), ("-progressive",), ("-restart", "1B")]
    ):
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
        data = imagecodecs.jpeg8_encode(
            np.asarray(cmyk), level=90, colorspace="CMYK", outcolorspace="YCCK", subsampling=sampling
        )
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
    late = (
        base[: frame + 5] + b"\0\0" + base[frame + 7 : -2] + b"\xff\xdc\0\4" + base[frame + 5 : frame + 7] + b"\xff\xd9"
    )
    corpus.add(kind, "jpeg-late-height.jpg", late, truth=pillow(base))
    # Turned.
    for orientation, order in itertools.product(range(1, 9), "<>"):
        turn = app(0xE1, b"Exif\0\0" + exif(orientation, order))
        corpus.add(
            "JPEG turned", f"jpeg-turned-{orientation}{'le' if order == '<' else 'be'}.jpg", base[:2] + turn + base[2:]
        )
        scan = next(start for marker, start, _ in segments(base) if marker == 0xDA)
        data = base[:2] + comment + base[2:scan] + turn + base[scan:]
        corpus.add("JPEG turned", f"jpeg-turned-late-{orientation}{'le' if order == '<' else 'be'}.jpg", data)
    for orientation in (3, 6):
        xmp = (
            b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'
            % orientation
        )
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
