#!/usr/bin/env python3
"""The normal and the abnormal text anchor of a model, `[D, 2]`, in PyTorch: `anchors.py DIR|builtin PROMPTS OUT.npy`.

PROMPTS is an ensemble of `prompts/`. The mean of the sentences' unit vectors, of unit length, for the class "object".
"""

import json
import sys
import tomllib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import common

BUILTIN = common.ROOT / "weights" / "builtin"


def builtin_tensors():
    """The built-in towers' weights, expanded from int8."""
    sys.path.append(str(common.ROOT / "tools" / "builtin"))
    from quantise import expand

    return expand(load_file(BUILTIN / "model.safetensors"))


def builtin_encoder():
    tensors = builtin_tensors()
    import tokenizers
    from model import TextTower

    tower = TextTower()
    tower.load_state_dict({n: tensors[n] for n in tower.state_dict()})
    tokenizer = tokenizers.Tokenizer.from_file(str(BUILTIN / "tokenizer.json"))

    def encode(sentences):
        rows = [tokenizer.encode(s.lower()).ids for s in sentences]
        ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        for row, line in zip(rows, ids):
            line[: len(row)] = torch.tensor(row)
        return tower(ids, torch.tensor([len(row) - 1 for row in rows]))

    return encode


def folder_encoder(folder):
    import open_clip

    config = json.loads((common.pathlib.Path(folder) / "open_clip_config.json").read_text())["model_cfg"]
    # The image tower is not used: a small one of the same form takes its place.
    model = open_clip.CLIP(**config | {"vision_cfg": {"layers": 1, "width": 64, "patch_size": 16, "image_size": 16}})
    tensors = load_file(common.weights_file(folder))
    found = model.load_state_dict({n: t for n, t in tensors.items() if not n.startswith("visual.")}, strict=False)
    missing = [n for n in found.missing_keys if not n.startswith("visual.")]
    if missing:
        sys.exit(f"{folder}: no {missing[0]} in the weights")
    model.eval()
    tokenizer = open_clip.SimpleTokenizer(context_length=config["text_cfg"]["context_length"])
    return lambda sentences: torch.cat([model.encode_text(part) for part in tokenizer(sentences).split(64)])


@torch.no_grad()
def main():
    model, prompts, out = sys.argv[1:]
    encode = builtin_encoder() if model == "builtin" else folder_encoder(model)
    ensemble = tomllib.loads((common.ROOT / "prompts" / f"{prompts}.toml").read_text())
    anchors = []
    for states in (ensemble["states"]["normal"], ensemble["states"]["abnormal"]):
        sentences = [t.format(s.format("object")) for s in states for t in ensemble["templates"]]
        anchors.append(F.normalize(F.normalize(encode(sentences), dim=1).mean(0), dim=0))
    np.save(out, torch.stack(anchors, 1).numpy())


if __name__ == "__main__":
    main()
