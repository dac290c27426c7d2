"""What trainings that differ in their seed alone give: the nouns of this package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..classifier import Classifier, load_model
from ..errors import GlyphNetError
from ..evaluation import Evaluation
from ..evaluation.intervals import Repeats
from ..files import read_input
from ..runs import RunFolder
from ..training import Recipe
from .plan import Plan

Ending = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True, eq=False)
class SeedRun:
    """One training that has come to its end.

    Attributes:
        seed: of its recipe.
        accuracy: on the test images, or on the validation images where there are no test images.
        log_loss: there, after temperature scaling.
        n: how many images these are.
        judged_on: what they are called ("mnist, test part").
        best_epoch, epochs: whose weights were kept, and of how many.
        ending: "finished", "early_stopping" or "converged".
        seconds: of training, by the clock.
        classifier: with the weights of the best epoch.
        folder: its run folder; None where nothing was to be written.
    """

    seed: int
    accuracy: float
    log_loss: float
    n: int
    judged_on: str
    best_epoch: int
    epochs: int
    ending: str
    seconds: float
    classifier: Classifier = field(repr=False)
    folder: Path | None

    def to_dict(self) -> dict[str, object]:
        """In types that JSON knows."""
        return {
            "seed": self.seed,
            "accuracy": self.accuracy,
            "log_loss": self.log_loss,
            "best_epoch": self.best_epoch,
            "epochs": self.epochs,
            "ending": self.ending,
            "seconds": round(self.seconds, 3),
            "folder": None if self.folder is None else str(self.folder),
        }


@dataclass(frozen=True, eq=False)
class Ensemble:
    """The mean of the trained networks, as one.

    Attributes:
        classifier: its temperature and threshold were chosen on the validation images.
        evaluation: on the images that the members were judged by.
        folder: its run folder; None where nothing was to be written.
    """

    classifier: Classifier
    evaluation: Evaluation
    folder: Path | None

    def to_dict(self) -> dict[str, object]:
        """In types that JSON knows."""
        interval = self.evaluation.accuracy_interval
        return {
            "accuracy": self.evaluation.accuracy,
            "low": interval.low,
            "high": interval.high,
            "n": len(self.evaluation),
            "log_loss": self.evaluation.log_loss,
            "folder": None if self.folder is None else str(self.folder),
        }


@dataclass(frozen=True, eq=False)
class SeedRuns:
    """Trainings that differ in their seed alone.

    Attributes:
        plan: what was to be trained.
        runs: those that have come to their end, in the order of the seeds.
        ensemble: of all; None where it was not asked for, or not all have come to their end.
        ending: "finished" or "stopped".
        seconds: of wall time, of this call.
        at_once: how many trainings ran at the same time.
        images: how many there were to train on, to validate and to test.
        folder: where they are written; None where nothing was to be written.
    """

    plan: Plan
    runs: tuple[SeedRun, ...]
    ensemble: Ensemble | None
    ending: Ending
    seconds: float
    at_once: int
    images: Mapping[str, int]
    folder: Path | None

    @property
    def recipe(self) -> Recipe:
        """What was trained, with the first seed."""
        return self.plan.recipe

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those that were asked for."""
        return self.plan.seeds

    @property
    def accuracy(self) -> Repeats:
        """The accuracies, their mean and spread, and how sure the mean is. The images are the same for all."""
        return Repeats.of([run.accuracy for run in self.runs])

    @property
    def log_loss(self) -> Repeats:
        """The same of the log losses."""
        return Repeats.of([run.log_loss for run in self.runs])

    def __str__(self) -> str:
        """What came out, in a sentence or two."""
        from .wording import sentences

        return " ".join(sentences(self))

    def to_dict(self) -> dict[str, Any]:
        """Everything, in types that JSON knows."""
        from .record import to_dict

        return to_dict(self)


def read_run(folder: RunFolder, recipe: Recipe, *, keep: bool) -> SeedRun | None:
    """The finished run in a folder; None if there is none of this recipe, or it has not come to its end.

    Args:
        recipe: with the run's seed.
        keep: whether the folder stays; without a report where it does not.
    """
    written_last = folder.report if keep else folder.predictions
    if not written_last.is_file():
        return None
    from ..report import read_history  # templates and pictures: a training can begin without

    try:
        figures = json.loads(read_input(folder.evaluation))
        history = read_history(folder.history)
        classifier = load_model(folder.model)
        if classifier.recipe != recipe.model_dump(mode="json"):
            return None
        metrics = classifier.metrics
        return SeedRun(
            seed=recipe.seed,
            accuracy=metrics["accuracy"],
            log_loss=figures["calibration"]["log_loss"],
            n=metrics["n"],
            judged_on=metrics["judged_on"],
            best_epoch=metrics["best_epoch"],
            epochs=len(history),
            ending=metrics["ending"],
            seconds=sum(row["seconds"] or 0.0 for row in history),
            classifier=classifier,
            folder=folder.path if keep else None,
        )
    except (GlyphNetError, OSError, ValueError, KeyError, TypeError):
        return None  # not what we wrote: then it is made again
