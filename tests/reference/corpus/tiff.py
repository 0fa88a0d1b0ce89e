"""TIFF and BigTIFF: layouts, compressions, sample types, colours, damage."""

import io
import itertools

import numpy as np

from common import bounds, eight, grey_of, rounded, saved, scene


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
        "rgba": (
            eight(np.concatenate([rgb, alpha], -1)),
            {"photometric": "rgb", "extrasamples": ["unassalpha"]},
            eight(rgb),
        ),
        "grey-alpha": (
            eight(np.concatenate([grey[..., None], alpha], -1)),
            {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]},
            eight(grey),
        ),
    }
    for (form, (values, about, truth)), (layout, where), (packing, how) in itertools.product(
        forms.items(), LAYOUTS.items(), PACKINGS.items()
    ):
        for order, big in ((("<", False), (">", True)) if layout in ("strips", "tiles") else (("<", False),)):
            options = about | where | how | {"byteorder": order, "bigtiff": big}
            name = f"tiff-{form}-{layout}-{packing}{'-big' if big else ''}.tif"
            corpus.add(f"{'BigTIFF' if big else 'TIFF'} 8 bits", name, tiff(values, **options), truth)
    tiff_wide(corpus, rgb, grey)
    tiff_odd(corpus, rgb, grey)
    for orientation in range(1, 9):
        corpus.add(
            "TIFF turned",
            f"tiff-turned-{orientation}.tif",
            tiff(eight(rgb), photometric="rgb", orientation=orientation),
        )


def tiff_wide(corpus, rgb, grey):
    packings = ("none", "lzw-predicted", "deflate", "deflate-predicted", "zstd")
    kinds = [
        ("u16", np.uint16, 65535),
        ("u16-12", np.uint16, 4095),
        ("u16-10", np.uint16, 1000),
        ("u32", np.uint32, 2**32 - 1),
        ("u32-16", np.uint32, 65535),
        ("f16", np.float16, 1),
        ("f32", np.float32, 1),
        ("f32-255", np.float32, 255),
        ("f64", np.float64, 1),
    ]
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
            corpus.add(group, f"tiff-{kind}-{colour}-{where}.tif", data, truth, tolerance=int(group != "TIFF float"))
    for bits in (10, 12, 14):
        for colour, content in (("grey", grey), ("rgb", rgb)):
            values = np.round(content * (2**bits - 1)).astype(np.uint16)
            data = tiff(values, photometric="minisblack" if colour == "grey" else "rgb", bitspersample=bits)
            corpus.add(
                "TIFF 10, 12, 14 bits",
                f"tiff-{bits}bits-{colour}.tif",
                data,
                rounded(values, 0, 2**bits - 1),
                tolerance=1,
            )


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
        corpus.add(
            "TIFF bilevel and fax", f"tiff-bilevel-{compression}.tif", saved(bilevel, "TIFF", compression=compression)
        )
    palette = image.quantize(64)
    for compression in ("raw", "packbits", "tiff_lzw", "tiff_deflate", "zstd", "lzma"):
        corpus.add("TIFF palette", f"tiff-palette-{compression}.tif", saved(palette, "TIFF", compression=compression))
        cmyk = image.convert("CMYK")
        corpus.add("TIFF CMYK", f"tiff-cmyk-{compression}.tif", saved(cmyk, "TIFF", compression=compression))
    for quality in (60, 90):
        corpus.add("TIFF JPEG", f"tiff-jpeg-{quality}.tif", saved(image, "TIFF", compression="jpeg", quality=quality))
        corpus.add(
            "TIFF JPEG",
            f"tiff-jpeg-grey-{quality}.tif",
            saved(image.convert("L"), "TIFF", compression="jpeg", quality=quality),
        )
    for layout, sampling in itertools.product(LAYOUTS, ((1, 1), (2, 1), (2, 2))):
        where = LAYOUTS[layout] if layout != "strips" else {"rowsperstrip": 16}
        try:
            data = tiff(eight(rgb), photometric="ycbcr", compression="jpeg", subsampling=sampling, **where)
        except Exception:
            continue
        corpus.add("TIFF JPEG", f"tiff-jpeg-{layout}-{sampling[0]}{sampling[1]}.tif", data)
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
