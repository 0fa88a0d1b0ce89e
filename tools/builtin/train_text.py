"""Trains the text tower: names land on the teacher's class vectors, states on the anchors of damage.

Reads vision.pt of train_vision.py and a tokenizer; writes text.pt."""

import argparse
import time

import numpy as np
import tokenizers
import torch
import torch.nn.functional as F

import wording
from model import CONFIG, TextTower, VisionTower
from scenes import scene
from train_vision import SIDE, Learner
from validation import tensor

CONTEXT = CONFIG["model_cfg"]["text_cfg"]["context_length"]


def encode(tokenizer, texts):
    rows = [tokenizer.encode(t.lower()).ids for t in texts]
    rows = [r if len(r) <= CONTEXT else r[: CONTEXT - 1] + [r[-1]] for r in rows]
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for i, r in enumerate(rows):
        ids[i, : len(r)] = torch.tensor(r)
    return ids, torch.tensor([len(r) - 1 for r in rows])


@torch.no_grad()
def picture_vectors(learner, names, each, seed):
    """Mean class vectors of our own procedural pictures, by object."""
    found = {name: [] for name in names}
    learner.eval()
    for i in range(each * len(names)):
        s = scene(np.random.default_rng((seed, i)), SIDE)
        if s.name in found and not s.mask.any():
            with torch.autocast("cpu", dtype=torch.bfloat16):
                found[s.name].append(learner(tensor([s.picture]))[2][0].float())
    return {k: F.normalize(torch.stack(v).mean(0), dim=0) for k, v in found.items() if len(v) >= 3}


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--vision", default="target/builtin/vision.pt")
    a.add_argument("--tokenizer", default="target/builtin/tokenizer.json")
    a.add_argument("--out", default="target/builtin/text.pt")
    a.add_argument("--steps", type=int, default=2500)
    a.add_argument("--batch", type=int, default=160)
    a.add_argument("--seed", type=int, default=2)
    a = a.parse_args()
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    tokenizer = tokenizers.Tokenizer.from_file(a.tokenizer)
    learner = Learner(VisionTower(), torch.zeros(1000, 192))
    learner.load_state_dict(torch.load(a.vision))
    normal, abnormal = F.normalize(learner.anchors.detach(), dim=1)
    # The state lives along the direction between the anchors, the name at right angles to it.
    direction = F.normalize(abnormal - normal, dim=0)
    # How much of a sentence's vector its state is: two sentences then differ by as much as the anchors.
    share = float((abnormal - normal).norm() / 2)
    clear = lambda v: F.normalize(v - (v @ direction)[..., None] * direction, dim=-1)
    names = wording.imagenet()
    own = picture_vectors(learner, wording.pictured(), 6, a.seed)
    vectors = clear(torch.cat([learner.class_vectors().detach(), torch.stack(list(own.values()))]))
    names = names + list(own)
    print(f"{len(names)} names with vectors, {len(own)} of them our own pictures'")
    things = names + wording.THINGS + wording.pictured()
    tower = TextTower()
    decay = [p for p in tower.parameters() if p.ndim > 1]
    flat = [p for p in tower.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": 0.02}, {"params": flat, "weight_decay": 0.0}], lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.5e-3, total_steps=a.steps, pct_start=0.05)
    start = time.time()
    for step in range(a.steps):
        # Two thirds of the names have a vector; the others only learn their state.
        who = np.where(rng.random(a.batch) < 0.67, rng.integers(0, len(names), a.batch), rng.integers(0, len(things), a.batch))
        # Every thing comes twice, damaged and not: nothing but the state may tell the two apart.
        who[a.batch // 2 :] = who[: a.batch // 2]
        bad = np.arange(a.batch) < a.batch // 2
        plain = rng.random(a.batch) < 0.3
        texts = []
        for i in range(a.batch):
            state = str(rng.choice(wording.ABNORMAL)) if bad[i] else ("{}" if plain[i] else str(rng.choice(wording.NORMAL)))
            texts.append(str(rng.choice(wording.TEMPLATES)).format(state.format(things[who[i]])))
        out = F.normalize(tower(*encode(tokenizer, texts)), dim=1)
        known = torch.from_numpy(who < len(names))
        sign = torch.from_numpy(np.where(bad, 1.0, -1.0)).float()
        along = out @ direction
        state = ((along - sign * share) ** 2).mean()
        apart = out[: a.batch // 2] - out[a.batch // 2 :] - 2 * share * direction
        state = (state + (apart**2).sum(1).mean()) / share**2
        kind = torch.from_numpy(who[who < len(names)])
        content = clear(out[known])
        contrast = F.cross_entropy(20 * content @ vectors.T, kind)
        near = (1 - (content * vectors[kind]).sum(1)).mean()
        loss = 2 * state + contrast + near
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % 250 == 0:
            hit = (along.sign() == sign).float().mean()
            right = ((20 * content @ vectors.T).argmax(1) == kind).float().mean()
            print(f"{step + 1}/{a.steps} state {state.item():.4f} ({hit:.3f} right) class {contrast.item():.3f} ({right:.3f} right) | {time.time() - start:.0f} s", flush=True)
    torch.save(tower.state_dict(), a.out)


if __name__ == "__main__":
    main()
