"""The experiment: the two known networks and a convolutional one, on the same division of the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..data import Splits
from ..evaluation import evaluate
from .lab import Progress
from .training import TrainedNetwork, Trainer, TrainingSettings, accuracies, image_counts, recipe, repeats

WITHOUT, WITH, CNN = "without", "with", "cnn"

TITLES = {WITHOUT: "(a) without dropout", WITH: "(b) with dropout", CNN: "convolutional"}

KNOWN = {WITHOUT: {"training": 0.9971, "validation": 0.9756}, WITH: {"training": 0.9780, "validation": 0.9783}}
"""What these two are known to reach on MNIST after 10 epochs."""

SEEN = {WITHOUT: 8.7, CNN: 11.1}
"""Seconds an epoch, seen with Keras on TensorFlow on a 2-core AMD EPYC with Python 3.11."""

FIRST = 4  # test images whose answers are shown

_CLASSIC_FITS = 10  # pixels: smaller images must be padded


@dataclass(frozen=True, eq=False)
class Result:
    """All that was trained.

    Attributes:
        splits: the data.
        trained: by kind, one a seed.
        at_rest: by kind, the first network's accuracy on the training images with all units at work.
    """

    splits: Splits
    trained: dict[str, list[TrainedNetwork]]
    at_rest: dict[str, float]


def networks(splits: Splits) -> dict[str, dict[str, Any]]:
    """The three: a single wide layer, two layers with dropout behind each, and convolutions."""
    return {
        WITHOUT: {"kind": "mlp", "hidden": [784]},
        WITH: {"kind": "mlp", "hidden": [784, 130], "dropout": 0.5},
        CNN: {"kind": "cnn-classic", "padding": min(splits.image_shape[:2]) < _CLASSIC_FITS},
    }


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
    """Train all three. The last epoch's weights are kept, as in the published experiment."""
    splits = settings.read(progress, validation_fraction=0.2)
    seeds = range(settings.repetitions(full=1, quick=1))
    kinds = networks(splits)
    trainer = Trainer(progress, len(kinds) * len(seeds))
    trained = {}
    for kind, network in kinds.items():
        common: dict[str, Any] = {
            "preprocessing": "unit_norm",
            "epochs": settings.passes(full=10, quick=15),
            "batch_size": 128 if kind == CNN and not settings.quick else 50,  # few images make few steps
            "keep_best": False,
        }
        trained[kind] = [
            trainer.train(splits, recipe(network, seed=seed, **common), f"training {TITLES[kind]}") for seed in seeds
        ]
    at_rest = {kind: evaluate(runs[0].classifier, splits.train).accuracy for kind, runs in trained.items()}
    return Result(splits, trained, at_rest)


def measure(result: Result) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    return {
        "data": result.splits.name,
        "images": image_counts(result.splits),
        "epochs": len(result.trained[WITHOUT][0].history),
        "networks": {kind: _one(result, kind) for kind in result.trained},
        "first": _first(result),
    }


def _one(result: Result, kind: str) -> dict[str, Any]:
    runs = result.trained[kind]
    first = runs[0]
    counted = first.classifier.summary()
    gaps = [run.last["accuracy"] - run.last["val_accuracy"] for run in runs]
    rest_gap = result.at_rest[kind] - first.last["val_accuracy"]
    return {
        "parameters": counted.parameters,
        "flops": counted.flops,
        "training": repeats([run.last["accuracy"] for run in runs]),
        "validation": repeats([run.last["val_accuracy"] for run in runs]),
        "test": accuracies(runs),
        "test_interval": first.test_interval,
        "gap": repeats(gaps),
        "training_at_rest": result.at_rest[kind],
        "gap_at_rest": rest_gap,
        "last": first.last,
        "lowest_val_loss": min(first.curve("val_loss")),
        "seconds_per_epoch": first.seconds_per_epoch,
        "seen_seconds_per_epoch": SEEN.get(kind),
        "known": KNOWN.get(kind),
    }


def _first(result: Result) -> list[dict[str, Any]]:
    """The first test images: what they are, and what each network says of them."""
    classes = result.splits.classes
    return [
        {
            "label": classes[result.splits.test.labels[row]],
            "predicted": {
                kind: classes[runs[0].evaluation.predictions[row]] for kind, runs in result.trained.items()
            },
            "probabilities": {
                kind: [round(float(p), 6) for p in runs[0].evaluation.probabilities[row]]
                for kind, runs in result.trained.items()
            },
        }
        for row in range(min(FIRST, len(result.splits.test)))
    ]  # fmt: skip
