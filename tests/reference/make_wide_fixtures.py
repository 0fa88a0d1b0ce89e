#!/usr/bin/env python3
"""Makes tests/data/wide: one tiny TIFF or PNM per kind, and the 8-bit RGB that is right for each.

    pip install numpy pillow tifffile imagecodecs
    python tests/reference/make_wide_fixtures.py tests/data/wide

`expected.json` holds, per file, [name of a truth, tolerance, words of a warning or null], and the truths. A truth
follows from the array that was written, by the rule for wide samples; that of JPEG is Pillow's decoding.
"""

import json
import pathlib
import struct
import sys

import numpy as np
import tifffile
from PIL import Image

WIDTH, HEIGHT = 19, 18
OUT = pathlib.Path(sys.argv[1])
OUT.mkdir(parents=True, exist_ok=True)
files, truths = {}, {}

rng = np.random.default_rng(16)
y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
rgb = np.stack([x * 13, y * 14, (x + y) * 7], -1).astype(np.uint8)
rgb[4:9, 3:8] = [255, 3, 77]
grey = rgb[..., 0].copy()
alpha = (20 + x * 5 + y * 6).astype(np.uint8)
bits = ((x * y + x) % 5 < 2).astype(np.uint8)
bits[:2], bits[2:4], bits[:, 0] = 0, 1, y[:, 0] % 2
BY_LARGEST = "by the largest value"


def truth(name, array):
    truths[name] = np.broadcast_to(array[..., None] if array.ndim == 2 else array, (HEIGHT, WIDTH, 3))[..., :3]


def known(name, of, tolerance=0, warning=None):
    files[name] = [of, tolerance, warning]


def tif(name, array, of, warning=None, tolerance=0, **settings):
    tifffile.imwrite(OUT / f"{name}.tif", array, metadata=None, software=False, **settings)
    known(f"{name}.tif", of, tolerance, warning)


def raw(name, data, of, depth, samples, photometric, fields=(), order="<", tolerance=0, warning=None):
    """An uncompressed TIFF in one strip, for what no library writes."""
    entries = {256: (4, [WIDTH]), 257: (4, [HEIGHT]), 258: (3, [depth] * samples), 259: (3, [1]),
               262: (3, [photometric]), 273: (4, [0]), 277: (3, [samples]), 278: (4, [HEIGHT]), 279: (4, [len(data)])}
    entries.update({tag: (kind, values) for tag, kind, values in fields})
    code = {1: "B", 3: "H", 4: "I"}
    place = 8 + 2 + 12 * len(entries) + 4
    packed = {tag: struct.pack(order + code[kind] * len(values), *values) for tag, (kind, values) in entries.items()}
    start = place + sum(len(value) for value in packed.values() if len(value) > 4)
    packed[273] = struct.pack(order + "I", start)
    table, far = b"", b""
    for tag in sorted(entries):
        value = packed[tag]
        if len(value) > 4:
            value, far = struct.pack(order + "I", place + len(far)), far + value
        table += struct.pack(order + "HHI", tag, entries[tag][0], len(entries[tag][1])) + value.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    (OUT / f"{name}.tif").write_bytes(head + table + bytes(4) + far + data)
    known(f"{name}.tif", of, tolerance, warning)


def pack(values, depth):
    rows = b""
    for row in values:
        text = "".join(format(int(value), f"0{depth}b") for value in row.ravel())
        text += "0" * (-len(text) % 8)
        rows += int(text, 2).to_bytes(len(text) // 8, "big")
    return rows


def main():
    truth("rgb", rgb)
    truth("grey", grey)
    truth("bits", bits * 255)
    plain = dict(photometric="rgb")
    mono = dict(photometric="minisblack")
    wide = grey.astype(np.uint16)
    planes = np.moveaxis(rgb, -1, 0).copy()

    # Compressions, in tiles that do not divide the picture, in planes, with and without differences.
    for compression in ["lzw", "deflate", "packbits", "zstd", "lzma"]:
        tif(f"tiles_{compression}", rgb, "rgb", compression=compression, tile=(16, 16), **plain)
        tif(f"planes_{compression}", planes, "rgb", compression=compression, tile=(16, 16), planarconfig="separate",
            **plain)
        if compression != "packbits":
            tif(f"differences_{compression}", rgb, "rgb", compression=compression, predictor=True, rowsperstrip=5, **plain)
    tif("big", rgb, "rgb", bigtiff=True, rowsperstrip=4, **plain)
    tif("big_be", rgb, "rgb", bigtiff=True, byteorder=">", compression="lzw", **plain)
    tif("differences_16_be", rgb.astype(np.uint16) * 257, "rgb", BY_LARGEST, byteorder=">", compression="zstd",
        predictor=True, planarconfig="contig", **plain)
    tif("differences_float", (rgb / 255).astype(np.float32), "rgb", "values 0 to 1", compression="deflate",
        predictor=True, **plain)

    # Grey, alpha, palettes, inks.
    tif("white_is_zero", 255 - grey, "grey", photometric="miniswhite")
    tif("grey_alpha", np.dstack([grey, alpha]), "grey", extrasamples=["unassalpha"], planarconfig="contig", **mono)
    tif("grey_extra", np.dstack([grey, alpha, alpha]), "grey", "2 of 3 samples", planarconfig="contig", **mono)
    tif("rgba", np.dstack([rgb, alpha]), "rgb", extrasamples=["unassalpha"], **plain)
    associated = (rgb.astype(int) * alpha[..., None] // 255).astype(np.uint8)
    tif("associated", np.dstack([associated, alpha]), "associated", extrasamples=["assocalpha"], **plain)
    truth("associated", np.minimum(255, associated.astype(int) * 255 // alpha[..., None]))
    palette = rng.integers(0, 256, (3, 256))
    truth("palette", palette[:, grey].transpose(1, 2, 0))
    tif("palette", grey, "palette", photometric="palette", colormap=(palette * 257).astype(np.uint16))
    small = palette[:, :4]
    truth("palette2", small[:, grey >> 6].transpose(1, 2, 0))
    raw("palette2", pack(grey >> 6, 2), "palette2", 2, 1, 3, [(320, 3, (small * 257).ravel().tolist())])
    raw("palette2_short", pack(grey >> 6, 2), "palette2", 2, 1, 3, [(320, 3, small.ravel().tolist())])
    inks = np.dstack([255 - rgb, alpha // 2])
    tif("cmyk", inks, "cmyk", photometric="separated")
    light = 255 - inks[..., 3:].astype(int)
    product = inks[..., :3] * light + 128
    truth("cmyk", light - ((product + (product >> 8)) >> 8))

    # Depths.
    for depth in [1, 2, 4, 6, 10, 12, 14]:
        top = (1 << depth) - 1
        values = grey.astype(int) >> (8 - depth) if depth < 8 else grey.astype(int) << (depth - 8)
        of = "grey" if depth > 8 else f"grey{depth}"
        truth(of, grey if depth > 8 else (values * 255 + top // 2) // top)
        raw(f"packed{depth}", pack(values, depth), of, depth, 1, 1, order="<>"[depth // 2 % 2])
    raw("reversed4", bytes(int(f"{b:08b}"[::-1], 2) for b in pack(grey >> 4, 4)), "grey4", 4, 1, 1, [(266, 3, [2])])
    for depth in [10, 12, 14, 16]:
        scaled = wide << (depth - 8)
        scaled[0, 0] = (1 << depth) - 1
        truth(f"largest{depth}", scaled >> (depth - 8))
        tif(f"largest{depth}", scaled, f"largest{depth}", BY_LARGEST, **mono)
    tif("named", wide * 3, "grey", "named in the file", extratags=[(340, 3, 1, 0, True), (341, 3, 1, 765, True)], **mono)
    tif("rgb_u32", rgb.astype(np.uint32) * 16843009, "rgb", BY_LARGEST, **plain)
    tif("signed16", (wide.astype(int) * 257 - 32768).astype(np.int16), "grey", "some values are negative", **mono)
    tif("signed16_positive", (wide * 64).astype(np.int16), "grey", BY_LARGEST, **mono)
    tif("signed8", (grey.astype(int) - 128).astype(np.int8), "grey", "some values are negative", **mono)
    for kind in [np.float16, np.float32, np.float64]:
        tif(f"{kind.__name__}_1", (rgb / 255).astype(kind), "rgb", "values 0 to 1", **plain)
        tif(f"{kind.__name__}_255", rgb.astype(kind), "rgb", "values 0 to 255", byteorder=">", **plain)

    # Luma and colour differences, JPEG, fax.
    luma = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    raw("ycbcr11", luma.tobytes(), "rgb", 8, 3, 6, [(530, 3, [1, 1])], tolerance=3)
    shared = luma.copy()
    shared[..., 1:] = luma[y // 2 * 2, x // 2 * 2][..., 1:]
    units = b"".join(
        bytes(int(luma[min(v + j, HEIGHT - 1), min(u + i, WIDTH - 1), 0]) for j in (0, 1) for i in (0, 1))
        + luma[v, u, 1:].tobytes() for v in range(0, HEIGHT, 2) for u in range(0, WIDTH, 2))
    truth("ycbcr22", np.asarray(Image.fromarray(shared, "YCbCr").convert("RGB")))
    raw("ycbcr22", units, "ycbcr22", 8, 3, 6, [(530, 3, [2, 2])], tolerance=3)
    for name, array, settings in [
        ("jpeg_ycbcr", rgb, dict(plain, tile=(16, 16))), ("jpeg_grey", grey, dict(mono, rowsperstrip=8)),
        ("jpeg_planes", planes, dict(plain, planarconfig="separate")), ("jpeg_cmyk", inks, dict(photometric="separated")),
    ]:
        tif(name, array, name, compression="jpeg", tolerance=4, **settings)
        truth(name, np.asarray(Image.open(OUT / f"{name}.tif").convert("RGB")))
    picture = Image.fromarray(bits * 255).convert("1", dither=Image.Dither.NONE)
    for compression in ["group3", "group4", "tiff_ccitt", "packbits"]:
        picture.save(OUT / f"bits_{compression}.tif", compression=compression)
        known(f"bits_{compression}.tif", "bits")

    # Pages, orientation.
    tif("pages", np.stack([rgb, 255 - rgb, rgb]), "rgb", "the first of 3 pages", **plain)
    turns = {2: np.fliplr(rgb), 3: np.rot90(rgb, 2), 4: np.flipud(rgb), 6: np.rot90(rgb, 1), 8: np.rot90(rgb, -1)}
    for orientation, stored in turns.items():
        Image.fromarray(stored).save(OUT / f"turned{orientation}.tif", tiffinfo={274: orientation})
        known(f"turned{orientation}.tif", "rgb")

    # PNM.
    def pnm(name, content, of, warning=None):
        (OUT / name).write_bytes(content)
        known(name, of, 0, warning)

    size = f"{WIDTH} {HEIGHT}\n"
    text = lambda values: ("\n".join(" ".join(map(str, row.ravel())) for row in values) + "\n").encode()
    pnm("p1.pbm", f"P1\n# bits\n{size}".encode() + text(1 - bits).replace(b" ", b""), "bits")
    pnm("p2.pgm", f"P2 {size} 255\n".encode() + text(grey), "grey")
    pnm("p3.ppm", f"P3\n{size}255\n".encode() + text(rgb), "rgb")
    pnm("p4.pbm", f"P4\n{size}".encode() + pack(1 - bits, 1), "bits")
    pnm("p5.pgm", f"P5 # grey\n{size}255\n".encode() + grey.tobytes(), "grey")
    pnm("p5_wide.pgm", f"P5\n{size}4095\n".encode() + (wide * 16).astype(">u2").tobytes(), "grey", "named in the file")
    pnm("p6_wide.pnm", f"P6\n{size}65535\n".encode() + (rgb.astype(int) * 257).astype(">u2").tobytes(), "rgb",
        "named in the file")
    pnm("p6_two.ppm", 2 * (f"P6\n{size}255\n".encode() + rgb.tobytes()), "rgb", "the first of 2 pages")

    about = {"files": files, "size": [WIDTH, HEIGHT],
             "truths": {name: np.asarray(value, np.uint8).tobytes().hex() for name, value in truths.items()}}
    (OUT / "expected.json").write_text(json.dumps(about, indent=0) + "\n")


main()
