#!/usr/bin/env python3
"""Makes tests/fuzz/seeds: small inputs of every kind that the fuzz targets and the smoke test begin with.

    pip install 'pillow<13' numpy torch
    python tests/reference/make_fuzz_seeds.py tests/fuzz/seeds

Inputs that a fuzzer found are kept beside them under names that begin with `found-`; this script leaves them alone.
PyTorch's old form names storages by their addresses, so those files differ from run to run.
The pictures of tests/data/images and the checkpoints of tests/data/torch are seeds too.
"""

import base64
import collections
import io
import json
import pathlib
import struct
import sys

import numpy as np
import torch
from PIL import Image


def records():
    """Lines of a run's results: scored, failed, and the first name again."""
    scored = {
        "schema": 3, "path": "in/a.png", "name": "a.png", "bytes": 5, "modified": 7, "sha256": None,
        "model": "builtin", "method": "aa-clip", "class": "object", "score": 0.25, "anomalous": False,
        "threshold": 0.5, "components": {
            "image": 0.5, "map_min": 0.0, "map_max": 1.0, "map_mean": 0.1,
        },
        "region_threshold": 0.5, "regions": [{"x": 1, "y": 2, "width": 3, "height": 4, "area": 5, "peak": 0.6}],
        "size": {"width": 9, "height": 8}, "image_size": 224, "tiles": 1, "files": {"overlay": "a.png.overlay.png"},
        "timing_ms": {"decode": 1, "preprocess": 1, "model": 1, "map": 1, "write": 1, "total": 5}, "error": None,
    }
    nothing = dict.fromkeys(["bytes", "modified", "score", "anomalous", "components", "size", "image_size", "tiles", "timing_ms"])
    failed = {**scored, **nothing, "name": "b", "name_base64": "Yv8=", "regions": [], "files": {}}
    yield scored
    yield {**failed, "error": {"kind": "empty", "message": "b is empty"}}
    yield {**scored, "score": 0.75, "anomalous": True}


def pictures():
    y, x = np.mgrid[0:12, 0:16]
    rgb = Image.fromarray(np.stack([x * 15, y * 20, (x * y * 7) % 256], -1).astype(np.uint8))
    grey, rgba = rgb.convert("L"), rgb.convert("RGBA")
    rgba.putalpha(grey)
    deep = Image.fromarray((np.asarray(grey).astype(np.uint16) * 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [rgb.quantize(8), rgb.rotate(90).quantize(8)]
    yield "progressive.jpg", rgb, {"progressive": True, "quality": 60}
    yield "subsampled.jpg", rgb, {"subsampling": 2, "quality": 40}
    yield "restart.jpg", rgb, {"restart_marker_blocks": 1}
    yield "turned.jpg", rgb, {"exif": exif}
    yield "cmyk.jpg", rgb.convert("CMYK"), {}
    yield "deep.png", deep, {}
    yield "rgba.png", rgba, {"optimize": True}
    yield "two_bits.png", rgb.quantize(4), {"bits": 2}
    yield "animated.png", frames[0].convert("RGB"), {"save_all": True, "append_images": [frames[1].convert("RGB")]}
    yield "animated.gif", frames[0], {"save_all": True, "append_images": frames[1:], "transparency": 1}
    yield "lossy.webp", rgb, {"quality": 50}
    yield "alpha.webp", rgba, {"quality": 50}
    yield "animated.webp", rgb, {"save_all": True, "append_images": [rgb.rotate(90)], "quality": 30}
    yield "rgba.bmp", rgba, {}
    for name, compression in [("lzw", "tiff_lzw"), ("deflate", "tiff_adobe_deflate"), ("packbits", "packbits")]:
        yield f"{name}.tif", rgb, {"compression": compression}
    yield "fax.tif", grey.convert("1"), {"compression": "group4"}
    yield "jpeg.tif", rgb, {"compression": "jpeg"}
    yield "deep.tif", deep, {}
    yield "floats.tif", Image.fromarray(np.asarray(grey) / np.float32(255)), {}
    yield "cmyk.tif", rgb.convert("CMYK"), {}
    yield "palette.tif", rgb.quantize(8), {}
    yield "plain.gif", Image.new("P", (3, 3)), {}


def run_length_bmp():
    """8 bits, run-length encoded: Pillow reads but does not write it."""
    data = bytes([4, 1, 2, 2, 0, 0, 0, 4, 1, 2, 3, 0, 0, 0, 0, 2, 1, 0, 2, 3, 0, 1])
    palette = b"".join(bytes([i * 60, 255 - i * 60, i, 0]) for i in range(4))
    header = struct.pack("<IiiHHIIiiII", 40, 6, 3, 1, 8, 1, len(data), 0, 0, 4, 0)
    start = 14 + len(header) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + header + palette + data


def values(*shape):
    count = int(np.prod(shape))
    return ((torch.arange(count) * 37 % 101 - 50) / 64).reshape(shape)


def saved(value, **how):
    out = io.BytesIO()
    torch.save(value, out, **how)
    return out.getvalue()


def safetensors(tensors, metadata=None):
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def floats(*shape):
    return "F32", list(shape), values(*shape).numpy().astype("<f4").tobytes()


def aa_clip(width=2, space=2, blocks=1, levels=2):
    """Under the official names."""
    text = {f"text_adapter.{i}.fc.0.weight": (width, width) for i in range(blocks)}
    text[f"text_adapter.{blocks}.fc.0.weight"] = (space, width)
    image = {f"image_adapter.layer_adapters.{i}.fc.0.weight": (width, width) for i in range(blocks)}
    image |= {f"image_adapter.seg_proj.{i}.fc.weight": (space, width) for i in range(levels)}
    return text | image | {"image_adapter.det_proj.fc.weight": (space, width)}


def checkpoints():
    state = collections.OrderedDict({"a.weight": values(2, 3), "b": values(4).half(), "n": torch.tensor([1, 2])})
    shared = values(4, 4)
    nested = {"epoch": 3, "name": "x", "lr": 0.5, "state_dict": {"t": shared.t(), "s": shared[1:3, 1:]}}
    for name, value in [("state", state), ("nested", nested), ("parameter", {"p": torch.nn.Parameter(values(2))})]:
        yield f"archive/{name}.pt", saved(value)
        # Without magic number, protocol and system, which the target puts in front.
        old = saved(value, _use_new_zipfile_serialization=False)
        yield f"pickle/{name}", old[old.index(b".", old.index(b"little_endian")) + 1 :]
    pair, made = b"U\1aK\0\x86q\0", b"ccollections\nOrderedDict\nq\1"
    # A thousand entries, copied five hundred times; a dictionary of such dictionaries without a name among them.
    copies = b"h\1h\2\x850" + b"h\1h\2\x85R0" * 500
    yield "pickle/copies", b"\x80\2" + pair + made + b"](" + b"h\0" * 1000 + b"eq\2" + copies + b"."
    unnamed, named = b"}(" + b"NN" * 1000 + b"uq\0", b"}(" + b"".join(b"K%ch\0" % i for i in range(250)) + b"u"
    yield "pickle/wide", b"\x80\2" + unnamed + named + b"."
    long = (1 << 40).to_bytes(6, "little")
    sides = b"(K\0\x8a\6" + long + b"\x8a\6" + long + b"t(K\1K\1K\1t"
    place = b"(U\7storagectorch\nFloatStorage\nU\1" + b"0U\3cpuK\0tQK\0"
    yield "pickle/empty", b"\x80\2}U\1actorch._utils\n_rebuild_tensor_v2\n(" + place + sides + b"tRs."
    yield "archive/protocol4.pt", saved(state, pickle_protocol=4)
    half = values(6).to(torch.bfloat16).view(torch.int16).numpy().tobytes()
    plain = {"a": floats(2, 3), "b": ("BF16", [6], half), "empty": ("F32", [0, 3], b""), "i": ("I64", [1], b"\1" + b"\0" * 7)}
    yield "safetensors/plain.safetensors", safetensors(plain, {"format": "pt"})
    scaled = {"w": ("I8", [2, 3], bytes([1, 255, 127, 129, 0, 3])), "w.scale": floats(2)}
    yield "safetensors/scaled.safetensors", safetensors(scaled)
    yield "safetensors/header", b'{"a":{"dtype":"F16","shape":[2,2,32],"data_offsets":[0,256]}}'
    yield "shards/index.json", json.dumps(
        {"metadata": {"total_size": 16}, "weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}
    ).encode()

    header = {
        "format": "aaclip-adapters-1", "method": "aa-clip", "base_model": "x", "levels": "1,2", "image_size": "8",
        "text_adapt_weight": "0.1", "image_adapt_weight": "0.1", "relu": "false", "training_data": "y", "epochs": "2",
    }
    names = aa_clip()
    yield "adapters/ours.safetensors", safetensors({n: floats(*s) for n, s in names.items()}, header)
    large = header | {"image_size": str(10**15)}
    yield "adapters/large_input.safetensors", safetensors({n: floats(*s) for n, s in names.items()}, large)
    yield "adapters/official.pth", saved({n: values(*s) for n, s in names.items()})
    old = {n.removeprefix("image_adapter."): values(*s) for n, s in names.items() if n.startswith("image")}
    yield "adapters/nested.pth", saved({"epoch": 7, "image_adapter": old, "opt": {"state": {}, "param_groups": [{"lr": 0.1}]}})
    linear = {f"fc.{i}.{kind}": values(*shape) for i in range(2) for kind, shape in [("weight", (2, 2)), ("bias", (2,))]}
    yield "adapters/sdp_plus.pth", saved(linear, _use_new_zipfile_serialization=False)

    about = {"position": {"stage": "image", "epoch": 1, "batch": 2}, "settings": {"method": "aa-clip"}, "steps": 5}
    tensors = {f"{kind}/fc.0": floats(2, 2) for kind in ["weight", "mean", "square"]}
    yield "training_state/state", safetensors(tensors, {"aaclip-training-1": json.dumps(about)})


OPEN_CLIP = {
    "model_cfg": {
        "embed_dim": 4, "quick_gelu": True,
        "vision_cfg": {"image_size": 16, "layers": 4, "width": 8, "head_width": 4, "patch_size": 8, "mlp_ratio": 2.0},
        "text_cfg": {"context_length": 8, "vocab_size": 8, "width": 4, "heads": 2, "layers": 1},
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
}
HUGGING_FACE = {
    "model_type": "clip", "projection_dim": 6,
    "vision_config": {
        "hidden_size": 6, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 12,
        "patch_size": 4, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
    },
    "text_config": {
        "hidden_size": 4, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 9,
        "max_position_embeddings": 5, "hidden_act": "quick_gelu",
    },
}


def tokenizers():
    special = [
        {"id": i, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for i, text in [(2, "<s>"), (3, "</s>")]
    ]
    frame = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                   {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {text: {"id": text, "ids": [i], "tokens": [text]} for i, text in [(2, "<s>"), (3, "</s>")]},
    }
    common = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "decoder": None}
    words = {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "<s>": 2, "</s>": 3, "?": 4}, "unk_token": "?"}
    yield "words", common | {"normalizer": None, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": frame, "model": words}
    pairs = {
        "type": "BPE", "dropout": None, "unk_token": "</s>", "continuing_subword_prefix": "",
        "end_of_word_suffix": "</w>", "fuse_unk": False,
        "vocab": {"a": 0, "b": 1, "<s>": 2, "</s>": 3, "a</w>": 4, "b</w>": 5, "ab</w>": 6, "p": 7},
        "merges": ["a b</w>"],
    }
    split = {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "'s|[a-z]+|[0-9]"}, "behavior": "Removed", "invert": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        ],
    }
    lower = {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"},
             {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}]}
    yield "pairs", common | {"normalizer": lower, "pre_tokenizer": split, "post_processor":
        {"type": "RobertaProcessing", "sep": ["</s>", 3], "cls": ["<s>", 2], "trim_offsets": False, "add_prefix_space": False},
        "model": pairs}
    pieces = {"type": "Unigram", "unk_id": 0, "vocab": [["?", 0.0], ["a", -1.0], ["b", -2.0], ["ab", -2.5]], "byte_fallback": False}
    yield "pieces", common | {"normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": "_",
        "prepend_scheme": "always", "split": True}, "post_processor": frame, "model": pieces}
    word = {"type": "WordPiece", "unk_token": "?", "continuing_subword_prefix": "##", "max_input_chars_per_word": 9,
            "vocab": {"?": 0, "a": 1, "##b": 5, "<s>": 2, "</s>": 3}}
    yield "word_pieces", common | {"normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
        "strip_accents": None, "lowercase": True}, "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor":
        {"type": "BertProcessing", "sep": ["</s>", 3], "cls": ["<s>", 2]}, "model": word}


PROMPTS = """version = 1
name = "x"
description = "d"
source = "s"
templates = ["a photo of {}.", "{}"]
[states]
normal = ["good {}"]
abnormal = ["damaged {}", "{} with a \\u00e9"]
[datasets.MVTec]
domain = "industrial"
[datasets.MVTec.classes]
bottle = "dark bottle"
"""

REGISTRY = """[[model]]
name = "M"
aliases = ["m/1"]
description = "d"
licence = "MIT"
repo = "o/n"
revision = "main"
weights = { file = "w.safetensors", size = 5, sha256 = "" }
config = { file = "c.json", size = 5 }
activation = "gelu"
image_size = 8
patch_size = 4
layers = 2
width = 8
"""

TEXTS = {
    "plain": "a photo of a damaged metal_nut's thread, 12 mm.",
    "marks": "<|startoftext|>A  <start_of_text> caf\u00e9 &amp;amp; &#x27; <|endoftext|> <end_of_text>",
    "broken": "\u00c3\u00a9 \u00e2\u20ac\u0153quoted\u00e2\u20ac\u009d \x1b[1;31mred\x1b[0m \ufb01 \uff21\uff22 '\u017f \u0130\u0131",
    "wide": "\u4e2d\u6587 \u0928\u092e\u0938\u094d\u0924\u0947 \U0001f600\u200d\U0001f525 e\u0301\u0323 \u2028 \u00a0 \ud7ff",
}


def files():
    for name, text in TEXTS.items():
        yield f"tokenizer/{name}", text.encode()
    for name, tokenizer in tokenizers():
        if name == "words":
            yield "tokenizer_json/decoder.json", json.dumps(tokenizer | {"decoder": {"type": "Sequence", "decoders": 7}}).encode()
        yield f"tokenizer_json/{name}.json", json.dumps(tokenizer, indent=1).encode()
    yield "model/open_clip.json", json.dumps(OPEN_CLIP).encode()
    deep = json.dumps(OPEN_CLIP).replace('"layers": 4', '"layers": 1048576')
    yield "model/deep.json", deep.encode()
    yield "model/hugging_face.json", json.dumps(HUGGING_FACE).encode()
    yield "prompts/small.toml", PROMPTS.encode()
    yield "registry/small.toml", REGISTRY.encode()
    limits = {
        "schema": 1, "version": "0.1.0", "model": "builtin", "settings": {"method": "sdp"},
        "classes": {"object": {
            "threshold": 0.5, "rule": {"false_alarms": 0.01}, "good": 5, "anomalous": 0,
            "false_alarm_rate": 0.1, "false_alarm_interval": [0.0, 0.4],
        }},
    }
    yield "threshold/small.json", json.dumps(limits).encode()
    yield "journal/small.jsonl", b"".join(json.dumps(r).encode() + b"\n" for r in records()) + b'{"torn": '
    content = base64.b64encode(run_length_bmp()).decode()
    requests = ['a b.png', '{"path": "a.png", "id": 7, "class": "nut"}', '{"b64": "%s", "id": [1], "name": "x"}' % content, '{"id": 2}', ""]
    yield "worker/small.jsonl", "\n".join(requests).encode()
    result = {
        "name": "a.png", "class": "c", "kind": "good", "anomalous": False, "score": 0.25,
        "components": {"image": 0.5, "map_min": 0.0, "map_max": 1.0, "map_mean": 0.5},
        "map": 0, "bytes": 10, "modified": 20,
    }
    yield "results/last_map.jsonl", json.dumps(result | {"map": 2**64 - 1}).encode() + b"\n"
    lines = [json.dumps(result), json.dumps(result | {"name": "b.png", "map": 1}), '{"torn']
    yield "results/lines.jsonl", "\n".join(lines).encode()
    entry = {"image_path": "a/b.png", "label": 1, "class_name": "c", "mask_path": "a/m.png"}
    yield "metadata/lines", b"\0" + "\n".join([json.dumps(entry), json.dumps(entry | {"label": 0, "mask_path": ""})]).encode()
    meta = {"img_path": "a/b.png", "anomaly": 1, "cls_name": "c", "mask_path": "m.png", "specie_name": "bad"}
    yield "metadata/meta", b"\1" + json.dumps({"train": {}, "test": {"c": [meta]}}).encode()
    yield "metadata/visa", b"\2object,split,label,image,mask\nc,test,anomaly,c/a.JPG,c/m.png\nc,test,normal,c/b.JPG,\n"
    yield "metadata/labels", b"\3id, hemorrhage\n0,1\n1,0\n"


def jpegs():
    """Eight bytes of kind, size and sampling, and the data of scans with the tables of the standard."""
    y, x = np.mgrid[0:12, 0:16]
    rgb = Image.fromarray(np.stack([x * 15, y * 20, (x * y * 7) % 256], -1).astype(np.uint8))
    forms = {
        "grey": (rgb.convert("L"), {}, [0, 15, 11, 0, 0, 0, 0, 0]),
        "colour": (rgb, {"subsampling": 0}, [1, 15, 11, 0, 0, 0, 0, 0]),
        "halves": (rgb, {"subsampling": 2}, [1, 15, 11, 0, 0x11, 0, 0, 0]),
        "restarts": (rgb, {"subsampling": 0, "restart_marker_blocks": 1}, [1, 15, 11, 1, 0, 0, 0, 0]),
    }
    for name, (image, how, head) in forms.items():
        data = io.BytesIO()
        image.save(data, "JPEG", quality=80, **how)
        scan = data.getvalue()
        scan = scan[scan.index(b"\xff\xda") :]
        yield f"jpeg/{name}", bytes(head) + scan[2 + scan[3] : -2]
    # A progressive grey picture: the first bits of the first coefficients, one more, and some others.
    scans = [b"\x00" * 6, b"\xff\xda\x00\x08\x01\x01\x00\x01\x05\x00", b"\x00\x0a\x0a" * 6]
    yield "jpeg/progressive", bytes([0x81, 15, 11, 0, 0, 0, 0, 0]) + b"".join(scans)


def main():
    out = pathlib.Path(sys.argv[1])
    every = list(checkpoints()) + list(files()) + list(jpegs()) + [("picture/run_length.bmp", run_length_bmp())]
    for name, image, how in pictures():
        data = io.BytesIO()
        image.save(data, format={"jpg": "JPEG", "tif": "TIFF"}.get(name[-3:], name.split(".")[-1].upper()), **how)
        every.append((f"picture/{name}", data.getvalue()))
    for name, data in every:
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    print(f"{len(every)} seeds, {sum(len(d) for _, d in every)} bytes, the largest {max(len(d) for _, d in every)}")


if __name__ == "__main__":
    main()
