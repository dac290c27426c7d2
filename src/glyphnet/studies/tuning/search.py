"""The search: trials one after another, each trained and validated, until a budget is used up."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from ... import training
from ...data import ImageDataset, Splits
from ...errors import DivergedError, SettingsError
from ...evaluation import fit_temperature
from ...evaluation.calibration import log_softmax
from ...nn import logits_in_batches
from ...training import Examples, FitResult, HistoryRow, Recipe, StepInfo, TrainingState, choose_device, fit
from ...training.device import using_threads
from .results import Outcome, Trial, TrialEnding, score
from .space import Value
from .study import PARTS, Study

if TYPE_CHECKING:
    import optuna

DEFAULT_TRIALS = 30
_REPEATS = 20  # consecutive repeated draws after which a small space counts as exhausted

SearchEnding = Literal["trials", "time", "repeats", "stopped"]


@dataclass(frozen=True)
class SearchProgress:
    """The progress of a search when a trial starts.

    Attributes:
        number: of the starting trial, from 0.
        ended: ended trials, in all processes.
        trials: the budget in trials; None without one.
        elapsed: seconds since this search started.
        seconds: the budget in seconds; None without one.
        best: the best trial so far, or None.
    """

    number: int
    ended: int
    trials: int | None
    elapsed: float
    seconds: float | None
    best: Trial | None


class SearchCallback(training.Callback):
    """Called during the search and the training of every trial; a subclass overrides what it needs.

    Stopping a training stops the search: the trial counts as never started.
    """

    def trial_began(self, progress: SearchProgress) -> None:
        """Called before each trial."""

    def trial_ended(self, trial: Trial, best: Trial | None) -> None:
        """Called after each trial, however it ended, with the best so far."""

    def search_ended(self) -> None:
        """Called once, after the last trial."""

    def stop_requested(self) -> bool:
        """Called between trials: true stops the search."""
        return False


@dataclass(frozen=True)
class Budget:
    """How long to search; the first limit that is reached counts.

    Attributes:
        trials: ended ones, including those of earlier commands and other processes; None for no limit.
        seconds: of this search; None for no limit.

    Raises:
        SettingsError: an impossible budget.
    """

    trials: int | None
    seconds: float | None

    def __post_init__(self) -> None:
        if self.trials is not None and self.trials < 1:
            raise SettingsError(f"trials (={self.trials}) must be 1 or more.")
        if self.seconds is not None and not (self.seconds > 0 and math.isfinite(self.seconds)):
            raise SettingsError(f"seconds (={self.seconds:g}) must be above 0.")

    @classmethod
    def of(cls, trials: int | None, seconds: float | None) -> Budget:
        """The budget given, or `DEFAULT_TRIALS` if none is."""
        return cls(DEFAULT_TRIALS if trials is None and seconds is None else trials, seconds)

    def deadline(self, began: float) -> float | None:
        """When a search that began then must stop, by the same clock; None for never."""
        return None if self.seconds is None else began + self.seconds


def search(
    study: Study, runner: TrialRunner, budget: Budget, began: float, callbacks: Sequence[SearchCallback]
) -> SearchEnding:
    """Run trials until the budget is used up, a callback requests a stop, or the space is exhausted.

    Args:
        study: records the trials.
        runner: trains them.
        budget: see `Budget`.
        began: `time.monotonic` at the start of the search.
        callbacks: called before and after each trial.

    Returns:
        Why it ended.
    """
    repeats = 0
    best = _best(study.trials())
    while repeats < _REPEATS:
        elapsed = time.monotonic() - began
        if any(each.stop_requested() for each in callbacks):
            return "stopped"
        if budget.seconds is not None and elapsed >= budget.seconds:
            return "time"
        begun = study.begin(budget.trials)
        if begun is None:
            return "trials"
        trial, settings = begun
        outcome = study.outcome_of(settings)
        repeats = 0 if outcome is None else repeats + 1
        if outcome is None:
            progress = SearchProgress(trial.number, len(study.trials()), budget.trials, elapsed, budget.seconds, best)
            for each in callbacks:
                each.trial_began(progress)
            outcome = _run(study, runner, trial, settings)
        ended = study.end(trial, outcome)
        best = _best(study.trials())
        for each in callbacks:
            each.trial_ended(ended, best)
        if outcome.ending == "stopped":
            return "stopped"
    return "repeats"


def _run(study: Study, runner: TrialRunner, trial: optuna.Trial, settings: Mapping[str, Value]) -> Outcome:
    try:
        return runner.run(trial, settings)
    except BaseException as error:
        # This process stays alive, so the others would wait for the trial.
        study.end(trial, Outcome("stopped", type(error).__name__))
        raise


def _best(trials: Sequence[Trial]) -> Trial | None:
    finished = [trial for trial in trials if trial.ending == "finished"]
    return max(finished, key=lambda trial: (trial.score, -trial.number), default=None)


# One trial


class TrialRunner:
    """Trains one trial after another on the same images.

    Args:
        recipe: what the trials start from.
        splits: training and validation images; the test images are never read.
        device, threads: as for `glyphnet.train`.
        pruning: whether to stop trials that fall behind.
        deadline: `time.monotonic` at which every trial stops; None for never.
        callbacks: called after every step and epoch; if one requests a stop, the trial is "stopped".
    """

    def __init__(
        self,
        recipe: Recipe,
        splits: Splits,
        *,
        device: str,
        pruning: bool,
        deadline: float | None,
        callbacks: Sequence[training.Callback],
        threads: int | None = None,
    ) -> None:
        self._threads = threads
        self._recipe, self._device = recipe, device
        self._train, self._validation = _examples(splits.train), _examples(splits.validation)
        self._classes = len(splits.classes)
        self._pruning, self._deadline, self._callbacks = pruning, deadline, callbacks

    def run(self, trial: optuna.Trial, settings: Mapping[str, Value]) -> Outcome:
        """Train and validate. A failure that the settings cause is an outcome, not an error."""
        reporter = _Reporter(trial, len(self._validation), pruning=self._pruning)
        clock = _Clock(self._deadline)
        try:
            result = fit(
                self._recipe.override(settings), self._train, self._validation, classes=self._classes,
                device=self._device, threads=self._threads, callbacks=(clock, reporter, *self._callbacks),
            )  # fmt: skip
        except SettingsError as error:
            return Outcome("impossible", str(error))
        except DivergedError as error:
            return Outcome("diverged", str(error), epochs=reporter.epochs)
        except (MemoryError, torch.OutOfMemoryError) as error:
            return Outcome("no memory", str(error) or "not enough memory")
        if result.ending == "stopped":
            ending: TrialEnding = "pruned" if reporter.pruned else "out of time" if clock.expired else "stopped"
            return Outcome(ending, "", reporter.correct, None, result.best_epoch, reporter.epochs, result.seconds)
        return self._validate(result)

    def _validate(self, result: FitResult) -> Outcome:
        """The weights of the best epoch on the validation images, as the classifier will use them."""
        inputs, labels = self._validation.inputs, self._validation.labels.numpy()
        network = result.network.to(choose_device(self._device))
        with using_threads(result.threads):
            answers = list(logits_in_batches(network, result.preprocessing, inputs))
        logits = torch.cat(answers).double().cpu().numpy()
        scaled = log_softmax(logits / fit_temperature(logits, labels))
        return Outcome(
            ending="finished",
            correct=int((logits.argmax(axis=1) == labels).sum()),
            log_loss=float(-scaled[np.arange(len(labels)), labels].mean()),
            best_epoch=result.best_epoch,
            epochs=len(result.history),
            seconds=result.seconds,
        )


class _Reporter(training.Callback):
    """Reports a trial's score to the study, which decides whether to prune it."""

    def __init__(self, trial: optuna.Trial, images: int, *, pruning: bool) -> None:
        self._trial, self._images, self._pruning = trial, images, pruning
        self._reported = 0
        self.epochs = 0
        self.correct: int | None = None
        self.pruned = False

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Stop, if the trial has fallen behind the others at this point of its training."""
        self.epochs = state.epoch
        self.correct = round((row["val_accuracy"] or 0.0) * self._images)
        part = PARTS * state.epoch // state.recipe.epochs
        if part <= self._reported:
            return False
        self._reported = part
        self._trial.report(score(self.correct, self._images, row["val_loss"] or 0.0), part)
        self.pruned = self._pruning and part < PARTS and self._trial.should_prune()
        return self.pruned


class _Clock(training.Callback):
    """Stops a training when the time is up."""

    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline
        self.expired = False

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Stop, if the time is up."""
        self.expired = self._deadline is not None and time.monotonic() >= self._deadline
        return self.expired


def _examples(dataset: ImageDataset) -> Examples:
    return Examples.of(dataset.images, dataset.labels)
