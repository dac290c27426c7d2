"""Measures what `glyphnet.suggest` saves: labels until 95 % of the accuracy with all labels, against random choice.

    python benchmarks/suggest.py [mnist] [fashion-mnist] [--draws 5] [--record]

A model (preset fast) begins with 20 labels drawn at random. Each round adds half as many as there are: those that the
last model suggests out of the training images, or random ones, and trains anew. Labels are read of the images that were
chosen and of no others; a tenth of these, 100 at most, are for validation. The accuracy on the test images is looked at
after each round and decides nothing but when to stop counting; labels are interpolated between the rounds before and
after the goal.
"""

from __future__ import annotations

import statistics
import sys

import numpy as np
from _results import arguments_parser, publish

from glyphnet import Classifier, Splits, load, suggest, train
from glyphnet.data import ImageDataset

DATA = ("mnist", "fashion-mnist")
BEGIN, GROWTH, MOST = 20, 1.5, 20_000
GOAL = 0.95
"""Share of the accuracy with all labels."""


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("data", nargs="*", choices=[[], *DATA], default=[], metavar="DATA")
    parser.add_argument("--draws", type=int, default=5)
    arguments = parser.parse_args()
    lines = [
        "| data | accuracy with all labels | goal | labels, random | labels, suggested | suggested / random | n |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [measure(load(name), arguments.draws) for name in arguments.data or DATA]
    publish("suggest", lines, recorded=arguments.record)


def measure(splits: Splits, draws: int) -> str:
    """The row of a data set."""
    whole = train(splits, preset="fast").evaluation
    assert whole is not None
    goal = GOAL * whole.accuracy
    needed: dict[bool, list[float]] = {False: [], True: []}
    for draw in range(draws):
        for suggested, found in needed.items():
            found.append(labels_until(goal, splits, draw, suggested))
            print(f"  {splits.name} draw {draw} suggested {suggested}: {found[-1]:.0f}", file=sys.stderr, flush=True)
    ratio = statistics.fmean(needed[True]) / statistics.fmean(needed[False])
    random, chosen = (f"{statistics.fmean(each):,.0f} ± {statistics.stdev(each):,.0f}" for each in needed.values())
    return f"| {splits.name} | {whole.accuracy:.2%} | {goal:.2%} | {random} | {chosen} | {ratio:.2f} | {draws} |"


def labels_until(goal: float, splits: Splits, draw: int, suggested: bool) -> float:
    """How many labels are needed for an accuracy on the test images."""
    generator = np.random.default_rng(draw)
    chosen = generator.permutation(len(splits.train))[:BEGIN]
    before = (0, 0.0)
    while len(chosen) <= MOST:
        labelled = splits.train.subset(chosen)
        classifier, accuracy = trained(splits, labelled, draw)
        if accuracy >= goal:
            count, last = before
            share = (goal - last) / (accuracy - last)
            return count + share * (len(chosen) - count)
        before = len(chosen), accuracy
        rest = np.setdiff1d(np.arange(len(splits.train)), chosen)
        count = round(len(chosen) * (GROWTH - 1))
        if suggested:
            found = suggest(classifier, splits.train.images[rest], count)
            more = rest[[each.row for each in found]]
        else:
            more = generator.permutation(rest)[:count]
        chosen = np.concatenate([chosen, more])
    raise SystemExit(f"{splits.name}: {MOST} labels do not reach {goal:.2%}")


def trained(splits: Splits, labelled: ImageDataset, draw: int) -> tuple[Classifier, float]:
    """A model of these images, a tenth of them (100 at most) for validation, and its accuracy on the test images."""
    held_out = min(100, len(labelled) // 10)
    some = Splits(splits.name, labelled.subset(slice(held_out, None)), labelled.subset(slice(held_out)), splits.test)
    run = train(some, preset="fast", changes={"seed": draw})
    assert run.classifier is not None
    assert run.evaluation is not None
    return run.classifier, run.evaluation.accuracy


if __name__ == "__main__":
    main()
