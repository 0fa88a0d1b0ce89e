#!/usr/bin/env python3
"""Makes tests/data/torch: one small file per format PyTorch has written checkpoints in.

    pip install torch
    python tests/reference/make_torch_fixtures.py tests/data/torch

Element i of tensor number k is ((37 i + 11 k) mod 101 - 50) / 64: exact in every floating-point type, and known
to the tests that read the files (tests/weights/main.rs).
"""

import collections
import os
import pathlib
import sys

import torch


def values(shape, k, dtype=torch.float32):
    count = 1
    for side in shape:
        count *= side
    numbers = (torch.arange(count) * 37 + 11 * k) % 101 - 50
    return (numbers / 64).to(dtype).reshape(shape)


def state_dict():
    return collections.OrderedDict(
        {
            "visual.conv1.weight": torch.nn.Parameter(values((2, 3, 2, 2), 0)),
            "visual.proj": values((4, 3), 1, torch.float16),
            "ln_final.bias": values((5,), 2, torch.bfloat16),
            "double": values((3,), 3, torch.float64),
            "scalar": values((), 4),
            "empty": values((0, 3), 5),
            "steps": torch.tensor([1, 2]),
        }
    )


class Inner(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.in_proj_weight = torch.nn.Parameter(values((6, 2), 6))
        self.in_proj_bias = torch.nn.Parameter(values((6,), 7, torch.float16))

    def forward(self, x):
        return x @ self.in_proj_weight.t()


class Outer(torch.nn.Module):
    """Nested modules, a list of them, a buffer and plain attributes, as in OpenAI's archives."""

    def __init__(self):
        super().__init__()
        self.resblocks = torch.nn.Sequential(Inner(), Inner())
        self.positional_embedding = torch.nn.Parameter(values((3, 2), 8))
        self.register_buffer("input_resolution", torch.tensor(224))
        self.heads: int = 2

    def forward(self, x):
        return self.resblocks[0](x) + self.heads


class Evil:
    def __reduce__(self):
        return os.system, ("touch aaclip-was-here",)


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    torch.save(state_dict(), out / "state_dict.pt")
    torch.save(state_dict(), out / "legacy.pth", _use_new_zipfile_serialization=False)
    wrapped = {"module." + k: v for k, v in state_dict().items()}
    optimizer = {"state": {0: {"step": 4, "exp_avg": values((2,), 9)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    torch.save({"epoch": 3, "name": "test", "state_dict": wrapped, "optimizer": optimizer}, out / "nested.pt")
    torch.save({"epoch": 3, "text_adapter": {"0.fc.0.weight": values((2, 2), 10)}, "opt": optimizer}, out / "adapter.pth")
    whole = values((4, 6), 11)
    views = {"whole": whole, "transposed": whole.t(), "corner": whole[1:3, 2:5], "column": whole[:, 1]}
    torch.save(views, out / "views.pt")
    torch.save({"wide": torch.zeros(1).expand(1000)}, out / "expanded.pt")
    torch.save({"weight": values((2,), 12), "evil": Evil()}, out / "evil.pt")
    torch.save({"weight": values((2,), 12), "evil": Evil()}, out / "evil_legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"weight": torch.tensor([1.0, float("nan"), 2.0])}, out / "nan.pt")
    torch.save({"epoch": 3}, out / "no_tensors.pt")
    torch.jit.save(torch.jit.script(Outer()), out / "scripted.pt")


if __name__ == "__main__":
    main()
