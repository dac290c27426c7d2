"""What the labs that train networks share: their data, their trainings, told as they go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from ..classifier import Classifier
from ..data import ImageDataset, Splits, load
from ..evaluation import Evaluation
from ..runs import train
from ..training import Moment, Recipe, TrainingState, Watcher
from .lab import LabSettings, Progress

History = list[dict[str, float | None]]

SMALL = "This is the small version, on the embedded 8×8 digits; the known figures are for the 28×28 images of MNIST."
"""What a page says that shows the small version of a known experiment."""

_STEPS = 1000  # of the progress, a training


class TrainingSettings(LabSettings):
    """What each of these labs can be asked."""

    data: str | None = Field(None, description='What to learn; "mnist" unless given, the embedded digits if quick.')
    epochs: int | None = Field(None, ge=1, le=10_000, description="Passes over the training images.")

    @model_validator(mode="after")
    def _quick_is_small(self) -> TrainingSettings:
        if self.quick and self.data not in (None, "digits"):
            raise ValueError(f"quick looks at the embedded digits: leave out data (={self.data!r}), or leave out quick")
        return self

    @property
    def source(self) -> str:
        """What the data are called."""
        return self.data or ("digits" if self.quick else "mnist")

    def passes(self, full: int, quick: int) -> int:
        """Epochs: those asked for, or else those of the known experiment, or of the small one."""
        return self.epochs or (quick if self.quick else full)

    def repetitions(self, full: int, quick: int) -> int:
        """Seeds: those asked for, or else these."""
        return self.seeds or (quick if self.quick else full)

    def read(self, progress: Progress, *, validation_fraction: float = 0.1) -> Splits:
        """The images, in their three parts.

        Raises:
            DataError: they cannot be had; with no network, `--quick` needs none.
        """
        return load(self.source, validation_fraction=validation_fraction, progress=progress)


@dataclass(frozen=True, eq=False)
class Trained:
    """A network after its training.

    Attributes:
        classifier: with the weights that were kept.
        evaluation: on the test images.
        history: a row an epoch.
        best_epoch: whose weights were kept.
    """

    classifier: Classifier
    evaluation: Evaluation
    history: History
    best_epoch: int

    @property
    def seconds_per_epoch(self) -> float:
        """The median over the epochs, of training and validating."""
        return float(np.median([row["seconds"] for row in self.history]))

    @property
    def last(self) -> dict[str, float]:
        """Loss and accuracy of training and validation in the last epoch."""
        return {name: float(self.history[-1][name] or 0.0) for name in ("loss", "accuracy", "val_loss", "val_accuracy")}

    def curve(self, name: str) -> list[float]:
        """One column of the history."""
        return [float(row[name] or 0.0) for row in self.history]


@dataclass(eq=False)
class Course:
    """Several trainings, one after another, told as one piece of work.

    Attributes:
        progress: the lab's.
        trainings: how many there will be.
    """

    progress: Progress
    trainings: int
    _done: int = field(default=0, init=False)
    _told: int = field(default=-1, init=False)

    def train(self, splits: Splits, recipe: Recipe, what: str) -> Trained:
        """Train as the recipe says; judge by the test images.

        Raises:
            DivergedError: it came to no end.
        """
        run = train(splits, recipe=recipe, watchers=[_Telling(self, what)])
        assert run.classifier is not None
        assert run.evaluation is not None
        self._done += 1
        return Trained(run.classifier, run.evaluation, run.history, run.best_epoch)

    def tell(self, share: float, what: str) -> None:
        """How much of the training that is running is done; said where it makes a difference to see."""
        told = round(_STEPS * (self._done + share))
        if told != self._told:
            self._told = told
            self.progress(told, _STEPS * self.trainings, what)


class _Telling(Watcher):
    def __init__(self, course: Course, what: str) -> None:
        self.course, self.what = course, what

    def after_step(self, moment: Moment, state: TrainingState) -> bool:
        self.course.tell(moment.share, self.what)
        return False


def recipe(network: Mapping[str, Any], **settings: Any) -> Recipe:
    """A recipe for a network, described as in YAML; what is not said is the recipe's own default.

    Raises:
        SettingsError: all wrong settings at once.
    """
    return Recipe.parse({"network": dict(network), **settings})


def fewer(splits: Splits, images: int, seed: int) -> Splits:
    """The same data with only so many training images: the same share of each class, drawn by the seed.

    Validation is cut down in proportion: who has few images has few to choose by. The test images stay.
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
    # Dealt like cards, one image of each class in turn, each class in proportion to its size.
    place = np.empty(len(part))
    for label, count in enumerate(part.counts.tolist()):
        own = order[part.labels[order] == label]
        place[own] = (np.arange(count) + generator.random()) / max(count, 1)
    return part.subset(np.argsort(place, kind="stable")[:images])
