"""One trial: a training with the settings that were drawn for it, judged on the validation images alone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from scipy.special import log_softmax

from .. import training
from ..data import ImageDataset, Splits
from ..errors import DivergedError, SettingsError
from ..evaluation import fit_temperature
from ..nn import logits_in_batches
from ..training import Examples, FitResult, HistoryRow, Moment, Recipe, TrainingState, choose_device, fit
from ..training.device import using_threads
from .space import Value

if TYPE_CHECKING:
    import optuna

Ending = Literal["finished", "pruned", "diverged", "impossible", "no memory", "stopped", "out of time", "abandoned"]

PARTS = 20
"""A trial is measured against the others at so many points of its training, however many epochs it has."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        ending: "finished" is judged; "pruned" was behind the others on the way; "diverged", "impossible" (the settings
            do not go together) and "no memory" say what its settings led to; "stopped", "out of time" and
            "abandoned" (its process was killed) say nothing about them.
        reason: in words, where there is one.
        correct: validation images named rightly: of the best epoch, or the last one seen of a trial that was pruned.
        log_loss: on the validation images, after temperature scaling; only of a trial that finished.
        best_epoch: whose weights were kept.
        epochs: that were trained.
        seconds: of training.
    """

    ending: Ending
    reason: str = ""
    correct: int | None = None
    log_loss: float | None = None
    best_epoch: int = 0
    epochs: int = 0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, object]:
        """In types that JSON knows."""
        return asdict(self)


def score(correct: float, images: int, loss: float) -> float:
    """What the search makes large: the share of right answers; of equal ones the smaller loss is ahead.

    The loss decides nothing else: it moves the score by less than half an image.
    """
    return (correct + 1.0 / (2.0 + loss)) / images


class TrialRunner:
    """Trains one trial after another on the same images.

    Args:
        recipe: what the trials begin from.
        splits: training and validation images; the test images are never read.
        device, threads: as for `glyphnet.train`.
        pruning: whether to stop trials that are behind.
        deadline: of `time.monotonic`, when every trial stops; None for never.
        watchers: told of every step and epoch; if one asks to stop, the trial is "stopped".
    """

    def __init__(
        self,
        recipe: Recipe,
        splits: Splits,
        *,
        device: str,
        pruning: bool,
        deadline: float | None,
        watchers: Sequence[training.Watcher],
        threads: int | None = None,
    ) -> None:
        self._threads = threads
        self._recipe, self._device = recipe, device
        self._train, self._validation = _examples(splits.train), _examples(splits.validation)
        self._classes = len(splits.classes)
        self._pruning, self._deadline, self._watchers = pruning, deadline, watchers

    def run(self, trial: optuna.Trial, settings: Mapping[str, Value]) -> Outcome:
        """Train and judge. What the settings lead to is an outcome, not an error."""
        reporter = _Reporter(trial, len(self._validation), pruning=self._pruning)
        clock = _Clock(self._deadline)
        try:
            result = fit(
                self._recipe.override(settings), self._train, self._validation, classes=self._classes,
                device=self._device, threads=self._threads, watchers=(clock, reporter, *self._watchers),
            )  # fmt: skip
        except SettingsError as error:
            return Outcome("impossible", str(error))
        except DivergedError as error:
            return Outcome("diverged", str(error), epochs=reporter.epochs)
        except (MemoryError, torch.OutOfMemoryError) as error:
            return Outcome("no memory", str(error) or "not enough memory")
        if result.ending == "stopped":
            ending: Ending = "pruned" if reporter.pruned else "out of time" if clock.struck else "stopped"
            return Outcome(ending, "", reporter.correct, None, result.best_epoch, reporter.epochs, result.seconds)
        return self._judge(result)

    def _judge(self, result: FitResult) -> Outcome:
        """The weights of the best epoch on the validation images, as the classifier will have them."""
        inputs, labels = self._validation.inputs, self._validation.labels.numpy()
        network = result.network.to(choose_device(self._device))
        with using_threads(result.threads):
            answers = list(logits_in_batches(network, result.preprocessing, inputs))
        logits = torch.cat(answers).double().cpu().numpy()
        scaled = log_softmax(logits / fit_temperature(logits, labels), axis=1)
        return Outcome(
            ending="finished",
            correct=int((logits.argmax(axis=1) == labels).sum()),
            log_loss=float(-scaled[np.arange(len(labels)), labels].mean()),
            best_epoch=result.best_epoch,
            epochs=len(result.history),
            seconds=result.seconds,
        )


class _Reporter(training.Watcher):
    """Tells the study how a trial stands, and asks it whether to go on."""

    def __init__(self, trial: optuna.Trial, images: int, *, pruning: bool) -> None:
        self._trial, self._images, self._pruning = trial, images, pruning
        self._told = 0
        self.epochs = 0
        self.correct: int | None = None
        self.pruned = False

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Stop here, if the trial is behind the others at this part of its training."""
        self.epochs = state.epoch
        self.correct = round((row["val_accuracy"] or 0.0) * self._images)
        part = PARTS * state.epoch // state.recipe.epochs
        if part <= self._told:
            return False
        self._told = part
        self._trial.report(score(self.correct, self._images, row["val_loss"] or 0.0), part)
        self.pruned = self._pruning and part < PARTS and self._trial.should_prune()
        return self.pruned


class _Clock(training.Watcher):
    """Ends a training when the time is up."""

    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline
        self.struck = False

    def after_step(self, moment: Moment, state: TrainingState) -> bool:
        """Stop here, if it is time."""
        self.struck = self._deadline is not None and time.monotonic() >= self._deadline
        return self.struck


def _examples(dataset: ImageDataset) -> Examples:
    return Examples.of(dataset.images, dataset.labels)
