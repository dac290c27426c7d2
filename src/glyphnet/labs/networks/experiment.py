"""The experiment: each kind of network, learnt in the same way from the same images, over several seeds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data import Splits
from ...evaluation.intervals import Repeats, wilson
from ...nn import NetworkSummary, summary
from ..lab import Progress
from ..training import Course, Trained, TrainingSettings, recipe

TITLES = {
    "linear": "no hidden layer",
    "mlp": "fully connected",
    "cnn": "convolutional",
    "rnn": "recurrent (LSTM)",
}

_CLASSIC_FITS = 10  # pixels: smaller images must be padded
_TIMED = 1000  # test images that are answered while the clock runs
_TIMINGS = 3


@dataclass(frozen=True, eq=False)
class Experiment:
    """All that was trained.

    Attributes:
        splits: the data.
        trained: by kind, one a seed.
        answer_seconds: by kind, seconds for one image where many are asked at once.
    """

    splits: Splits
    trained: dict[str, list[Trained]]
    answer_seconds: dict[str, float]

    def summary(self, kind: str) -> NetworkSummary:
        """What the network of a kind has and does."""
        spec = self.trained[kind][0].classifier.spec
        return summary(spec, self.splits.image_shape, len(self.splits.classes))


def networks(splits: Splits) -> dict[str, dict[str, Any]]:
    """One of each kind, of the sizes that textbooks give them."""
    return {
        "linear": {"kind": "linear"},
        "mlp": {"kind": "mlp", "hidden": [128], "dropout": 0.2},
        "cnn": {"kind": "cnn-classic", "padding": min(splits.image_shape[:2]) < _CLASSIC_FITS},
        "rnn": {"kind": "rnn", "hidden": 128},
    }


def experiment(settings: TrainingSettings, progress: Progress) -> Experiment:
    """Train every kind with every seed; time its answers."""
    splits = settings.read(progress)
    seeds = range(settings.repetitions(full=3, quick=2))
    kinds = networks(splits)
    course = Course(progress, len(kinds) * len(seeds))
    common: dict[str, Any] = {
        "preprocessing": "unit_range",
        "epochs": settings.passes(full=10, quick=8),
        "batch_size": 32 if settings.quick else 128,  # few images make few steps
    }
    trained = {
        kind: [course.train(splits, recipe(network, seed=seed, **common), f"training {TITLES[kind]}") for seed in seeds]
        for kind, network in kinds.items()
    }
    return Experiment(splits, trained, {kind: _time_answers(runs[0], splits) for kind, runs in trained.items()})


def _time_answers(trained: Trained, splits: Splits) -> float:
    """Seconds for one image, of the fastest of a few rounds."""
    images = np.asarray(splits.test.images[:_TIMED])
    trained.classifier.logits(images, as_is=True)  # the first call prepares
    seconds = []
    for _ in range(_TIMINGS):
        began = time.perf_counter()
        trained.classifier.logits(images, as_is=True)
        seconds.append(time.perf_counter() - began)
    return min(seconds) / len(images)


def measure(done: Experiment) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    return {
        "data": done.splits.name,
        "images": {name: len(part) for name, part in done.splits},
        "epochs": len(done.trained["mlp"][0].history),
        "networks": {kind: _one(done, kind) for kind in done.trained},
    }


def _one(done: Experiment, kind: str) -> dict[str, Any]:
    runs, counted = done.trained[kind], done.summary(kind)
    first = runs[0].evaluation
    interval = wilson(int(first.correct.sum()), len(first))
    return {
        "title": TITLES[kind],
        "parameters": counted.parameters,
        "flops": counted.flops,
        "seconds_per_epoch": float(np.median([run.seconds_per_epoch for run in runs])),
        "seconds_per_answer": done.answer_seconds[kind],
        "accuracy": Repeats.of([run.evaluation.accuracy for run in runs]).to_dict(),
        "test_interval": {"low": interval.low, "high": interval.high, "n": len(first)},
        "validation_by_epoch": runs[0].curve("val_accuracy"),
    }
