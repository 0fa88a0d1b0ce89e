#!/usr/bin/env python3
"""Checks of fleets: shards, workers, Spark and Ray give the records of `aaclip detect`, whichever process dies.

    pip install pyspark 'pandas>=2.2' pyarrow 'ray[data]'        # and Java 17 or later for Spark
    cargo build --release
    python tests/reference/fleets.py --worker target/release/aaclip --data ../shared/mvtec
    python tests/reference/fleets.py --worker target/release/aaclip --data ../shared/mvtec --spark --pictures 180

Takes pictures of --data, gives some of them awkward names, adds files that are no pictures, and scores them with
`detect` once. Everything else must give the same records: every field but those about the file and the time, to the
last bit of every number, each picture once. Kills are `kill -9` of one worker (or actor) after some of its answers.
Prints a table of checks; exits with 1 if one fails. Linux only (`/proc`). With neither --spark nor --ray: both.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"
sys.path.insert(0, str(TOOLS))
from aaclip_worker import Worker, WorkerDied, WorkerError  # noqa: E402
from fleet import pictures  # noqa: E402

AWKWARD = [
    "two words.jpg", "it's \"quoted\".jpg", "Größe 日本.jpg", "sub/$HOME `x`;.jpg", "sub/new\nline.jpg", "a,b\\c.JPG",
]
OF_THE_FILE = {"id", "path", "name", "bytes", "modified", "sha256", "files", "timing_ms"}
SOME_ANSWERS = 2500  # Bytes that a worker has written once it answered two or three pictures.
LIMIT = 900  # Seconds for one run.


class Failed(Exception):
    """A check that failed."""


def expect(holds, why):
    if not holds:
        raise Failed(why)


class Fleet:
    """A folder with the pictures, the reference and everything that the checks write."""

    def __init__(self, args, at):
        self.at, self.program = at, str(pathlib.Path(args.worker).resolve())
        self.folder, self.table, self.started = at / "the pictures", at / "table.parquet", at / "started"
        self.cpus, self.count = args.cpus, 0
        # Starts the worker in its own place and notes its process, so that it can be found among all others.
        self.worker = at / "a worker"
        self.worker.write_text(
            f"#!/bin/sh\necho $$ >> {shlex.quote(str(self.started))}\nexec {shlex.quote(self.program)} \"$@\"\n"
        )
        self.worker.chmod(0o755)
        self.collect(pathlib.Path(args.data), args.pictures)
        began = time.monotonic()
        self.reference = {record["name"]: record for record in self.detect()}
        self.seconds = time.monotonic() - began
        expect(len(self.reference) == self.total, "detect itself lost pictures")

    def collect(self, data, wanted):
        found = sorted(p for p in data.rglob("*.jpg") if "ground_truth" not in p.parts)
        expect(found, f"no .jpg below {data}")
        step = max(1, len(found) // wanted)
        for i, source in enumerate(found[::step][:wanted]):
            name = AWKWARD[i] if i < len(AWKWARD) else f"{source.parent.name}/{i}.jpg"
            to = self.folder / name
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, to)
        broken = {"broken.png": b"no picture", "empty.jpg": b""}
        for name, content in broken.items():
            (self.folder / name).write_bytes(content)
        self.requests = list(pictures(str(self.folder)))
        self.sound = [request for request in self.requests if request["id"] not in broken]
        self.total = len(self.requests)

    def detect(self, *more):
        command = [self.program, "detect", str(self.folder), "--format", "jsonl", "--quiet", *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        # A part may be without a broken picture.
        code = 2 if any(record["error"] for record in records) else 0
        expect(done.returncode == code, f"exit code {done.returncode}, expected {code}: {done.stderr[-500:]}")
        return records

    def write_table(self, wanted=None):
        """The contents as Parquet, several groups of rows."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        chosen = self.sound[:wanted] if wanted else self.requests
        contents = [pathlib.Path(r["path"]).read_bytes() or None for r in chosen]
        table = pa.table({"path": [r["id"] for r in chosen], "content": pa.array(contents, pa.binary())})
        table = table.append_column("part", pa.array([None] * len(chosen), pa.string()))
        path = self.table if wanted is None else self.at / f"table-{wanted}.parquet"
        pq.write_table(table, path, row_group_size=max(1, len(chosen) // 4))
        return path

    def starts(self):
        return [int(line) for line in self.started.read_text().split()] if self.started.exists() else []

    def out(self):
        self.count += 1
        return self.at / f"out {self.count}"

    def run(self, script, source, *more, killing=None, code=2):
        """Runs a script of `tools/`; returns its results' folder, its messages and how many workers were started."""
        out = self.out()
        self.started.unlink(missing_ok=True)
        environment = os.environ | {"RAY_TMPDIR": str(self.at), "SPARK_LOCAL_IP": "127.0.0.1", "RAY_DEDUP_LOGS": "0"}
        engine = ["--conf", "spark.ui.enabled=false"] if "spark" in script else ["--object-store-mb", "200"]
        place = ["--master", f"local[{self.cpus}]"] if "spark" in script else ["--num-cpus", str(self.cpus)]
        command = [sys.executable, str(TOOLS / script), str(source), str(out), "--worker", str(self.worker)]
        with open(self.at / "messages", "w+") as messages, killing or contextlib.nullcontext():
            done = subprocess.run([*command, *place, *engine, *more], stdout=messages, stderr=subprocess.STDOUT,
                                  env=environment, timeout=LIMIT)
            messages.seek(0)
            said = messages.read()
        expect(done.returncode == code, f"exit code {done.returncode}, expected {code}:\n{said[-3000:]}")
        return out, said, len(self.starts())

    def same(self, records, among=None):
        """Every picture once, with the record of `detect`."""
        names = collections.Counter(record["id"] for record in records)
        wanted = self.reference if among is None else {name: self.reference[name] for name in among}
        missing, doubled = set(wanted) - set(names), [n for n, k in names.items() if k > 1]
        expect(not missing and not doubled and set(names) == set(wanted), f"missing {missing}, doubled {doubled}")
        for record in records:
            other = wanted[record["id"]]
            expect(record.keys() - {"id"} == other.keys(), f"other fields: {record.keys() ^ other.keys()}")
            for field in other.keys() - OF_THE_FILE:
                a, b = record[field], other[field]
                if field == "error" and a and b:
                    a, b = a["kind"], b["kind"]
                expect(a == b, f"{record['id']}: {field} is {a}, with detect {b}")
        errors = sum(record["error"] is not None for record in records)
        return f"{len(records)} records equal, {errors} of them errors"

    def rows(self, out):
        """The records of a Parquet result, after a look at its typed columns."""
        import pyarrow.parquet as pq

        found = []
        for row in pq.read_table(out).to_pylist():
            record = json.loads(row["record"])
            error = record["error"] or {"kind": None, "message": None}
            regions = None if record["error"] else len(record["regions"])
            expect(
                row == {"id": record["id"], "path": record["path"], "score": record["score"],
                        "anomalous": record["anomalous"], "regions": regions, "error_kind": error["kind"],
                        "error_message": error["message"], "record": row["record"]},
                f"columns that are not the record's: {row}",
            )
            found.append(record)
        return found

    def lines(self, out):
        return [json.loads(line) for part in sorted(out.glob("*")) if part.name[0] not in "._"
                for line in part.read_text().split("\n") if line]


class Killer(contextlib.AbstractContextManager):
    """Kills one worker after it answered some pictures, or its parent (an actor)."""

    def __init__(self, fleet, parent=False, number=signal.SIGKILL):
        self.fleet, self.parent, self.number = fleet, parent, number
        self.killed, self.over = None, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def watch(self):
        while self.killed is None and not self.over.wait(0.02):
            for process in self.fleet.starts():
                with contextlib.suppress(OSError):
                    if written(process) < SOME_ANSWERS or os.readlink(f"/proc/{process}/exe") != self.fleet.program:
                        continue
                    target = parent_of(process) if self.parent else process
                    os.kill(target, self.number)
                    self.killed = target
                    return


def written(process):
    fields = dict(line.split(": ") for line in open(f"/proc/{process}/io").read().splitlines())
    return int(fields["wchar"])


def parent_of(process):
    return int(open(f"/proc/{process}/stat").read().rsplit(")", 1)[1].split()[1])


def listing(fleet):
    """The scripts list what `detect` lists."""
    folder = fleet.at / "listing"
    for name in "b.png B.PNG a/z.TIFF a.b/c.jpeg .hidden/x.gif .jpg notes.txt a/.y.webp x.png/in.bmp".split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "a" / "loop").symlink_to(folder)
    (folder / "linked").symlink_to(folder / "a.b")
    done = subprocess.run([fleet.program, "detect", folder, "--format", "jsonl", "-q"], capture_output=True, text=True)
    wanted = [json.loads(line)["name"] for line in done.stdout.splitlines()]
    found = [request["id"] for request in pictures(str(folder))]
    expect(found == wanted, f"{found}, detect {wanted}")
    pathlib.Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff.png")).touch()
    with asked(fleet) as worker:
        answers = [json.loads(line) for line in worker.score(pictures(str(folder)))]
    expect(len(answers) == len(wanted) + 1 and any(a["id"] == "bad\\xff.png" for a in answers), "lost the name")
    return f"{len(wanted)} names as detect's; one that is no Unicode becomes an error"


def shards(fleet):
    parts = [fleet.detect("--shard", f"{i}/3") for i in range(3)]
    union = [record | {"id": record["name"]} for part in parts for record in part]
    return f"{' + '.join(str(len(p)) for p in parts)}: {fleet.same(union)}"


def asked(fleet, **settings):
    return Worker([str(fleet.worker), "worker", "--threads", "1"], **settings)


def worker_plain(fleet):
    with asked(fleet) as worker:
        return fleet.same([json.loads(line) for line in worker.score(fleet.requests)])


def worker_killed(fleet):
    fleet.started.unlink(missing_ok=True)
    with asked(fleet, restarts=1) as worker, Killer(fleet) as killer:
        said = fleet.same([json.loads(line) for line in worker.score(fleet.requests)])
    expect(killer.killed and len(fleet.starts()) == 2, f"killed {killer.killed}, {len(fleet.starts())} starts")
    return f"{said}, 2 starts"


def worker_hung(fleet):
    fleet.started.unlink(missing_ok=True)
    with asked(fleet, restarts=1, timeout=40) as worker, Killer(fleet, number=signal.SIGSTOP):
        said = fleet.same([json.loads(line) for line in worker.score(fleet.requests)])
    expect(len(fleet.starts()) == 2, f"{len(fleet.starts())} starts")
    return f"{said}, 2 starts"


def worker_not_restarted(fleet):
    fleet.started.unlink(missing_ok=True)
    answers = []
    with asked(fleet) as worker, Killer(fleet):
        try:
            answers.extend(worker.score(fleet.requests))
        except WorkerDied as e:
            expect("SIGKILL" in str(e), str(e))
            return f"after {len(answers)} answers: {str(e).splitlines()[0]}"
    raise Failed("no error")


def worker_refuses(fleet):
    try:
        with Worker([fleet.program, "worker", "--model", "/nowhere"], restarts=5) as worker:
            list(worker.score(fleet.requests))
    except WorkerDied as e:
        raise Failed(f"taken for an accident: {e}") from e
    except WorkerError as e:
        expect("/nowhere" in str(e), str(e))
        return str(e).replace("\n", " ")[:90]
    raise Failed("no error")


def worker_long_lines(fleet):
    # Far more than the capacity of pipes is sent before the first answer is due.
    long = "x" * 3_000_000
    with asked(fleet, window=40) as worker:
        answers = [json.loads(line) for line in worker.score({"id": i, "b64": long} for i in range(40))]
        expect([a["id"] for a in answers] == list(range(40)) and all(a["error"] for a in answers), "wrong answers")
        # A score that is given up does not mix with the next one.
        next(worker.score(fleet.requests))
        last = fleet.requests[-3:]
        fleet.same([json.loads(line) for line in worker.score(last)], [request["id"] for request in last])
    return "40 lines of 3 MB ahead; a broken-off score"


def worker_odd_requests(fleet):
    picture = fleet.sound[0]["path"]
    cases = [
        ({"id": ("a", 1), "path": picture}, None),
        ({"id": {1: (2.0, None)}, "path": picture}, None),
        ({"id": 10**30, "path": picture}, None),
        ({"id": 1e300, "path": picture}, None),
        ({"id": "bad\udcff.png", "path": "bad\udcff.png"}, "bad_request"),
        ({"id": "long", "b64": "x" * 3_000_000}, "bad_request"),
        ({"path": "\udcff"}, "bad_request"),
        ({"id": [], "path": picture, "class": 5}, "bad_request"),
        ({"id": "last", "path": picture}, None),
    ]
    with Worker([str(fleet.worker), "worker", "--threads", "1", "--max-line", "2"]) as worker:
        answers = [json.loads(line) for line in worker.score(request for request, _ in cases)]
    kinds = [answer["error"] and answer["error"]["kind"] for answer in answers]
    expect(kinds == [kind for _, kind in cases], f"errors {kinds}")
    for (request, _), answer in zip(cases, answers):
        wanted = json.loads(json.dumps(request.get("id")))
        expect(answer.get("id") == wanted, f"id {answer.get('id')!r} for {wanted!r}")
    try:
        asked(fleet, window=0)
    except ValueError as e:
        return f"{len(cases)} requests, each with its own answer; {e}"
    raise Failed("a window of 0 is taken")


def spark_folder(fleet):
    out, _, starts = fleet.run("spark_score.py", fleet.folder)
    return f"{fleet.same(fleet.rows(out))}, {starts} workers"


def spark_lines(fleet):
    out, _, starts = fleet.run("spark_score.py", fleet.folder, "--format", "jsonl", "--partitions", "3")
    return f"{fleet.same(fleet.lines(out))}, {starts} workers"


def spark_table(fleet):
    fleet.write_table()
    out, _, starts = fleet.run("spark_score.py", fleet.table, "--partitions", "2", "--class-column", "part")
    return f"{fleet.same(fleet.rows(out))}, {starts} workers"


def spark_empty(fleet):
    out, _, starts = fleet.run("spark_score.py", fleet.write_table(3), "--partitions", "8", code=0)
    said = fleet.same(fleet.rows(out), [r["id"] for r in fleet.sound[:3]])
    expect(starts <= 3, f"{starts} workers for 3 pictures")
    few = fleet.at / "few"
    few.mkdir()
    shutil.copy(fleet.sound[0]["path"], few)
    out, _, started = fleet.run("spark_score.py", few, "--partitions", "4", code=0)
    fleet.same(fleet.rows(out), [os.path.basename(fleet.sound[0]["id"])])
    return f"table: 8 parts, {starts} workers, {said}; folder: 4 parts, {started} workers, 1 record equal"


def killed(fleet, script, source, *more, parent=False):
    killer = Killer(fleet, parent)
    out, said, starts = fleet.run(script, source, *more, killing=killer)
    expect(killer.killed, "nothing was killed")
    found = fleet.same(fleet.rows(out))
    if "spark" in script:
        expect("Lost task" in said, "Spark did not notice")
    return f"{found}, {starts} workers"


def spark_pipe_killed(fleet):
    return killed(fleet, "spark_score.py", fleet.folder, "--partitions", "2")


def spark_table_killed(fleet):
    fleet.write_table()
    return killed(fleet, "spark_score.py", fleet.table, "--partitions", "2")


def spark_refused(fleet):
    _, said, _ = fleet.run("spark_score.py", fleet.folder, "--", "--model", "/nowhere", code=1)
    expect("/nowhere" in said and "error code 2" in said, said[-2000:])
    return "the job fails and says why"


def ray_folder(fleet):
    out, _, starts = fleet.run("ray_score.py", fleet.folder)
    return f"{fleet.same(fleet.rows(out))}, {starts} workers"


def ray_lines(fleet):
    out, _, starts = fleet.run("ray_score.py", fleet.folder, "--format", "jsonl", "--read-files")
    records = fleet.lines(out)
    for record in records:
        record["id"] = os.path.relpath(record["id"], fleet.folder)
    return f"{fleet.same(records)}, {starts} workers"


def ray_table(fleet):
    fleet.write_table()
    out, _, starts = fleet.run("ray_score.py", fleet.table, "--class-column", "part")
    return f"{fleet.same(fleet.rows(out))}, {starts} workers"


def ray_worker_killed(fleet):
    return killed(fleet, "ray_score.py", fleet.folder, "--concurrency", "1")


def ray_actor_killed(fleet):
    fleet.write_table()
    return killed(fleet, "ray_score.py", fleet.table, "--concurrency", "1", parent=True)


def ray_refused(fleet):
    _, said, _ = fleet.run("ray_score.py", fleet.folder, "--", "--model", "/nowhere", code=1)
    expect("/nowhere" in said and "cannot work" in said, said[-2000:])
    return "the job fails and says why"


CHECKS = {
    "shards": [listing, shards],
    "worker": [worker_plain, worker_killed, worker_hung, worker_not_restarted, worker_refuses, worker_long_lines,
               worker_odd_requests],
    "spark": [
        spark_folder, spark_lines, spark_table, spark_empty, spark_pipe_killed, spark_table_killed, spark_refused,
    ],
    "ray": [ray_folder, ray_lines, ray_table, ray_worker_killed, ray_actor_killed, ray_refused],
}


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--worker", default=ROOT / "target" / "release" / "aaclip", help="the binary")
    parser.add_argument("--data", default=ROOT.parent / "shared" / "mvtec", help="a folder with .jpg pictures")
    parser.add_argument("--pictures", type=int, default=30, help="how many of them [30]")
    parser.add_argument("--cpus", type=int, default=2, help="cores that the engines use [2]")
    parser.add_argument("--only", metavar="WORD", help="checks whose names hold it")
    parser.add_argument("--spark", action="store_true", help="the checks of Spark")
    parser.add_argument("--ray", action="store_true", help="the checks of Ray")
    args = parser.parse_args()
    both = not args.spark and not args.ray
    groups = ["shards", "worker"] + ["spark"] * (args.spark or both) + ["ray"] * (args.ray or both)
    checks = [check for group in groups for check in CHECKS[group] if (args.only or "") in check.__name__]
    failures = 0
    with tempfile.TemporaryDirectory(prefix="fleet") as at:
        fleet = Fleet(args, pathlib.Path(at))
        print(f"{fleet.total} pictures, detect: {fleet.total / fleet.seconds:.1f} pictures/s")
        for check in checks:
            began = time.monotonic()
            try:
                result, detail = "ok", check(fleet)
            except (Failed, WorkerError, subprocess.TimeoutExpired, OSError, ValueError) as e:
                result, detail = "FAILED", str(e)
                failures += 1
            seconds = time.monotonic() - began
            print(f"{check.__name__:<22} {result:<6} {seconds:6.1f} s  {detail}", flush=True)
    print(f"{len(checks) - failures} of {len(checks)} checks passed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
