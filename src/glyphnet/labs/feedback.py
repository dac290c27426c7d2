"""The lab of feedback: a classifier in service meets pictures unlike its own, and learns from what users correct."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..data import ImageDataset, Splits
from ..evaluation import evaluate
from ..plots import gallery
from ..plots.style import BLUE, HEAT, RED, SOFT, percent_axis
from ..progress import Progress
from . import training
from .drawing import TEXT, legend_above, panel, sheet
from .lab import Findings, Lab
from .training import TrainedNetwork, Trainer, TrainingSettings, repeats

STRATEGIES = {
    "alone": "corrections alone",
    "both": "old images and corrections",
    "wrong": "the same, 3 of 10 corrections wrong",
}
WRONG = 0.3

QUICK_COUNTS, COUNTS = (20, 60, 180, 400), (50, 200, 800, 3200)
_QUICK_OLD, _OLD = 500, 5000  # images that the classifier in service was trained on


@dataclass(frozen=True, eq=False)
class Result:
    """The classifier in service and its successors, judged on both kinds of test images."""

    splits: Splits
    new: ImageDataset  # the test images as they look in service
    before: list[dict[str, float]]  # of the classifier in service, one per seed
    after: dict[str, list[list[dict[str, float]]]]  # by strategy, one row per count, one entry per seed
    counts: tuple[int, ...]


def as_in_service(part: ImageDataset, seed: int) -> ImageDataset:
    """The images as another camera takes them: shifted to the lower right by an eighth, paler, and noisy.

    The same seed gives the same noise.
    """
    images = part.images.astype(np.float64)
    by = max(1, images.shape[1] // 8)
    moved = np.zeros_like(images)
    moved[:, by:, by:] = images[:, :-by, :-by]
    noise = np.random.default_rng(seed).normal(0, 20, images.shape)
    return replace(part, images=np.clip(0.6 * moved + noise, 0, 255).astype(np.uint8), originals=None)


def corrected(part: ImageDataset, wrong: float, seed: int) -> ImageDataset:
    """The images with their labels, this share of them wrong: another class, drawn at random."""
    generator = np.random.default_rng(seed)
    labels = part.labels.copy()
    rows = generator.permutation(len(labels))[: round(wrong * len(labels))]
    labels[rows] = (labels[rows] + generator.integers(1, len(part.classes), len(rows))) % len(part.classes)
    return replace(part, labels=labels)


def together(one: ImageDataset, other: ImageDataset) -> ImageDataset:
    """The images of both."""
    return ImageDataset(
        np.concatenate([one.images, other.images]),
        np.concatenate([one.labels, other.labels]),
        one.classes,
        [*(f"old/{name}" for name in one.names), *(f"new/{name}" for name in other.names)],
    )


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
    """Train the first classifier, then its successors by each strategy and number of corrections."""
    splits = settings.read(progress)
    old = min(_QUICK_OLD if settings.quick else _OLD, len(splits.train) // 2)
    counts = tuple(count for count in (QUICK_COUNTS if settings.quick else COUNTS) if count <= len(splits.train) - old)
    new = as_in_service(splits.test, 0)
    seeds = settings.repetitions(full=5, quick=2)
    trainer = Trainer(progress, seeds * (1 + len(STRATEGIES) * len(counts)))
    before: list[dict[str, float]] = []
    after: dict[str, list[list[dict[str, float]]]] = {name: [[] for _ in counts] for name in STRATEGIES}
    for seed in range(seeds):
        recipe = training.recipe(
            {"kind": "mlp", "hidden": [64]}, epochs=settings.passes(full=15, quick=15), seed=seed, batch_size=20
        )
        order = np.random.default_rng(seed).permutation(len(splits.train))
        first = splits.train.subset(order[:old])
        seen = as_in_service(splits.train.subset(order[old:]), seed + 1)

        def trained(part: ImageDataset, what: str) -> dict[str, float]:
            return _judged(trainer.train(replace(splits, train=part), recipe, what), splits.test, new)  # noqa: B023

        before.append(trained(first, "in service"))
        for place, count in enumerate(counts):
            given = seen.subset(np.arange(count))
            parts = {
                "alone": given,
                "both": together(first, given),
                "wrong": together(first, corrected(given, WRONG, seed)),
            }
            for name, part in parts.items():
                after[name][place].append(trained(part, f"{count} corrections, {STRATEGIES[name]}"))
    return Result(splits, new, before, after, counts)


def _judged(trained: TrainedNetwork, old: ImageDataset, new: ImageDataset) -> dict[str, float]:
    return {kind: evaluate(trained.classifier, part).accuracy for kind, part in (("old", old), ("new", new))}


def measure(result: Result) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""

    def over_seeds(rows: list[dict[str, float]]) -> dict[str, Any]:
        return {kind: repeats([row[kind] for row in rows]) for kind in ("old", "new")}

    return {
        "data": result.splits.name,
        "test": len(result.new),
        "seeds": len(result.before),
        "counts": list(result.counts),
        "wrong": WRONG,
        "before": over_seeds(result.before),
        "after": {
            name: [{"count": count, **over_seeds(each)} for count, each in zip(result.counts, rows, strict=True)]
            for name, rows in result.after.items()
        },
        "titles": dict(STRATEGIES),
    }


# The figures of the page


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Run the experiment and draw what it found."""
    result = experiment(settings, progress)
    numbers = measure(result)
    return Findings(
        numbers, {"pictures": _pictures(result), "new": _curves(numbers, "new"), "old": _curves(numbers, "old")}
    )


def _pictures(result: Result) -> Figure:
    figure, grid = sheet(2, 6, height=2.9)
    for row, part in enumerate((result.splits.test, result.new)):
        for column in range(6):
            gallery(np.asarray(part.images[column : column + 1]), [""], ax=grid[row, column])
    for row, title in enumerate(("as trained on", "as in service")):
        grid[row, 0].set_title(title, fontsize=TEXT, loc="left")
    return figure


def _curves(numbers: dict[str, Any], kind: str) -> Figure:
    figure, ax = panel(3.5)
    styles = (("o", SOFT, ":"), ("s", BLUE, "-"), ("D", RED, "--"))
    for (name, rows), (mark, colour, line) in zip(numbers["after"].items(), styles, strict=True):
        mean = [row[kind]["mean"] for row in rows]
        ax.plot(numbers["counts"], mean, line, marker=mark, color=colour, linewidth=2, label=STRATEGIES[name])
    ax.axhline(numbers["before"][kind]["mean"], color=HEAT, linewidth=1.6, label="in service, before")
    ax.set_xscale("log")
    ax.set_xticks(numbers["counts"], [f"{count:,}" for count in numbers["counts"]])
    ax.minorticks_off()
    ax.set(xlabel="corrections", ylabel=f"accuracy, {kind} pictures")
    percent_axis(ax.yaxis)
    legend_above(ax)
    return figure


LAB = Lab("feedback", "What a classifier learns from its users", TrainingSettings, investigate)
