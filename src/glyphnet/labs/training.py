"""What the labs that train networks share: settings, data, training with progress, and their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from pydantic import Field, model_validator

from ..classifier import Classifier
from ..data import ImageDataset, Splits, load
from ..evaluation import Evaluation, evaluate
from ..evaluation.intervals import Repeats
from ..progress import Progress
from ..runs.conclusion import classifier_of
from ..runs.preparation import fitting_of
from ..training import Callback, HistoryRow, Recipe, StepInfo, TrainingState
from .lab import LabSettings

_STEPS = 1000  # of the progress, per training
_CLASSIC_FITS = 10  # pixels: smaller images must be padded


class TrainingSettings(LabSettings):
    """Settings of the labs that train networks."""

    data: str | None = Field(None, description='Data set; "mnist" unless given, the bundled digits if quick.')
    epochs: int | None = Field(None, ge=1, le=10_000, description="Passes over the training images.")

    @model_validator(mode="after")
    def _quick_is_small(self) -> TrainingSettings:
        if self.quick and self.data not in (None, "digits"):
            raise ValueError(f"quick uses the bundled digits: leave out data (={self.data!r}) or quick")
        return self

    def passes(self, full: int, quick: int) -> int:
        """Epochs: the setting, or else those of the published experiment or of its small version."""
        return self.epochs or (quick if self.quick else full)

    def read(self, progress: Progress, *, validation_fraction: float = 0.1) -> Splits:
        """Load the images, in three parts.

        Raises:
            DataError: they cannot be loaded; without internet use `--quick`.
        """
        source = self.data or ("digits" if self.quick else "mnist")
        return load(source, validation_fraction=validation_fraction, progress=progress)


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A trained network."""

    classifier: Classifier  # with the kept weights
    evaluation: Evaluation  # on the test images
    history: list[HistoryRow]  # one row per epoch
    best_epoch: int  # of the kept weights

    @property
    def seconds_per_epoch(self) -> float:
        """Median over the epochs, training and validation together."""
        return float(np.median([row["seconds"] for row in self.history]))

    @property
    def last(self) -> dict[str, float]:
        """Loss and accuracy of training and validation in the last epoch."""
        return {name: float(self.history[-1][name] or 0.0) for name in ("loss", "accuracy", "val_loss", "val_accuracy")}

    @property
    def test_interval(self) -> dict[str, float]:
        """Wilson's 95 % interval of the test accuracy, and the number of test images."""
        found = self.evaluation.accuracy_interval
        return {"low": found.low, "high": found.high, "n": len(self.evaluation)}

    def curve(self, name: str) -> list[float]:
        """One column of the history."""
        return [float(row[name] or 0.0) for row in self.history]


@dataclass(eq=False)
class Trainer(Callback):
    """Trains ``trainings`` networks one after another, with one progress for all."""

    progress: Progress
    trainings: int
    _what: str = field(default="", init=False)
    _done: int = field(default=0, init=False)
    _reported: int = field(default=-1, init=False)

    def train(self, splits: Splits, recipe: Recipe, what: str) -> TrainedNetwork:
        """Train by the recipe and evaluate on the test images.

        Raises:
            DivergedError: the loss became NaN or infinite.
        """
        self._what = what
        # Without what a run decides afterwards (calibration, rejection, normalisation): a lab compares the networks.
        result = fitting_of(recipe, splits, "auto").run(callbacks=[self])
        classifier = classifier_of(result, recipe.network, splits, normalize=False)
        self._done += 1
        return TrainedNetwork(classifier, evaluate(classifier, splits.test), result.history, result.best_epoch)

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Report the share that is done, if the display changes."""
        done = round(_STEPS * (self._done + info.share))
        if done != self._reported:
            self._reported = done
            self.progress(done, _STEPS * self.trainings, self._what)
        return False


K = TypeVar("K")


def train_each(
    splits: Splits, recipes: Mapping[K, Recipe], seeds: int, progress: Progress, titles: Mapping[K, str]
) -> dict[K, list[TrainedNetwork]]:
    """Train by each recipe with the seeds 0, 1, …; ``titles`` name the recipes in the progress.

    Raises:
        DivergedError: the loss became NaN or infinite.
    """
    trainer = Trainer(progress, len(recipes) * seeds)
    return {
        key: [
            trainer.train(splits, each.model_copy(update={"seed": seed}), f"training {titles[key]}")
            for seed in range(seeds)
        ]
        for key, each in recipes.items()
    }


def recipe(network: Mapping[str, Any], **settings: Any) -> Recipe:
    """A recipe for a network, described as in YAML; missing settings have the recipe's defaults.

    Raises:
        SettingsError: lists all wrong settings.
    """
    return Recipe.parse({"network": dict(network), **settings})


def classic_cnn(splits: Splits) -> dict[str, Any]:
    """The classical convolutional network, padded where images are small."""
    return {"kind": "cnn-classic", "padding": min(splits.image_shape[:2]) < _CLASSIC_FITS}


def fewer(splits: Splits, images: int, seed: int) -> Splits:
    """The same data with ``images`` training images, stratified, drawn by the seed.

    Validation shrinks in proportion. The test images stay.
    """
    if images >= len(splits.train):
        return splits
    share = images / len(splits.train)
    few = max(len(splits.classes), round(share * len(splits.validation)))
    train, validation = _draw(splits.train, images, seed), _draw(splits.validation, few, seed)
    return replace(splits, train=train, validation=validation)


def _draw(part: ImageDataset, images: int, seed: int) -> ImageDataset:
    generator = np.random.default_rng((seed, len(part)))
    order = generator.permutation(len(part))
    # Interleave the classes, each in proportion to its size.
    place = np.empty(len(part))
    for label, count in enumerate(part.counts.tolist()):
        own = order[part.labels[order] == label]
        place[own] = (np.arange(count) + generator.random()) / max(count, 1)
    return part.subset(np.argsort(place, kind="stable")[:images])


def repeats(values: Sequence[float]) -> dict[str, Any]:
    """Mean, spread and interval of one figure over the seeds, for numbers.json."""
    return Repeats.of(values).to_dict()


def accuracies(runs: Sequence[TrainedNetwork]) -> dict[str, Any]:
    """Test accuracy over the seeds, for numbers.json."""
    return repeats([run.evaluation.accuracy for run in runs])


def data_numbers(splits: Splits, run: TrainedNetwork) -> dict[str, Any]:
    """The data's name, the number of images of each part, and the epochs of a training, for numbers.json."""
    images = {name: len(part) for name, part in splits}
    return {"data": splits.name, "images": images, "epochs": len(run.history)}


def layers_of(trained: TrainedNetwork) -> list[dict[str, Any]]:
    """The layers of a network and their total, with shapes, parameters and FLOPs, for numbers.json."""
    counted = trained.classifier.summary()
    layers = [
        (row.name, row.layer, "×".join(map(str, row.output_shape)), row.parameters, row.flops) for row in counted.rows
    ]
    total = ("total", "", "", counted.parameters, counted.flops)
    return [dict(zip(("name", "layer", "output", "parameters", "flops"), row, strict=True)) for row in (*layers, total)]
