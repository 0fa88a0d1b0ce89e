#!/usr/bin/env python3
"""Writes the image tower as graphs for the inference engines, once for a model and size: `export.py DIR SIZE CACHE`.

    plain.onnx      attention as matrix products and a softmax, as PyTorch's exporter writes it
    attention.onnx  attention as ONNX Runtime's own fused operator
    fused.xml       OpenVINO's form, converted from PyTorch with its fused operator
"""

import contextlib
import io
import sys
import warnings

import torch

import common
import tower

INPUT, OPSET = "images", 18


class FusedOperator(torch.autograd.Function):
    """Attention on `[B, H, L, E]` that is exported as one operator of ONNX Runtime, which wants `[B, L, H E]`."""

    @staticmethod
    def forward(_ctx, q, k, v, _heads):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v)

    @staticmethod
    def symbolic(g, q, k, v, heads):
        # A zero keeps that axis, -1 is the remaining size.
        flat, split = (g.op("Constant", value_t=torch.tensor(s)) for s in ([0, 0, -1], [0, 0, heads, -1]))
        order = [0, 2, 1, 3]
        rows = [g.op("Reshape", g.op("Transpose", x, perm_i=order), flat) for x in (q, k, v)]
        out = g.op("com.microsoft::MultiHeadAttention", *rows, num_heads_i=heads)
        out.setType(rows[0].type())
        return g.op("Transpose", g.op("Reshape", out, split), perm_i=order)


class Traced(torch.nn.Module):
    """The tower as a function of the picture alone, with either form of attention."""

    def __init__(self, inner, operator=False):
        super().__init__()
        self.inner, self.operator = inner, operator

    def attention(self, q, k, v):
        if self.operator:
            return FusedOperator.apply(q, k, v, self.inner.transformer.resblocks[0].heads)
        return torch.nn.functional.scaled_dot_product_attention(q, k, v)

    def forward(self, images):
        return tuple(self.inner(images, attention=self.attention))


def onnx(module, images, path):
    part = path.with_suffix(".part")
    torch.onnx.export(module, (images,), str(part), dynamo=False, opset_version=OPSET, input_names=[INPUT])
    part.rename(path)


def openvino(module, images, path):
    import openvino

    converted = openvino.convert_model(module, example_input=images, input=[list(images.shape)])
    openvino.save_model(converted, path.with_name("part.xml"), compress_to_fp16=False)
    path.with_name("part.bin").rename(path.with_suffix(".bin"))
    path.with_name("part.xml").rename(path)


@torch.no_grad()
def main():
    model, size, cache = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    folder = common.graph_folder(cache, model, size)
    folder.mkdir(parents=True, exist_ok=True)
    images = torch.from_numpy(common.picture(size))
    inner = tower.load(model, size)
    graphs = [
        ("plain.onnx", lambda path: onnx(Traced(inner), images, path)),
        ("fused.xml", lambda path: openvino(Traced(inner), images, path)),
        ("attention.onnx", lambda path: onnx(Traced(inner, operator=True), images, path)),
    ]
    for name, write in graphs:
        if (folder / name).exists():
            continue
        try:
            # A failing exporter prints the whole graph.
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                write(folder / name)
        # A missing package or an exporter's failure costs that graph only; the worker reports the missing part.
        except Exception as problem:
            print(f"{name}: {type(problem).__name__}: {problem}".splitlines()[0], file=sys.stderr)


if __name__ == "__main__":
    main()
