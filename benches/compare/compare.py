#!/usr/bin/env python3
"""One picture through a CLIP image tower in aaclip, PyTorch, ONNX Runtime and OpenVINO: one run, interleaved, ratios.

    pip install -r benches/compare/requirements.txt
    python tests/reference/full_size.py --model ViT-L-14-336 --size 518 DIR
    python benches/compare/compare.py DIR --cache CACHE

Every contestant runs the ordinary path on the same picture, batch 1, and returns the tokens after each quarter of the
blocks. They must agree with `torch-fused` before their times count. A contestant that cannot run says why.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

import numpy as np

import common
from processes import Unable, Worker, available_memory, round_robin

HERE = pathlib.Path(__file__).resolve().parent
# The reference for speed, the reference for results, and then the others.
EAGER, REFERENCE = "torch-eager", "torch-fused"
PEERS = [EAGER, REFERENCE, "torch-bf16", "onnxruntime", "openvino", "openvino-bf16"]
OURS = {f"aaclip-{precision}": precision for precision in ("f32", "bf16", "int8")}
# ours, peer, limit of ours / peer.
LIMITS = [
    ("aaclip-f32", EAGER, 0.60),
    ("aaclip-f32", REFERENCE, 1.00),
    ("aaclip-f32", "onnxruntime", 1.00),
    ("aaclip-f32", "openvino", 1.00),
    ("aaclip-bf16", "torch-bf16", 0.75),
    ("aaclip-bf16", "openvino-bf16", 1.00),
    ("aaclip-int8", "aaclip-bf16", 0.65),
]
MEMORY_LIMIT = 300e6
# Bytes of a weight, and how far a result may be from the reference: of the head its relative difference (f32) or its
# correlation (the others), of every tap's mean and deviation the difference in deviations.
TOLERANCES = {"f32": (4, 1e-3, None, 1e-3), "bf16": (2, None, 0.99, 0.05), "int8": (1, None, 0.95, 0.05)}


def precision(name):
    return next((p for p in ("bf16", "int8") if name.endswith(p)), "f32")


def newest_bench():
    """The benchmark `tower`, built if need be."""
    command = ["cargo", "bench", "--bench", "tower", "--no-run", "--message-format=json"]
    run = subprocess.run(command, cwd=common.ROOT, capture_output=True, text=True)
    if run.returncode:
        problems = [line for line in run.stderr.splitlines() if line.startswith("error")]
        raise Unable(f"cargo: {problems[0] if problems else 'it failed'}")
    messages = (json.loads(line) for line in run.stdout.splitlines() if line.startswith("{"))
    found = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "tower"]
    if not found:
        raise Unable("cargo built no benchmark `tower`")
    return found[-1]


def command_of(name, args):
    if name in OURS:
        args.aaclip = args.aaclip or newest_bench()
        arguments = {"--model": args.dir, "--size": args.size, "--precision": OURS[name], "--threads": args.threads}
        return [args.aaclip, "serve", *(str(part) for pair in arguments.items() for part in pair)]
    worker = [sys.executable, HERE / "worker.py", name, args.dir, args.size, args.threads, args.cache]
    return [str(part) for part in worker]


def disagreement(name, ready, reference):
    """The distance of a contestant's results from the reference: the text to print, and whether it is too large."""
    _, relative, correlation, spread = TOLERANCES[precision(name)]
    head, expected = np.array(ready["head"]), np.array(reference["head"])
    if len(head) != len(expected) or len(ready["taps"]) != len(reference["taps"]):
        return "another number of taps or values", True
    drift = max(
        max(abs(a["mean"] - b["mean"]), abs(a["std"] - b["std"])) / b["std"]
        for a, b in zip(ready["taps"], reference["taps"])
    )
    if relative is not None:
        far = float(np.abs(head - expected).max() / np.abs(expected).max())
        return f"values {far:.1e}, taps {drift:.1e}", not (far <= relative and drift <= spread)
    alike = float(np.corrcoef(head, expected)[0, 1])
    return f"corr. {alike:.4f}, taps {drift:.1e}", not (alike >= correlation and drift <= spread)


def measure(names, args, parameters):
    """Loads `names`, runs them in turns and returns the results of each, and warnings."""
    workers, found = [], {}
    try:
        for name in names:
            print(f"  loading {name}", file=sys.stderr, flush=True)
            try:
                workers.append(Worker(name, command_of(name, args), args.threads))
            except Unable as reason:
                found[name] = {"unable": str(reason)}
        warnings = round_robin(workers, args.rounds)
        for worker in workers:
            if worker.failed:
                found[worker.name] = {"unable": worker.failed}
                continue
            weights = TOLERANCES[precision(worker.name)][0] * parameters
            peaks = {"load": worker.load_peak, "pass": worker.pass_peak()}
            above = {k: v - weights for k, v in peaks.items() if v is not None}
            found[worker.name] = {"seconds": worker.seconds, "above_weights": above, **worker.ready}
        best = {n: min(f["seconds"]) for n, f in found.items() if "seconds" in f}
        for name in best:
            found[name]["ratio"] = best[name] / best[EAGER] if EAGER in best else None
    finally:
        for worker in workers:
            worker.close()
    return found, warnings


def groups(names, parameters):
    """All at once if they fit into memory; else in parts that each have the yardstick, to which ratios refer."""
    free = available_memory()
    # Rough, from observed memory: engines keep a second, packed copy of the weights, PyTorch itself is large.
    weights = {n: TOLERANCES[precision(n)][0] * parameters for n in names}
    need = sum(w + 800e6 if n.startswith("torch") else 2 * w + 400e6 for n, w in weights.items())
    parts = 1 if free is None else max(1, -(-int(need) // int(0.9 * free)))
    others = [n for n in names if n not in (EAGER, REFERENCE)]
    if parts == 1 or not others:
        return [names]
    size = -(-len(others) // parts)
    fixed = [n for n in (EAGER, REFERENCE) if n in names]
    return [fixed + others[i : i + size] for i in range(0, len(others), size)]


def table(found, names):
    rows = [("", "best s", "median s", f"x {EAGER}", "MB load", "MB pass", "agrees with torch-fused", "")]
    for name in names:
        f = found[name]
        if "seconds" not in f:
            rows.append((name, "-", "-", "-", "-", "-", "", f"cannot run: {f['unable']}"))
            continue
        ratio = "-" if f["ratio"] is None else f"{f['ratio']:.3f}"
        megabytes = [f"{f['above_weights'][k] / 1e6:+.0f}" if k in f["above_weights"] else "-" for k in ("load", "pass")]
        agrees = ("NO: " if f["wrong"] else "") + f["agrees"]
        tried = f.get("tried") and "fastest of: " + "; ".join(f["tried"])
        about = ", ".join(filter(None, [f.get("version"), tried or f.get("variant")]))
        times = (f"{min(f['seconds']):.3f}", f"{statistics.median(f['seconds']):.3f}")
        rows.append((name, *times, ratio, *megabytes, agrees, about))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [row[i].ljust(w) if i in (0, 6) else row[i].rjust(w) for i, w in enumerate(widths)]
        print("  ".join([*cells, row[-1]]).rstrip())


def verdicts(found):
    """A line per criterion: met, missed by how much, or the reason why it is unknown."""

    def line(title, value, limit, unit=""):
        verdict = "met" if value <= limit else f"MISSED by {100 * (value / limit - 1):.0f} %"
        return f"{verdict:16} {title}: {value:.2f}{unit}, at most {limit:.2f}{unit}"

    lines = []
    for ours, peer, limit in LIMITS:
        lacking = [n for n in (ours, peer) if found.get(n, {}).get("ratio") is None or found[n]["wrong"]]
        if lacking:
            lines.append(f"{'not measured':16} {ours} / {peer}: no valid time of {', '.join(lacking)}")
        else:
            lines.append(line(f"{ours} / {peer}", found[ours]["ratio"] / found[peer]["ratio"], limit))
    above = found.get("aaclip-f32", {}).get("above_weights")
    if above:
        lines.append(line("aaclip-f32, peak memory above the weights", max(above.values()) / 1e6, MEMORY_LIMIT / 1e6, " MB"))
    else:
        lines.append(f"{'not measured':16} aaclip-f32, peak memory above the weights")
    return lines


def processor():
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=pathlib.Path, help="model folder: open_clip_config.json and one .safetensors")
    parser.add_argument("--size", type=int, default=518, help="side of the picture in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", help="contestants, separated by commas")
    parser.add_argument("--aaclip", metavar="BINARY", help="our worker [default: cargo bench --bench tower --no-run]")
    parser.add_argument("--cache", help="folder that keeps the exported graphs [default: a temporary one]")
    parser.add_argument("--json", type=pathlib.Path, metavar="OUT", help="write all figures to a file")
    args = parser.parse_args()
    names = [*PEERS, *OURS]
    chosen = args.only.split(",") if args.only else names
    unknown = set(chosen) - set(names)
    if unknown:
        parser.error(f"no such contestant: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    # The yardstick and the reference take part in any case.
    return args, [n for n in names if n in {*chosen, EAGER, REFERENCE}]


def main():
    args, names = arguments()
    parameters = common.tower_parameters(args.dir)
    with tempfile.TemporaryDirectory() as temporary:
        args.cache = args.cache or temporary
        if any(n.startswith(("onnx", "openvino")) for n in names):
            print("  exporting graphs", file=sys.stderr, flush=True)
            export = [sys.executable, HERE / "export.py", args.dir, args.size, args.cache]
            subprocess.run([str(part) for part in export])
        found, warnings = {}, []
        for part in groups(names, parameters):
            new, said = measure(part, args, parameters)
            # The table has the reference of the first part; ratios are those of each part.
            found = new | found
            warnings += said
    reference = found[REFERENCE]
    for name, f in found.items():
        if "seconds" in f:
            f["agrees"], f["wrong"] = disagreement(name, f, reference) if "head" in reference else ("unchecked", True)
    print(f"{args.dir}: {args.size} px, {args.threads} threads, {args.rounds} rounds, tower of {4 * parameters / 1e6:.0f} MB in f32")
    print(f"{processor()}; MB are peak resident memory less the weights at the contestant's precision\n")
    table(found, names)
    print()
    lines = verdicts(found)
    print("\n".join([*lines, *(f"warning: {w}" for w in warnings)]))
    if args.json:
        facts = {"size": args.size, "threads": args.threads, "processor": processor(), "parameters": parameters}
        args.json.write_text(json.dumps(facts | {"contestants": found, "verdicts": lines, "warnings": warnings}, indent=1))


if __name__ == "__main__":
    main()
