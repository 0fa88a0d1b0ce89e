#!/usr/bin/env python3
"""Scores pictures with aaclip on Ray Data.

    pip install 'ray[data]' pyarrow
    ray_score.py photos/ scores/                                    # all cores of this machine
    ray_score.py photos/ scores/ --class nut --format jsonl -- --threshold 0.6
    ray_score.py table.parquet scores/ --column content --id-column path --class-column part
    ray_score.py photos/ scores/ --read-files                       # Ray reads the files, workers get their contents
    ray_score.py s3://bucket/photos scores/ --read-files --address auto --concurrency 32

A folder is listed here and workers open its files themselves, so every node must see it under the same path; with
`--read-files` Ray reads them, from wherever it can. A Parquet table of pictures' contents may be there, too.

Results: id, path, score, anomalous, regions (their number), error_kind, error_message, and the whole record as JSON;
with `--format jsonl` the records alone, in one file that this script writes. A picture that cannot be scored is a row
with an error; the exit code is then 2. With `--read-files` the id is the path as Ray names it, and a file that cannot
be opened ends the run.

Every node needs the binary, on the path or at `--worker`, and Python packages as here. An actor is one warm worker. It
asks Ray for `--threads N` CPUs and gives its worker as many threads, so actors never outnumber the cores;
`--concurrency` is how many there are (all that fit, unless said). Memory of a worker with the built-in model: about
150 MB, with ViT-L/14 in f32 about 2 GB; `--memory-mb` reserves it.

When a worker dies, its actor starts another and sends the pictures it owed again, twice in a row at most. When an actor
or its node dies, Ray starts it again and repeats the batch, at most three times.
"""

from __future__ import annotations

import base64
import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterable
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.dataset
import ray
import ray.data
from ray import cloudpickle
from ray.data import SaveMode

import aaclip_worker
import fleet
from aaclip_worker import Worker
from fleet import PICTURE_ENDINGS, columns, id_column, is_table, pictures, summary

SCHEMA = pa.schema({
    "id": pa.string(), "path": pa.string(), "score": pa.float64(), "anomalous": pa.bool_(), "regions": pa.int32(),
    "error_kind": pa.string(), "error_message": pa.string(), "record": pa.string(),
})


REQUESTS = pa.schema({"id": pa.string(), "path": pa.string()})
ROWS_AT_A_TIME = 32  # A batch: the work that is repeated when an actor dies.
ROWS_PER_FILE = 10_000


class Scorer:
    """An actor: one worker, warm from batch to batch."""

    def __init__(self, command: list[str], key: str, content: str | None, class_name: str | None) -> None:
        self.worker = Worker(command, restarts=2)
        self.key, self.content, self.class_name = key, content, class_name

    def __call__(self, batch: pa.Table) -> pa.Table:
        answers = self.worker.score(map(self.request, batch.to_pylist()))
        return pa.Table.from_pylist([columns(line) for line in answers], SCHEMA)

    def request(self, row: dict[str, Any]) -> dict[str, str]:
        """A request for a row: of a path, or of a picture's content."""
        if self.content is None:
            return row
        key, class_name = str(row[self.key]), self.class_name and row[self.class_name]
        asked = {"id": key, "name": key, "b64": base64.b64encode(row[self.content] or b"").decode()}
        return asked | {"class": str(class_name)} if class_name else asked


def dataset(args: Namespace) -> tuple[ray.data.Dataset, int, dict[str, Any]]:
    """The pictures, their number, and how a `Scorer` reads the rows."""
    if args.read_files:
        endings = [ending[1:] for ending in PICTURE_ENDINGS]
        files = ray.data.read_binary_files(args.input, include_paths=True, file_extensions=endings)
        return files, files.count(), {"key": "path", "content": "bytes", "class_name": None}
    if not is_table(args.input):
        requests = pa.Table.from_pylist(list(pictures(args.input)), REQUESTS)
        return ray.data.from_arrow(requests), len(requests), {"key": "id", "content": None, "class_name": None}
    table = ray.data.read_parquet(args.input)
    there, wanted = table.schema().names, [name for name in (args.column, args.class_column) if name]
    for name in wanted:
        if name not in there:
            raise SystemExit(f"no column `{name}` in {args.input}: it has {', '.join(there)}")
    key = id_column(args.id_column, there)
    rows = table.select_columns(list(dict.fromkeys([key, *wanted])))
    return rows, table.count(), {"key": key, "content": args.column, "class_name": args.class_column}


def write(rows: ray.data.Dataset, folder: str, form: str) -> tuple[int, int, int]:
    """Writes the rows; how many there are, with an error, anomalous."""
    if form == "parquet":
        rows.write_parquet(folder, min_rows_per_file=ROWS_PER_FILE, mode=SaveMode.ERROR)
        found = pyarrow.dataset.dataset(folder, schema=SCHEMA, format="parquet")
        return total(found.to_batches(columns=["error_kind", "anomalous"]))
    os.makedirs(folder)
    path = os.path.join(folder, "results.jsonl")
    with open(path + ".part", "w", encoding="utf-8") as out:
        found = total(rows.iter_batches(batch_format="pyarrow", batch_size=None), out)
    os.replace(path + ".part", path)
    return found


def total(batches: Iterable[pa.Table | pa.RecordBatch], out: TextIO | None = None) -> tuple[int, int, int]:
    """Counts rows, errors and anomalous ones; writes the records, if there is where to."""
    count = errors = anomalous = 0
    for batch in batches:
        count += len(batch)
        errors += len(batch) - batch["error_kind"].null_count
        anomalous += batch["anomalous"].to_pylist().count(True)
        if out:
            out.writelines(line + "\n" for line in batch["record"].to_pylist())
    return count, errors, anomalous


def connect(args: Namespace) -> None:
    """A cluster, or Ray on this machine."""
    for module in (aaclip_worker, fleet):
        # Nodes need no copy of them.
        cloudpickle.register_pickle_by_value(module)
    if args.address:
        ray.init(address=args.address)
        return
    store = args.object_store_mb and args.object_store_mb << 20
    ray.init(num_cpus=args.num_cpus, object_store_memory=store, include_dashboard=False)


def main() -> int:
    parser = fleet.options(__doc__)
    engine = parser.add_argument_group("Ray")
    engine.add_argument("--address", metavar="A", help="the cluster; `auto` on one of its nodes [this machine alone]")
    engine.add_argument("--concurrency", metavar="N", type=int, help="actors, each with a worker [all that fit]")
    engine.add_argument("--memory-mb", metavar="N", type=int, help="memory that each actor reserves")
    engine.add_argument("--read-files", action="store_true", help="let Ray read the files of the folder")
    engine.add_argument("--num-cpus", metavar="N", type=int, help="CPUs to use of this machine")
    engine.add_argument("--object-store-mb", metavar="N", type=int, help="Ray's object store on this machine")
    args, command = fleet.parse(parser, sys.argv[1:])
    if os.path.exists(args.output):
        parser.error(f"{args.output} exists")
    if args.format == "jsonl" and "://" in args.output:
        parser.error("--format jsonl is written by this machine to a folder of its own")
    connect(args)
    try:
        began = time.monotonic()
        rows, asked, how = dataset(args)
        actors = args.concurrency or max(1, int(ray.cluster_resources().get("CPU", 1)) // args.threads)
        # Few pictures are spread all the same.
        at_a_time = max(1, min(ROWS_AT_A_TIME, asked // (4 * actors)))
        scored = rows.repartition(target_num_rows_per_block=at_a_time).map_batches(
            Scorer,
            fn_constructor_kwargs={"command": command, **how},
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors),
            num_cpus=args.threads,
            memory=args.memory_mb and args.memory_mb << 20,
            max_restarts=-1,
            max_task_retries=3,
        )
        return summary(asked, *write(scored, args.output, args.format), time.monotonic() - began)
    finally:
        ray.shutdown()


if __name__ == "__main__":
    sys.exit(main())
