"""The experiment: each kind of network, learnt in the same way from the same images, over several seeds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Splits
from .lab import Progress
from .training import TrainedNetwork, Trainer, TrainingSettings, accuracies, image_counts, recipe

TITLES = {"linear": "no hidden layer", "mlp": "fully connected", "cnn": "convolutional", "rnn": "recurrent (LSTM)"}

_CLASSIC_FITS = 10  # pixels: smaller images must be padded
_TIMED = 1000  # test images that are answered while the clock runs
_TIMINGS = 3


@dataclass(frozen=True, eq=False)
class Result:
    """All that was trained.

    Attributes:
        splits: the data.
        trained: by kind, one a seed.
        answer_seconds: by kind, seconds for one image where many are asked at once.
    """

    splits: Splits
    trained: dict[str, list[TrainedNetwork]]
    answer_seconds: dict[str, float]


def networks(splits: Splits) -> dict[str, dict[str, Any]]:
    """One of each kind, of the sizes that textbooks give them."""
    return {
        "linear": {"kind": "linear"},
        "mlp": {"kind": "mlp", "hidden": [128], "dropout": 0.2},
        "cnn": {"kind": "cnn-classic", "padding": min(splits.image_shape[:2]) < _CLASSIC_FITS},
        "rnn": {"kind": "rnn", "hidden": 128},
    }


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
    """Train every kind with every seed; time its answers."""
    splits = settings.read(progress)
    seeds = range(settings.repetitions(full=3, quick=2))
    kinds = networks(splits)
    trainer = Trainer(progress, len(kinds) * len(seeds))
    common: dict[str, Any] = {
        "preprocessing": "unit_range",
        "epochs": settings.passes(full=10, quick=8),
        "batch_size": 32 if settings.quick else 128,  # few images make few steps
    }
    trained = {
        kind: [
            trainer.train(splits, recipe(network, seed=seed, **common), f"training {TITLES[kind]}") for seed in seeds
        ]
        for kind, network in kinds.items()
    }
    return Result(splits, trained, {kind: _time_answers(runs[0], splits) for kind, runs in trained.items()})


def _time_answers(trained: TrainedNetwork, splits: Splits) -> float:
    """Seconds for one image, of the fastest of a few rounds."""
    images = np.asarray(splits.test.images[:_TIMED])
    trained.classifier.logits(images, as_is=True)  # the first call prepares
    seconds = []
    for _ in range(_TIMINGS):
        began = time.perf_counter()
        trained.classifier.logits(images, as_is=True)
        seconds.append(time.perf_counter() - began)
    return min(seconds) / len(images)


def measure(result: Result) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    return {
        "data": result.splits.name,
        "images": image_counts(result.splits),
        "epochs": len(result.trained["mlp"][0].history),
        "networks": {kind: _one(result, kind) for kind in result.trained},
    }


def _one(result: Result, kind: str) -> dict[str, Any]:
    runs = result.trained[kind]
    counted = runs[0].classifier.summary()
    return {
        "title": TITLES[kind],
        "parameters": counted.parameters,
        "flops": counted.flops,
        "seconds_per_epoch": float(np.median([run.seconds_per_epoch for run in runs])),
        "seconds_per_answer": result.answer_seconds[kind],
        "accuracy": accuracies(runs),
        "test_interval": runs[0].test_interval,
        "validation_by_epoch": runs[0].curve("val_accuracy"),
    }
