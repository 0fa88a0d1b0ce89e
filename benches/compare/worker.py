#!/usr/bin/env python3
"""One contestant in a process of its own: `worker.py NAME DIR SIZE THREADS CACHE`.

The protocol, the same for every contestant in any language: load, run once to warm up, print `ready {json}` (see
`common.checksum`; `variant` and `version` are shown). Then, for every line `go` on stdin, run once and print
`{"seconds": s, "peak_rss": bytes}`. The end of stdin ends the worker.

Where a contestant can do its work in more than one way, each is tried and the fastest is kept.
"""

import gc
import json
import os
import sys
import time
from importlib import metadata

import common


class Way:
    """One way to do the work: `run()` is timed, `arrays(result)` are its taps as NumPy arrays."""

    def __init__(self, name, run, arrays):
        self.name, self.run, self.arrays = name, run, arrays

    def seconds(self):
        start = time.perf_counter()
        self.run()
        return time.perf_counter() - start


def torch_way(name, official=False, bf16=False, autocast=False):
    def make(args):
        import torch

        import tower

        torch.set_num_threads(args.threads)
        torch.set_grad_enabled(False)
        module = tower.load(args.model, args.size, official)
        images = torch.from_numpy(args.picture)
        if bf16:
            module, images = module.bfloat16(), images.bfloat16()

        def run():
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                return module(images)

        return Way(name, run, lambda taps: [t.float().numpy() for t in taps])

    return make


def onnxruntime_way(name, graph):
    def make(args):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
        # It may spin while it runs, but not while another contestant does.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        path = args.graph(graph)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: args.picture}
        return Way(name, lambda: session.run(None, feed), lambda taps: taps)

    return make


def openvino_way(name, graph, precision):
    def make(args):
        import openvino

        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise RuntimeError("this processor has no bf16 instructions that OpenVINO uses")
        hints = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
        compiled = core.compile_model(args.graph(graph), "CPU", hints | {"INFERENCE_NUM_THREADS": args.threads})
        request = compiled.create_infer_request()
        request.set_input_tensor(openvino.Tensor(args.picture, shared_memory=True))

        def arrays(_):
            return [request.get_output_tensor(i).data for i in range(len(compiled.outputs))]

        return Way(name, request.infer, arrays)

    return make


CONTESTANTS = {
    "torch-eager": [torch_way("nn.MultiheadAttention", official=True)],
    "torch-fused": [torch_way("scaled_dot_product_attention")],
    "torch-bf16": [torch_way("weights in bf16", bf16=True), torch_way("autocast", autocast=True)],
    "onnxruntime": [onnxruntime_way("exported", "plain.onnx"), onnxruntime_way("MultiHeadAttention", "attention.onnx")],
    "openvino": [openvino_way("from ONNX", "plain.onnx", "f32"), openvino_way("from PyTorch", "fused.xml", "f32")],
    "openvino-bf16": [openvino_way("from ONNX", "plain.onnx", "bf16"), openvino_way("from PyTorch", "fused.xml", "bf16")],
}



class Arguments:
    def __init__(self, model, size, threads, cache):
        self.model, self.size, self.threads, self.cache = model, int(size), int(threads), cache
        self.picture = common.picture(self.size)

    def graph(self, name):
        path = common.graph_folder(self.cache, self.model, self.size) / name
        if not path.exists():
            raise RuntimeError(f"{name} was not exported")
        return str(path)


def fastest(ways, args):
    """The fastest of the ways that work, warmed up; the times of the others or the reasons of their failure."""
    best, notes, failed = None, [], None
    for make in ways:
        try:
            way = make(args)
            way.run()
            took = min(way.seconds(), way.seconds()) if len(ways) > 1 else 0.0
        # Whatever a package raises, the next way may work.
        except Exception as problem:
            failed = problem
            notes.append(f"{type(problem).__name__}: {problem}".splitlines()[0])
            continue
        notes.append(f"{way.name}: {took:.3f} s")
        if best is None or took < best[0]:
            best = (took, way)
        del way
        gc.collect()
    if best is None:
        raise failed
    return best[1], notes if len(ways) > 1 else []


def main():
    # Packages may print; the protocol keeps the real stdout to itself.
    protocol = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    name, args = sys.argv[1], Arguments(*sys.argv[2:])
    way, notes = fastest(CONTESTANTS[name], args)
    ready = common.checksum(way.arrays(way.run()))
    package = name.split("-")[0]
    ready |= {"variant": way.name, "tried": notes, "version": f"{package} {metadata.version(package)}"}
    print("ready", json.dumps(ready), file=protocol)
    for line in sys.stdin:
        if line.strip() == "go":
            seconds = way.seconds()
            print(json.dumps({"seconds": seconds, "peak_rss": common.own_peak()}), file=protocol)


if __name__ == "__main__":
    main()
