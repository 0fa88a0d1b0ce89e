#!/usr/bin/env python3
"""Makes a matrix of small pictures of every kind and compares the program's pixels with those of other readers.

    pip install 'pillow<14' numpy tifffile imagecodecs
    apt-get install libjpeg-turbo-progs                   # cjpeg
    cargo build --release --example pixels
    python tests/reference/corpus make CORPUS             # the pictures and manifest.json
    python tests/reference/corpus compare CORPUS target/release/examples/pixels
    python tests/reference/corpus thin CORPUS tests/data/corpus

A picture's entry in the manifest has its kind, size, tolerance and the digest of the truth: the RGB samples that Pillow
reads, upright; for samples of more than 8 bits the rule of docs/pictures.md applied to the values that were written.
`truth/` has the samples themselves, for pictures with a tolerance. An entry without digest is of a picture that Pillow
refuses too, or damaged. `compare` prints a table by kind and fails if a picture is wrong without an error.
"""

import argparse
import collections
import hashlib
import io
import itertools
import json
import pathlib
import subprocess
import sys

import numpy as np

import jpeg
import others
import png
import tiff
from common import Corpus


def make(folder):
    corpus = Corpus(folder)
    for part in (jpeg.jpegs, png.pngs, others.others, tiff.tiffs):
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
