"""Makes the compact golden set in tests/data/golden from a full one; standard library only.

    python tools/golden/thin.py FULL_SET tests/data/golden

The full set has the outputs of the official code for a small random model: per case `case.json`, `tensors.safetensors`
and the files that the case needs. The compact set has the cases below without the tensors that no test reads. Values
are as they were; binary files are compressed with gzip, and the tests unpack them.
"""

import gzip
import json
import re
import shutil
import struct
import sys
from pathlib import Path

# Cases, and the tensors of each that no test reads.
CASES = {
    "aaclip_infer": r"sentences\.|.*\.map\.level|.*\.image_score_combined",
    "aaclip_train": r"stage1\.(features\.level[246]|features_each|cls_token|patch_preds|surgery_tokens)|.*cls_logits",
    "clip_base": None,
    "clipad_rvs": r"cloud\.(kde_logdensity|mean_shift_centers)",
    "clipad_sdp": r".*\.pr_sp$",
    "clipad_sdp_plus": r"infer\.(map_ft|tokens)|.*\.pr_sp$|train_batch1|train_e2e",
    "data": r"masks\.clipad_raw",
    "metrics": r"clipad_table|.*(_curve|_thresholds|aaclip_combined_.*)$",
    "musc": None,
    "posembed": None,
    "preprocess": r".*\.clipad_raw",
    "reference_memory": None,
    "tokenizer": None,
    "weights": None,
    "winclip": None,
}

# `clip_f16.safetensors` has the same values.
LEFT_OUT = {"weights/clip_f32.safetensors"}


def thinned(path: Path, drop: str | None) -> bytes:
    """The safetensors file without the tensors whose names begin like `drop`."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    kept, data = {}, b""
    for name, about in sorted(header.items()):
        if name == "__metadata__":
            kept[name] = about
        elif drop is None or not re.match(drop, name):
            begin, end = (8 + length + offset for offset in about["data_offsets"])
            offsets = [len(data), len(data) + end - begin]
            kept[name] = {**about, "data_offsets": offsets}
            data += content[begin:end]
    text = json.dumps(kept, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def main(full: Path, compact: Path) -> None:
    shutil.rmtree(compact, ignore_errors=True)
    compact.mkdir(parents=True)
    shutil.copyfile(full / "index.json", compact / "index.json")
    for case, drop in CASES.items():
        for path in sorted(p for p in (full / case).rglob("*") if p.is_file()):
            name = path.relative_to(full).as_posix()
            if name in LEFT_OUT:
                continue
            target = compact / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix in (".json", ".jsonl", ".png"):
                shutil.copyfile(path, target)
            else:
                content = thinned(path, drop) if path.suffix == ".safetensors" else path.read_bytes()
                target.with_name(target.name + ".gz").write_bytes(gzip.compress(content, 9, mtime=0))
    sizes = [path.stat().st_size for path in compact.rglob("*") if path.is_file()]
    print(f"{len(sizes)} files, {sum(sizes)} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
