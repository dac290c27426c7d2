"""Measures seconds of training until a finished run is so accurate, in the mean over seeds.

    python benchmarks/time_to_accuracy.py [mnist] [fashion-mnist] [--recipes NAME ...] [--runs 10] [--on validation]
                                          [--images N] [--keras 3] [--record]

Recipes: see RECIPES. Each is trained on all training images without validation, so the weights are those of its last
step, and judged once on the test images. For each mark the table names the recipe with the least median time among
those whose mean accuracy reaches it.

Recipes are chosen with ``--on validation``, which trains on nine tenths of the training images and judges on the
rest; the test images choose nothing. Seconds are those of a whole `glyphnet.training.fit`: measuring the images,
making the network, all steps. One short training, not counted, warms the process up.

Beside them, for MNIST: Keras' convolutional example (32 and 64 channels, dropout 0.5, Adam, batch 128) on TensorFlow,
where that is installed, after each of ten epochs, on ``--keras`` seeds. Its rate is constant, so each epoch's end is as
finished as the last. Its seconds are those of ``fit``, with what the first one compiles.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from _peers import INSTALL, PEERS
from _results import arguments_parser, mean_and_spread, publish
from _turns import Trial, TrialError, script

from glyphnet import Recipe, Splits, load, preset
from glyphnet.training import Examples, fit, validate


@dataclass(frozen=True)
class Mark:
    """An accuracy to reach, in per cent, and what was promised."""

    accuracy: float
    goal: str = ""


MARKS = {
    "mnist": [Mark(98.0), Mark(99.0, "at most 1.9 s (1/40 of Keras' 77 s)"), Mark(99.4), Mark(99.5, "at most 20 s")],
    "fashion-mnist": [Mark(93.0, "at most 60 s")],
}

KERAS_EPOCHS = 10

Make = Callable[[Splits], Recipe]


def changed(name: str, changes: Mapping[str, Any]) -> Make:
    """A preset, as it is for these data, with some settings changed."""
    return lambda splits: preset(name, splits.image_shape, len(splits.train), len(splits.classes)).override(changes)


_POOLED = {"network.stem": 16, "network.channels": [32], "network.downsample": "pool"}
# In few steps the averaged gradient must follow quickly.
_ONCE = {"epochs": 1, "augment": {}, "optimizer.momentum": 0.7}
_SMALL = {"network.stem": 8, "network.channels": [16], "network.dense": [32], "network.batch_norm": False}
_CLOTHES = {"augment": {"flip": 0.5, "shift": 1}}

RECIPES: dict[str, dict[str, Make]] = {
    "mnist": {
        "brief": changed("fast", {**_ONCE, **_SMALL, "batch_size": 256, "optimizer.lr": 0.05}),
        "once": changed("fast", {**_ONCE, "network.dense": [64], "batch_size": 384, "optimizer.lr": 0.07}),
        "fast": changed("fast", {}),
        "pooled-4": changed("balanced", {**_POOLED, "epochs": 4}),
    },
    "fashion-mnist": {"clothes-8": changed("balanced", {**_CLOTHES, "epochs": 8})},
}


@dataclass(frozen=True)
class Row:
    """What one recipe reached: accuracies in per cent and seconds, a seed each."""

    name: str
    accuracies: list[float]
    seconds: list[float]

    @property
    def mean(self) -> float:
        return float(np.mean(self.accuracies))

    @property
    def median_seconds(self) -> float:
        return statistics.median(self.seconds)

    def line(self, data: str) -> str:
        return (
            f"| {data} | {self.name} | {mean_and_spread(self.accuracies)} % ({min(self.accuracies):.2f} to "
            f"{max(self.accuracies):.2f}) | {len(self.accuracies)} | {self.median_seconds:.2f} "
            f"({min(self.seconds):.2f} to {max(self.seconds):.2f}) |"
        )


def main() -> None:
    names = list(dict.fromkeys(name for recipes in RECIPES.values() for name in recipes))
    parser = arguments_parser(__doc__)
    parser.add_argument("data", nargs="*", choices=[[], *RECIPES], default=[], metavar="DATA")
    parser.add_argument("--recipes", nargs="+", choices=names, metavar="NAME")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--images", type=int, help="train on so many images only")
    parser.add_argument("--keras", type=int, default=3, help="runs of Keras' example; 0 for none")
    parser.add_argument("--on", choices=("test", "validation"), default="test")
    arguments = parser.parse_args()
    if arguments.record and arguments.on == "validation":
        parser.error("--record goes with the test images only")
    lines = [
        f"| data | recipe | {arguments.on} accuracy, mean ± standard deviation (least to most) | n (seeds) "
        "| seconds, median (least to most) |",
        "|---|---|---|---|---|",
    ]
    reached = [
        "| data | mean accuracy of | first reached by | in seconds, median | Keras' example, in seconds | goal |",
        "|---|---|---|---|---|---|",
    ]
    for data in arguments.data or RECIPES:
        rows = []
        train, judged, splits = examples_of(data, arguments.on, arguments.images)
        recipes = {name: make for name, make in RECIPES[data].items() if name in (arguments.recipes or names)}
        for name, make in recipes.items():
            rows.append(measure(name, make(splits), train, judged, len(splits.classes), arguments.runs))
            lines.append(rows[-1].line(data))
            print(lines[-1], file=sys.stderr, flush=True)
        others = keras_example(arguments.keras, len(train)) if data == "mnist" and arguments.on == "test" else []
        lines += [row.line(data) for row in others]
        reached += [first(mark, data, rows, others) for mark in MARKS[data]]
    publish("time-to-accuracy", [*reached, "", *lines], recorded=arguments.record)


def examples_of(data: str, on: str, images: int | None) -> tuple[Examples, Examples, Splits]:
    """What is trained on, what judges, and the splits that recipes are made for."""
    splits = load(data, validation_fraction=0.1 if on == "validation" else 0.0)
    judged = splits.validation if on == "validation" else splits.test
    train = Examples.of(splits.train.images[:images], splits.train.labels[:images])
    return train, Examples.of(judged.images, judged.labels), splits


def measure(name: str, recipe: Recipe, train: Examples, judged: Examples, classes: int, runs: int) -> Row:
    few = Examples.of(train.inputs[: 2 * recipe.batch_size], train.labels[: 2 * recipe.batch_size])
    fit(recipe.override({"epochs": 1}), few, classes=classes)
    row = Row(name, [], [])
    for seed in range(runs):
        began = time.perf_counter()
        result = fit(recipe.override({"seed": seed}), train, classes=classes)
        row.seconds.append(time.perf_counter() - began)
        row.accuracies.append(100 * validate(result.network, result.preprocessing, judged, recipe)[1])
        print(f"  {name} {seed}: {row.accuracies[-1]:.2f} %, {row.seconds[-1]:.2f} s", file=sys.stderr, flush=True)
    return row


def keras_example(runs: int, images: int) -> list[Row]:
    """A row an epoch of Keras' example on TensorFlow; none where it is not installed."""
    peer = PEERS["keras-tensorflow"]
    if runs and (missing := peer.missing()):
        print(f"Keras' example is passed over: {', '.join(missing)} not installed ({INSTALL}).", file=sys.stderr)
        return []
    rows = [Row(f"Keras' example, epoch {epoch}", [], []) for epoch in range(1, KERAS_EPOCHS + 1)]
    with ExitStack() as processes:
        for seed in range(runs):
            command = [script("_keras_example.py"), str(seed), str(KERAS_EPOCHS), str(images)]
            trial = processes.enter_context(Trial(f"Keras' example {seed}", command, peer.environment))
            try:
                for epoch, row in enumerate(rows):
                    answer = trial.ask(go=epoch > 0)
                    row.seconds.append(answer["seconds"])
                    row.accuracies.append(100 * answer["accuracy"])
                    print(f"  {row.name} {seed}: {row.accuracies[-1]:.2f} %", file=sys.stderr, flush=True)
            except TrialError as error:
                print(f"  {error}", file=sys.stderr)
                return []
    return rows if runs else []


def first(mark: Mark, data: str, rows: list[Row], others: list[Row]) -> str:
    """The line of a mark: the quickest recipe whose mean reaches it, beside Keras' example."""
    best, other = quickest(mark, rows), quickest(mark, others)
    found = f"{best.name} ({best.mean:.3f} %) | {best.median_seconds:.2f}" if best else "none of these | –"
    beside = f"{other.median_seconds:.1f} ({other.name.rpartition(', ')[2]})" if other else "–"
    if best and other:
        beside += f": {other.median_seconds / best.median_seconds:.1f} times ours"
    return f"| {data} | {mark.accuracy:.1f} % | {found} | {beside} | {mark.goal or '–'} |"


def quickest(mark: Mark, rows: list[Row]) -> Row | None:
    enough = [row for row in rows if row.mean >= mark.accuracy]
    return min(enough, key=lambda row: row.median_seconds) if enough else None


if __name__ == "__main__":
    main()
