"""Shared by all contestants, with NumPy only: the input, the checksum, the model folder, memory."""

import hashlib
import json
import pathlib
import resource
import struct
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]


def picture(size):
    """The input `[1, 3, S, S]` of every contestant: a formula, computed in f64, that another language can repeat."""
    c = np.arange(3, dtype=np.float64)[:, None, None]
    i = np.arange(size, dtype=np.float64)[None, :, None]
    j = np.arange(size, dtype=np.float64)[None, None, :]
    return np.sin(0.37 * c + 0.013 * i * (1 + c) + 0.017 * j).astype(np.float32)[None]


def checksum(taps):
    """A worker's summary of its results: mean and (population) deviation of every tap, the first 8 values of the
    last one, which are the class token's."""
    wide = [np.asarray(t, dtype=np.float64) for t in taps]
    return {
        "taps": [{"mean": float(t.mean()), "std": float(t.std())} for t in wide],
        "head": [float(v) for v in wide[-1].ravel()[:8]],
    }


def vision_config(folder):
    """The image tower's part of `open_clip_config.json`, with open_clip's defaults."""
    model = json.loads((pathlib.Path(folder) / "open_clip_config.json").read_text())["model_cfg"]
    vision = model["vision_cfg"]
    if "timm_model_name" in vision or not isinstance(vision.get("layers"), int):
        sys.exit(f"{folder}: only plain vision transformers can be compared")
    defaults = {"head_width": 64, "mlp_ratio": 4.0, "no_ln_pre": False}
    return defaults | vision | {"quick_gelu": model.get("quick_gelu", False)}


def levels(layers):
    """The ends of a tower's quarters."""
    return [layers * k // 4 for k in (1, 2, 3, 4)]


def weights_file(folder):
    files = sorted(pathlib.Path(folder).glob("*.safetensors"))
    if len(files) != 1:
        sys.exit(f"{folder}: expected one .safetensors file, found {len(files)}")
    return files[0]


def tower_parameters(folder):
    """How many numbers the image tower's weights are, read from the file's header."""
    with open(weights_file(folder), "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    return sum(int(np.prod(t["shape"])) for name, t in header.items() if name.startswith("visual."))


def graph_folder(cache, model, size):
    """The folder for the graphs of a model: one per weights file (by path, size, time) and input size."""
    file = weights_file(model)
    facts = f"{file.resolve()} {file.stat().st_size} {file.stat().st_mtime_ns} {size}"
    return pathlib.Path(cache) / hashlib.sha256(facts.encode()).hexdigest()[:16]


def status_bytes(field, pid="self"):
    """A memory figure of `/proc/PID/status`, in bytes; `None` if the file does not exist."""
    try:
        with open(f"/proc/{pid}/status") as lines:
            found = next(line for line in lines if line.startswith(field + ":"))
        return int(found.split()[1]) * 1024
    except (OSError, StopIteration):
        return None


def own_peak():
    """The largest resident size of this process so far, in bytes."""
    # ru_maxrss only as a fallback: it is never below the memory of the parent at the fork.
    peak = status_bytes("VmHWM")
    return peak if peak is not None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
