"""Shared by the Spark and the Ray script: the pictures of a folder, the options, the columns of results."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

PICTURE_ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
"""The endings of pictures, as for `aaclip detect FOLDER`."""


def pictures(folder: str) -> Iterator[dict[str, str]]:
    """A request for every picture below a folder, in the order of names: its id is its path below the folder, with
    `/`, as the `name` of `aaclip detect`. Links are followed, loops are not. JSON cannot contain bytes that are not Unicode:
    a file with such a name is requested under a changed name, so it ends as an error and is not lost."""

    def below(at: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
        here = os.stat(at)
        if (here.st_dev, here.st_ino) in above:
            return
        for entry in sorted(os.scandir(at), key=lambda entry: os.fsencode(entry.name)):
            if entry.is_dir():
                yield from below(entry.path, (*above, (here.st_dev, here.st_ino)))
            elif os.path.splitext(entry.name)[1].lower() in PICTURE_ENDINGS:
                yield entry.path

    root = os.path.abspath(folder)
    for path in below(root, ()):
        path = os.fsencode(path).decode("utf-8", "backslashreplace")
        yield {"id": os.path.relpath(path, root).replace(os.sep, "/"), "path": path}


def columns(line: str) -> dict[str, Any]:
    """The columns of an answer: its main fields with their types, and all of it as `record`."""
    record = json.loads(line)
    error = record["error"] or {}
    return {
        "id": record.get("id"),
        "path": record["path"],
        "score": record["score"],
        "anomalous": record["anomalous"],
        "regions": None if error else len(record["regions"]),
        "error_kind": error.get("kind"),
        "error_message": error.get("message"),
        "record": line,
    }


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that both scripts have."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=raw)
    parser.add_argument("input", help="a folder of pictures, or a Parquet table (file or folder) of their contents")
    parser.add_argument("output", help="folder for the results; must not exist")
    parser.add_argument("--format", choices=["parquet", "jsonl"], default="parquet", help="[parquet]")
    parser.add_argument("--class", dest="class_name", metavar="NAME", help="what the pictures show")
    table = parser.add_argument_group("tables")
    table.add_argument("--column", metavar="NAME", default="content", help="the pictures' bytes [content]")
    table.add_argument("--id-column", metavar="NAME", help="what tells them apart [id, path or name]")
    table.add_argument("--class-column", metavar="NAME", help="what each of them shows")
    worker = parser.add_argument_group("workers (what follows `--` goes to `aaclip worker` as it is)")
    worker.add_argument("--worker", metavar="PROGRAM", default="aaclip", help="the binary on each machine [aaclip]")
    worker.add_argument("--threads", metavar="N", type=int, default=1, help="threads of each worker [1]")
    return parser


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the command line of a worker."""
    arguments = list(arguments)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    found = parser.parse_args(arguments[:end])
    if found.threads < 1:
        parser.error("--threads must be at least 1")
    named = ["--class", found.class_name] if found.class_name else []
    return found, [found.worker, "worker", "--threads", str(found.threads), *named, *arguments[end + 1 :]]


def is_table(source: str) -> bool:
    """Whether an input is a table: a Parquet file, or a folder that contains one."""
    if not os.path.isdir(source):
        return True
    return any(name.endswith(".parquet") for _, _, names in os.walk(source) for name in names)


def id_column(wanted: str | None, there: Sequence[str]) -> str:
    """The column that identifies the pictures of a table."""
    found = next((name for name in ([wanted] if wanted else ["id", "path", "name"]) if name in there), None)
    if found is None:
        missing = f"`{wanted}`" if wanted else "`id`, `path` or `name`"
        raise SystemExit(f"no column {missing} tells the pictures apart: --id-column, one of {', '.join(there)}")
    return found


def summary(pictures: int, answers: int, errors: int, anomalous: int, seconds: float) -> int:
    """Says how it went; the exit code: 0, 2 if there are error rows, 1 if answers are missing, which cannot be."""
    print(f"{answers} pictures, {errors} of them with an error, {anomalous} anomalous, {seconds:.1f} s")
    if answers != pictures:
        print(f"error: {pictures} pictures were asked for, {answers} rows came out", file=sys.stderr)
        return 1
    return 2 if errors else 0
