#!/usr/bin/env python3
"""Scores pictures with aaclip on Spark.

    pip install pyspark 'pandas>=2.2' pyarrow
    spark_score.py photos/ scores/                                      # all cores of this machine
    spark_score.py photos/ scores/ --class nut --format jsonl -- --threshold 0.6
    spark_score.py table.parquet scores/ --column content --id-column path --class-column part
    spark_score.py photos/ scores/ --master spark://head:7077 --partitions 400
    spark-submit --files aaclip spark_score.py hdfs:///t.parquet hdfs:///scores --worker ./aaclip

A folder is listed here and its paths are scored with `pipe`, so every executor must see it under the same path. A
Parquet table of pictures' contents is scored with `mapInPandas` and may be anywhere that Spark can read; make one with

    spark.read.format("binaryFile").option("recursiveFileLookup", True).load("s3a://b/").write.parquet("table.parquet")

Results: id, path, score, anomalous, regions (their number), error_kind, error_message, and the whole record as JSON;
with `--format jsonl` the records alone. A picture that cannot be scored is a row with an error, and the exit code 2.

Executors need Python 3.10 or later, for tables also pandas and pyarrow, and the binary: on the path, at `--worker`, or
sent along with `--files aaclip ... --worker ./aaclip` (Spark makes it executable; the built-in model is part of it).
This script sends its own modules; where the driver runs elsewhere (`--deploy-mode cluster`) it needs them, too:
`--py-files aaclip_worker.py,fleet.py`. `pipe` gives its programs no environment: PATH, HOME and
variables of AACLIP_, HF_, XDG_ and LD_ are passed on from here.

One worker runs per task, so `--threads N` also sets `spark.task.cpus`: workers never ask for more cores than Spark
counts. Their memory is outside of the JVM; allow for it in `spark.executor.memoryOverhead` (a process with the built-in
model takes about 150 MB, with ViT-L/14 in f32 about 2 GB).

When a worker dies, its task fails (this is what `checkCode` is for: without it Spark would take half of the answers for
all of them) and Spark runs it again, up to four times; local masters are given those retries, which they lack.
A partition is what is done again, so it should be small: 200 pictures of a folder unless --partitions says otherwise.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import aaclip_worker
import fleet
from aaclip_worker import Worker
from fleet import columns, id_column, is_table, pictures, summary

if TYPE_CHECKING:
    import pandas

TYPES = {
    "id": "STRING", "path": "STRING", "score": "DOUBLE", "anomalous": "BOOLEAN", "regions": "INT",
    "error_kind": "STRING", "error_message": "STRING", "record": "STRING",
}
SCHEMA = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
PANDAS_TYPES = {"score": "Float64", "anomalous": "boolean", "regions": "Int32"}
PER_PARTITION = 200
ROWS_AT_A_TIME = 32  # Rows that Spark hands over at once: its 10,000 would be gigabytes of pictures.
PASSED_ON = re.compile(r"PATH|HOME|TMPDIR|(AACLIP|HF|XDG|LD)_.*")


def row(line: str) -> dict:
    """A row of a line of a worker that Spark runs."""
    try:
        return columns(line)
    except ValueError:
        # The worker died while it wrote; this error comes before Spark's own about the exit code.
        raise RuntimeError(f"the worker was cut short in the middle of a line: {line[:100]!r}") from None


def score_folder(spark: SparkSession, folder: str, command: list[str], partitions: int | None) -> tuple[DataFrame, int]:
    """A row per picture of a folder, and their number."""
    requests = [json.dumps(request) for request in pictures(folder)]
    parts = partitions or max(spark.sparkContext.defaultParallelism, -(-len(requests) // PER_PARTITION))
    environment = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
    lines = spark.sparkContext.parallelize(requests, parts)
    answers = lines.pipe(shlex.join(command), env=environment, checkCode=True)
    return spark.createDataFrame(answers.map(row), SCHEMA), len(requests)


def score_frames(frames: Iterator[pandas.DataFrame], command: list[str]) -> Iterator[pandas.DataFrame]:
    """A row per row of a partition. One worker for all of it, none if there is nothing in it; if it dies, the task
    fails and Spark runs it again."""
    import pandas

    with Worker(command) as worker:
        for frame in frames:
            answers = worker.score(map(request, frame.itertuples(index=False)))
            rows = pandas.DataFrame([columns(line) for line in answers], columns=list(TYPES))
            yield rows.astype(PANDAS_TYPES)


def request(row: tuple) -> dict[str, str]:
    """A request for a row of id, content and class. Null values are None or NaN, depending on pandas."""
    key, content, class_name = (None if isinstance(value, float) else value for value in row)
    asked = {"id": key, "name": key, "b64": base64.b64encode(content or b"").decode()}
    return asked | {"class": class_name} if class_name else asked


def score_table(spark: SparkSession, args: Namespace, command: list[str]) -> tuple[DataFrame, int]:
    """A row per row of a table of pictures' contents, and their number."""
    table = spark.read.parquet(args.input)
    for name in filter(None, [args.column, args.class_column]):
        if name not in table.columns:
            raise SystemExit(f"no column `{name}` in {args.input}: it has {', '.join(table.columns)}")
    key = id_column(args.id_column, table.columns)
    class_name = table[args.class_column].cast("string") if args.class_column else F.lit(None).cast("string")
    rows = table.select(table[key].cast("string").alias("id"), table[args.column].alias("content"),
                        class_name.alias("class"))
    if args.partitions:
        rows = rows.repartition(args.partitions)
    return rows.mapInPandas(lambda frames: score_frames(frames, command), SCHEMA), table.count()


def session(args: Namespace) -> SparkSession:
    """The Spark session: that of spark-submit, or one on this machine."""
    builder = SparkSession.builder.appName("aaclip")
    master = args.master or (None if "PYSPARK_GATEWAY_PORT" in os.environ else "local[*]")
    if master and master.startswith("local"):
        # Else tasks run with the `python3` of the path, which may lack the packages of this one.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if master:
        builder = builder.master(re.sub(r"^local\[([0-9]+|\*)\]$", r"local[\1,4]", master))
    settings = {
        "spark.task.cpus": args.threads,
        "spark.sql.execution.arrow.maxRecordsPerBatch": ROWS_AT_A_TIME,
        "spark.sql.parquet.columnarReaderBatchSize": ROWS_AT_A_TIME,
    }
    for name, value in [*settings.items(), *(pair.split("=", 1) for pair in args.conf)]:
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    for module in (aaclip_worker, fleet):
        spark.sparkContext.addPyFile(module.__file__)
    return spark


def main() -> int:
    parser = fleet.options(__doc__)
    engine = parser.add_argument_group("Spark")
    engine.add_argument("--master", metavar="URL", help="where to run [spark-submit's, else local[*]]")
    engine.add_argument("--partitions", metavar="N", type=int, help="parts to cut the pictures into")
    engine.add_argument("--conf", metavar="NAME=VALUE", action="append", default=[], help="a setting of Spark")
    args, command = fleet.parse(parser, sys.argv[1:])
    if not all("=" in pair for pair in args.conf):
        parser.error("--conf takes NAME=VALUE")
    table = is_table(args.input)
    spark = session(args)
    try:
        began = time.monotonic()
        if table:
            rows, asked = score_table(spark, args, command)
        else:
            rows, asked = score_folder(spark, args.input, command, args.partitions)
        if args.format == "jsonl":
            rows.select("record").write.text(args.output)
            found = spark.read.schema("error STRING, anomalous BOOLEAN").json(args.output)
        else:
            rows.write.parquet(args.output)
            found = spark.read.parquet(args.output).withColumnRenamed("error_kind", "error")
        totals = found.agg(F.count("*"), F.count("error"), F.count_if("anomalous")).first()
        return summary(asked, *totals, time.monotonic() - began)
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(main())
