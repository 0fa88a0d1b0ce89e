#!/usr/bin/env python3
"""A folder of pictures in PyTorch, as the papers' scripts do it: a DataLoader decodes and resizes, the model looks, the
map is up-sampled and smoothed, a heatmap and a line of JSON are written.

    folder_torch.py PICTURES OUT --model DIR|builtin --method sdp|aa-clip --anchors FILE.npy --size S
"""

import argparse
import json
import pathlib
import sys
import time

START = time.perf_counter()

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors import safe_open  # noqa: E402
from scipy.ndimage import gaussian_filter  # noqa: E402

import anchors as text  # noqa: E402
import common  # noqa: E402
import tower  # noqa: E402

sys.path.append(str(common.ROOT / "tests" / "reference"))
from dual_path import dual_path  # noqa: E402

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
LEVELS = 4


class Pictures(torch.utils.data.Dataset):
    def __init__(self, folder, size, model):
        self.paths, self.size = sorted(pathlib.Path(folder).iterdir()), size
        config = json.loads((model / "open_clip_config.json").read_text()).get("preprocess_cfg", {})
        self.mean = torch.tensor(config.get("mean", CLIP_MEAN)).view(3, 1, 1)
        self.std = torch.tensor(config.get("std", CLIP_STD)).view(3, 1, 1)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        picture = Image.open(self.paths[i]).convert("RGB")
        small = picture.resize((self.size, self.size), Image.Resampling.BICUBIC)
        values = torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255
        return (values - self.mean) / self.std, i, torch.tensor(picture.size)


class Sdp:
    """CLIP-AD without training: the staged dual path, a Gaussian of 8 pixels on the full map."""

    def __init__(self, args):
        self.tower, self.size = tower.load(args.model, args.size), args.size
        for block in self.tower.transformer.resblocks:
            block.attn.batch_first = True
        self.anchors = torch.from_numpy(np.load(args.anchors))

    def __call__(self, images):
        total = 0
        for level, (_, surgery) in dual_path(self.tower, images, self.tower.levels).items():
            similar = F.normalize(surgery, dim=-1) @ self.anchors
            weights = similar[:, :1].softmax(-1)
            weighted = similar * weights / weights.mean(-1, keepdim=True)
            total = total + weighted - weighted.mean(-1, keepdim=True)
            text_probability = (100 * similar[:, 0]).softmax(-1)[:, 1]
        maps = upsample(total[:, 1:, 1], self.size, corners=False)
        maps = torch.from_numpy(np.stack([gaussian_filter(m, 8) for m in maps.numpy()]))
        tops = self.probability(maps.amax((1, 2)))
        return maps, 0.5 * (text_probability + tops)

    @staticmethod
    def probability(values):
        return torch.sigmoid(2 * 100 * values / LEVELS)


class AaClip:
    """AA-CLIP with the built-in model's adapters: a Gaussian of one patch on every level's grid."""

    def __init__(self, args):
        tensors = {n.removeprefix("visual."): t for n, t in text.builtin_tensors().items() if n.startswith("visual.")}
        self.tower, self.size = tower.build(common.vision_config(text.BUILTIN), tensors, args.size), args.size
        with safe_open(text.BUILTIN / "adapters.safetensors", framework="pt") as file:
            about = file.metadata()
            adapters = {n.removeprefix("image_adapter."): file.get_tensor(n) for n in file.keys()}
        self.share, self.relu = float(about["image_adapt_weight"]), about["relu"] == "true"
        ending = "fc.0.weight" if self.relu else "fc.weight"
        self.residual = [adapters[n] for n in sorted(adapters) if n.startswith("layer_adapters.")]
        self.segment = [adapters[f"seg_proj.{i}.{ending}"] for i in range(LEVELS)]
        self.detect = adapters[f"det_proj.{ending}"]
        self.anchors = torch.from_numpy(np.load(args.anchors))
        weights = torch.exp(-0.5 * torch.arange(-3.0, 4.0) ** 2)
        self.kernel = (weights / weights.sum()).view(1, 1, 1, 7)

    def adapt(self, i, x):
        if i >= len(self.residual):
            return x
        a = F.leaky_relu(x @ self.residual[i].T, 0.01)
        a = a * x.norm(dim=-1, keepdim=True) / a.norm(dim=-1, keepdim=True)
        return self.share * a + (1 - self.share) * x

    def project(self, tokens, weight):
        projected = tokens @ weight.T
        return F.normalize(F.leaky_relu(projected, 0.01) if self.relu else projected, dim=-1)

    def __call__(self, images):
        maps = 0
        for tokens, segment in zip(self.tower(images, after_block=self.adapt), self.segment):
            tokens = self.tower.ln_post(tokens[:, 1:])
            similar = 100 * self.project(tokens, segment) @ self.anchors
            grid = (similar[..., 1] + 1 - similar[..., 0]) / 2
            side = int(grid.shape[1] ** 0.5)
            grid = F.pad(grid.view(-1, 1, side, side), (3, 3, 3, 3), mode="reflect")
            grid = F.conv2d(F.conv2d(grid, self.kernel), self.kernel.transpose(2, 3))
            maps = maps + upsample(grid, self.size, corners=True)
        picture = self.project(tokens, self.detect).mean(1) @ self.anchors[:, 1]
        tops = self.probability(maps.amax((1, 2)))
        return maps, 0.5 * (((picture + 1) / 2).clamp(0, 1) + tops)

    @staticmethod
    def probability(values):
        return torch.sigmoid(2 * (values / LEVELS - 0.5))


def upsample(grid, size, corners):
    """`[B, L]` or `[B, 1, g, g]` to `[B, S, S]`."""
    if grid.ndim == 2:
        side = int(grid.shape[1] ** 0.5)
        grid = grid.reshape(-1, 1, side, side)
    return F.interpolate(grid, size=(size, size), mode="bilinear", align_corners=corners)[:, 0]


def palette():
    """From black over red and yellow to white."""
    ramp = np.linspace(0, 3, 256)[:, None] - np.array([0, 1, 2])
    return (ramp.clip(0, 1) * 255).astype(np.uint8)


@torch.inference_mode()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--method", choices=("sdp", "aa-clip"), required=True)
    parser.add_argument("--anchors", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--loaders", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    method = {"sdp": Sdp, "aa-clip": AaClip}[args.method](args)
    data = Pictures(args.pictures, args.size, text.BUILTIN if args.model == "builtin" else pathlib.Path(args.model))
    loader = torch.utils.data.DataLoader(data, batch_size=args.batch, num_workers=args.loaders)
    colours, ready = palette(), time.perf_counter()
    for images, indices, sizes in loader:
        maps, scores = method(images)
        for values, score, i, (width, height) in zip(maps, scores.tolist(), indices.tolist(), sizes.tolist()):
            whole = F.interpolate(values[None, None], size=(height, width), mode="bilinear", align_corners=False)[0, 0]
            position = ((method.probability(whole) - 0.5) / 0.5).clamp(0, 1)
            heatmap = args.out / f"{data.paths[i].stem}.heatmap.png"
            # The default level of compression would take most of the time.
            Image.fromarray(colours[(position * 255).round().byte().numpy()]).save(heatmap, compress_level=1)
            print(json.dumps({"path": str(data.paths[i]), "score": score, "files": {"heatmap": str(heatmap)}}), flush=True)
    times = {"start_up": ready - START, "pictures": time.perf_counter() - ready}
    (args.out / "times.json").write_text(json.dumps(times))


if __name__ == "__main__":
    main()
