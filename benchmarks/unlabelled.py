"""Measures what unlabelled pictures bring: few labels alone, and the same labels with all other images without theirs.

    python benchmarks/unlabelled.py [DATA:LABELS ...] [--draws 5] [--preset fast] [--record]

Each draw takes as many training images of each class at random; all other training images are the pool, without labels.
Three trainings on the same labelled images: the preset alone, the recipe of the third without
the pool, and with the pool. Nothing is held out for validation; the test images are looked at once, at the end of each.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import replace

import numpy as np
from _results import arguments_parser, mean_and_spread, publish

from glyphnet import Splits, load, train
from glyphnet.runs import Run
from glyphnet.training.consistency import labelled_alone, semi_supervised

WORKS = ("fashion-mnist:100", "mnist:100", "mnist:50", "mnist:10")
GOALS = {"fashion-mnist:100": 82.0, "mnist:100": 99.3, "mnist:50": 98.8, "mnist:10": 97.0}
METHODS = ("preset alone", "same recipe, no pool", "with unlabelled")


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("works", nargs="*", default=[], metavar="DATA:LABELS")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--preset", default="fast")
    arguments = parser.parse_args()
    lines = [
        f"| data, labels in all | {' | '.join(METHODS)} | n | seconds with the pool, median (most) | goal |",
        "|---|---|---|---|---|---|---|",
    ]
    for work in arguments.works or WORKS:
        lines.append(measure(work, arguments.draws, arguments.preset))
        print(lines[-1], file=sys.stderr, flush=True)
    publish("unlabelled", lines, recorded=arguments.record)


def measure(work: str, draws: int, preset: str) -> str:
    """The row of a data set and a number of labels."""
    name, _, labels = work.partition(":")
    data = load(name, validation_fraction=0.0)
    found: dict[str, list[float]] = {method: [] for method in METHODS}
    seconds = []
    for draw in range(draws):
        splits = drawn(data, int(labels), draw)
        assert splits.unlabelled is not None
        sizes = len(splits.train), len(splits.unlabelled)
        recipe = semi_supervised(preset, splits.image_shape, *sizes, len(splits.classes)).override({"seed": draw})
        plain = replace(splits, unlabelled=None)
        alone = labelled_alone(recipe, len(splits.train))
        runs = (
            train(plain, preset=preset, changes={"seed": draw}),
            train(plain, recipe=alone),
            train(splits, recipe=recipe),
        )
        for method, run in zip(METHODS, runs, strict=True):
            found[method].append(100 * accuracy(run))
        seconds.append(runs[-1].seconds)
        said = ", ".join(f"{values[-1]:.2f}" for values in found.values())
        print(f"  {work} draw {draw}: {said}; {seconds[-1]:.0f} s", file=sys.stderr, flush=True)
    figures = [
        f"{mean_and_spread(values)} % ({min(values):.2f} to {max(values):.2f})" if draws > 1 else f"{values[0]:.2f} %"
        for values in found.values()
    ]
    goal = f"{GOALS[work]} %" if work in GOALS else ""
    took = f"{statistics.median(seconds):.0f} ({max(seconds):.0f})"
    return f"| {name}, {labels} | {' | '.join(figures)} | {draws} | {took} | {goal} |"


def drawn(data: Splits, labels: int, draw: int) -> Splits:
    """Some training images of each class, all others without their labels, and the test part."""
    part = data.train
    order = np.random.default_rng(draw).permutation(len(part))
    each = labels // len(part.classes)
    rows = np.concatenate([order[part.labels[order] == label][:each] for label in range(len(part.classes))])
    rest = np.setdiff1d(np.arange(len(part)), rows)
    pool = type(part).without_labels(part.images[rest], part.classes, [part.names[row] for row in rest])
    return Splits(f"{data.name}-{labels}", part.subset(rows), part.subset(slice(0, 0)), data.test, unlabelled=pool)


def accuracy(run: Run) -> float:
    """On the test images."""
    assert run.evaluation is not None
    return run.evaluation.accuracy


if __name__ == "__main__":
    main()
