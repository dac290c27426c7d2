"""The experiment: every remedy on few and on many images, over the same seeds as no remedy at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from ..data import Splits
from ..training import Recipe
from .lab import Progress
from .training import TrainedNetwork, Trainer, TrainingSettings, fewer, recipe, repeats

NONE, FLIP, TOGETHER = "none", "flip", "together"
FEW, MANY = "few", "many"

TITLES = {
    NONE: "no remedy",
    "dropout": "dropout 0.5",
    "l1": "L1",
    "l2": "L2",
    "batch_norm": "batch norm",
    "augment": "augmentation",
    "early_stopping": "early stopping",
    TOGETHER: "all together",
    FLIP: "flipping",
}

_LARGE = 16  # pixels: smaller images are not shifted, for a pixel is much of them, and need fewer units


class RegularisationSettings(TrainingSettings):
    """What the lab can be asked."""

    few: int | None = Field(None, ge=10, description="How many images are few: 1,000, or 100 if quick.")


@dataclass(frozen=True, eq=False)
class Result:
    """All that was trained.

    Attributes:
        splits: the data.
        trained: by amount of images and remedy, one a seed.
        images: training images, by amount.
        judges: validation images, by amount.
        mirrored: by class, the share of mirrored test images that the network without remedy still names rightly.
    """

    splits: Splits
    trained: dict[tuple[str, str], list[TrainedNetwork]]
    images: dict[str, int]
    judges: dict[str, int]
    mirrored: dict[str, float]

    def accuracies(self, amount: str, remedy: str) -> list[float]:
        """On the test images, one a seed."""
        return [each.evaluation.accuracy for each in self.trained[amount, remedy]]


def augmentation(splits: Splits) -> dict[str, float]:
    """Turned, scaled, sheared and shifted a little, as handwriting differs; small images have no pixel to be shifted "
    "by."""
    shift = {"shift": 2} if min(splits.image_shape[:2]) >= _LARGE else {}
    return {"rotate": 10, "scale": 0.1, "shear": 5, **shift}


def remedies(splits: Splits) -> dict[str, dict[str, Any]]:
    """What each changes in the recipe of the network without any."""
    alone: dict[str, dict[str, Any]] = {
        "dropout": {"network.dropout": 0.5},
        "l1": {"l1": 1e-5},
        "l2": {"l2": 1e-4},
        "batch_norm": {"network.batch_norm": True},
        "augment": {"augment": augmentation(splits)},
        "early_stopping": {"early_stopping": {"patience": 5}, "keep_best": True},
    }
    together = {key: value for changes in alone.values() for key, value in changes.items()}
    return {NONE: {}, **alone, TOGETHER: together, FLIP: {"augment": {"flip": 0.5}}}


def base(splits: Splits, settings: TrainingSettings, amount: str, seed: int) -> Recipe:
    """A wide network without any remedy; the weights of the last epoch are kept, whatever validation says."""
    large = min(splits.image_shape[:2]) >= _LARGE
    epochs = settings.passes(full=60, quick=20) if amount == FEW else settings.passes(full=15, quick=8)
    batch_size = 32 if amount == FEW else 128
    return recipe(
        {"kind": "mlp", "hidden": [512 if large else 128]},
        preprocessing="unit_range",
        # The small version has time for few steps only: it takes more and larger ones.
        optimizer={"name": "adam", "lr": 0.005 if settings.quick else 0.001},
        batch_size=batch_size // 2 if settings.quick else batch_size,
        epochs=epochs,
        keep_best=False,
        seed=seed,
    )


def experiment(settings: RegularisationSettings, progress: Progress) -> Result:
    """Train all of it. Each seed has other weights, and draws other images where they are few."""
    splits = settings.read(progress)
    seeds = range(settings.repetitions(full=5, quick=2))
    few = settings.few or (100 if settings.quick else 1000)
    known = remedies(splits)
    trainer = Trainer(progress, 2 * len(known) * len(seeds))
    trained: dict[tuple[str, str], list[TrainedNetwork]] = {}
    images, judges = {}, {}
    for amount in (FEW, MANY):
        for seed in seeds:
            part = fewer(splits, few, seed) if amount == FEW else splits
            images[amount], judges[amount] = len(part.train), len(part.validation)
            for remedy, changes in known.items():
                asked = base(splits, settings, amount, seed).override(changes)
                run = trainer.train(part, asked, f"{amount} images, {TITLES[remedy]}")
                trained.setdefault((amount, remedy), []).append(run)
    return Result(splits, trained, images, judges, _mirrored(trained[MANY, NONE][0], splits))


def _mirrored(trained: TrainedNetwork, splits: Splits) -> dict[str, float]:
    test = splits.test
    predicted = trained.classifier.predict_labels(np.ascontiguousarray(test.images[:, :, ::-1]), as_is=True)
    return {
        name: float((predicted[test.labels == label] == label).mean())
        for label, name in enumerate(test.classes)
        if test.counts[label]
    }


def measure(result: Result) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    return {
        "data": result.splits.name,
        "images": {**result.images, "test": len(result.splits.test)},
        "validation_images": result.judges,
        "seeds": len(result.trained[FEW, NONE]),
        "epochs": {amount: len(result.trained[amount, NONE][0].history) for amount in (FEW, MANY)},
        **{
            amount: {remedy: _one(result, amount, remedy) for remedy in TITLES}
            for amount in (FEW, MANY)
        },
        "mirrored": result.mirrored,
    }  # fmt: skip


def _one(result: Result, amount: str, remedy: str) -> dict[str, Any]:
    runs = result.trained[amount, remedy]
    accuracies, without = result.accuracies(amount, remedy), result.accuracies(amount, NONE)
    return {
        "accuracy": repeats(accuracies),
        "gain": repeats([a - b for a, b in zip(accuracies, without, strict=True)]),
        "training": repeats([run.last["accuracy"] for run in runs]),
        "seconds": repeats([sum(run.curve("seconds")) for run in runs]),
        "epochs": repeats([len(run.history) for run in runs]),
    }


def verdict(gain: dict[str, Any]) -> str:
    """Whether the interval of the mean gain leaves zero out: "helps", "harms", or "not known"."""
    half = gain["half_width"]
    if half and gain["mean"] - half > 0:
        return "helps"
    if half and gain["mean"] + half < 0:
        return "harms"
    return "not known"
