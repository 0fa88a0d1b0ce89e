"""Averages the weights of several runs of train_vision.py that began at the same start, and measures the result.

Averages of runs on other scenes or in another order know more than each of them about kinds none has seen."""

import argparse

import torch

from model import VisionTower
from train_vision import SIDE, Learner, report
from validation import real_and_synthetic


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("runs", nargs="+", help="what train_vision.py wrote")
    a.add_argument("--data", default="../shared/data", help="for validation")
    a.add_argument("--out", default="target/builtin/vision.pt")
    a = a.parse_args()
    states = [torch.load(run) for run in a.runs]
    average = {name: torch.stack([s[name] for s in states]).mean(0) for name in states[0]}
    torch.save(average, a.out)
    learner = Learner(VisionTower(), average["classes"])
    learner.load_state_dict(average)
    report(learner, real_and_synthetic(a.data, SIDE))


if __name__ == "__main__":
    main()
