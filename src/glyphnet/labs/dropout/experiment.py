"""The experiment: the two known networks and a convolutional one, on the same division of the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...data import Splits
from ...evaluation import evaluate
from ...evaluation.intervals import Repeats, wilson
from ...nn import summary
from ..lab import Progress
from ..training import Course, Trained, TrainingSettings, recipe

WITHOUT, WITH, CNN = "without", "with", "cnn"

TITLES = {WITHOUT: "(a) without dropout", WITH: "(b) with dropout", CNN: "convolutional"}

KNOWN = {WITHOUT: {"training": 0.9971, "validation": 0.9756}, WITH: {"training": 0.9780, "validation": 0.9783}}
"""What these two are known to reach on MNIST after 10 epochs."""

SEEN = {WITHOUT: 8.7, CNN: 11.1}
"""Seconds an epoch, seen with Keras on TensorFlow on a 2-core AMD EPYC with Python 3.11."""

FIRST = 4  # test images whose answers are shown

_CLASSIC_FITS = 10  # pixels: smaller images must be padded


@dataclass(frozen=True, eq=False)
class Experiment:
    """All that was trained.

    Attributes:
        splits: the data.
        trained: by kind, one a seed.
        at_rest: by kind, the first network's accuracy on the training images with all units at work.
    """

    splits: Splits
    trained: dict[str, list[Trained]]
    at_rest: dict[str, float]


def networks(splits: Splits) -> dict[str, dict[str, Any]]:
    """The three: a single wide layer, two layers with dropout behind each, and convolutions."""
    return {
        WITHOUT: {"kind": "mlp", "hidden": [784]},
        WITH: {"kind": "mlp", "hidden": [784, 130], "dropout": 0.5},
        CNN: {"kind": "cnn-classic", "padding": min(splits.image_shape[:2]) < _CLASSIC_FITS},
    }


def experiment(settings: TrainingSettings, progress: Progress) -> Experiment:
    """Train them; the last epoch's weights are kept, as it is known."""
    splits = settings.read(progress, validation_fraction=0.2)
    seeds = range(settings.repetitions(full=1, quick=1))
    kinds = networks(splits)
    course = Course(progress, len(kinds) * len(seeds))
    trained = {}
    for kind, network in kinds.items():
        common: dict[str, Any] = {
            "preprocessing": "unit_norm",
            "epochs": settings.passes(full=10, quick=15),
            "batch_size": 128 if kind == CNN and not settings.quick else 50,  # few images make few steps
            "keep_best": False,
        }
        trained[kind] = [
            course.train(splits, recipe(network, seed=seed, **common), f"training {TITLES[kind]}") for seed in seeds
        ]
    at_rest = {kind: evaluate(runs[0].classifier, splits.train).accuracy for kind, runs in trained.items()}
    return Experiment(splits, trained, at_rest)


def measure(done: Experiment) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    return {
        "data": done.splits.name,
        "images": {name: len(part) for name, part in done.splits},
        "epochs": len(done.trained[WITHOUT][0].history),
        "networks": {kind: _one(done, kind) for kind in done.trained},
        "first": _first(done),
    }


def _one(done: Experiment, kind: str) -> dict[str, Any]:
    runs = done.trained[kind]
    first = runs[0]
    counted = summary(first.classifier.spec, done.splits.image_shape, len(done.splits.classes))
    test = wilson(int(first.evaluation.correct.sum()), len(first.evaluation))
    gaps = [run.last["accuracy"] - run.last["val_accuracy"] for run in runs]
    rest_gap = done.at_rest[kind] - first.last["val_accuracy"]
    return {
        "parameters": counted.parameters,
        "flops": counted.flops,
        "training": Repeats.of([run.last["accuracy"] for run in runs]).to_dict(),
        "validation": Repeats.of([run.last["val_accuracy"] for run in runs]).to_dict(),
        "test": Repeats.of([run.evaluation.accuracy for run in runs]).to_dict(),
        "test_interval": {"low": test.low, "high": test.high, "n": len(first.evaluation)},
        "gap": Repeats.of(gaps).to_dict(),
        "training_at_rest": done.at_rest[kind],
        "gap_at_rest": rest_gap,
        "last": first.last,
        "lowest_val_loss": min(first.curve("val_loss")),
        "seconds_per_epoch": first.seconds_per_epoch,
        "seen_seconds_per_epoch": SEEN.get(kind),
        "known": KNOWN.get(kind),
    }


def _first(done: Experiment) -> list[dict[str, Any]]:
    """The first test images: what they are, and what each network says of them."""
    classes = done.splits.classes
    return [
        {
            "label": classes[done.splits.test.labels[row]],
            "predicted": {
                kind: classes[runs[0].evaluation.predictions[row]] for kind, runs in done.trained.items()
            },
            "probabilities": {
                kind: [round(float(p), 6) for p in runs[0].evaluation.probabilities[row]]
                for kind, runs in done.trained.items()
            },
        }
        for row in range(min(FIRST, len(done.splits.test)))
    ]  # fmt: skip
