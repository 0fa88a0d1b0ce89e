"""Levels of good parts and of clear damage, from results of `aaclip detect --format jsonl`, one file per kind of parts.

Kinds weigh the same, whatever their number of pictures. The level of good parts is the 90 % quantile of the highest map
values of good pictures, that of clear damage the 95 % quantile of damaged ones. Pictures of `make_training_set.py` are
damaged if their number is odd, others unless their folder is called `good`."""

import argparse
import json
from pathlib import Path

import numpy as np


def read(file):
    good, damaged = [], []
    for line in file.read_text().splitlines():
        record = json.loads(line)
        if record["error"]:
            continue
        path = Path(record["path"])
        odd = path.stem.isdigit() and int(path.stem) % 2 == 1
        is_good = not odd if path.stem.isdigit() else path.parent.name == "good"
        (good if is_good else damaged).append(record["map_probability"]["max"])
    return good, damaged


def quantile(kinds, q):
    values = np.concatenate(kinds)
    weights = np.concatenate([np.full(len(kind), 1 / len(kind)) for kind in kinds])
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weights[order]) / len(kinds), q)])


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("results", nargs="+", type=Path)
    kinds = [read(file) for file in a.parse_args().results]
    print(f"good = {quantile([good for good, _ in kinds], 0.9):.3f}")
    print(f"damaged = {quantile([damaged for _, damaged in kinds], 0.95):.3f}")


if __name__ == "__main__":
    main()
