"""The progress of several trainings: what callbacks are given."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ... import training
from ...training import HistoryRow, StepInfo, TrainingState
from .results import SeedRun

_EVERY = 0.1  # seconds between two reports of a training


@dataclass(frozen=True)
class SeedProgress:
    """The progress of one of the trainings.

    Attributes:
        seed: which.
        epoch: the running epoch, from 1; of ``epochs``.
        share: how much of the training is done, in [0, 1].
        accuracy: on the validation images after the last finished epoch; None before that, or without such images.
    """

    seed: int
    epoch: int
    epochs: int
    share: float
    accuracy: float | None

    def to_dict(self) -> dict[str, Any]:
        """In types that JSON knows."""
        return asdict(self)


class SeedsCallback:
    """Called during several trainings; a subclass overrides what it needs."""

    def began(self, seeds: Sequence[int], at_once: int) -> None:
        """Called once, with the seeds still to be trained and the number trained at the same time."""

    def running(self, progress: SeedProgress) -> None:
        """Called several times a second."""

    def finished(self, run: SeedRun) -> None:
        """Called when a training is finished and validated."""

    def stop_requested(self) -> bool:
        """Called several times a second: true stops all trainings, at a step from which they can be resumed."""
        return False

    def ended(self) -> None:
        """Called once, after the last training, however it ended."""


class SeedReporter(training.Callback):
    """Reports the progress of one training.

    Args:
        seed: of the training.
        report: called ten times a second at most.
        stop_requested: asked after each step.
    """

    def __init__(self, seed: int, report: Callable[[SeedProgress], None], stop_requested: Callable[[], bool]) -> None:
        self._seed, self._report, self._stop_requested = seed, report, stop_requested
        self._reported = 0.0

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Report, if it is time; stop, if requested."""
        now = time.monotonic()
        if now - self._reported >= _EVERY:
            self._reported = now
            accuracy = state.history[-1]["val_accuracy"] if state.history else None
            self._report(SeedProgress(self._seed, info.epoch, info.epochs, info.share, accuracy))
        return self._stop_requested()

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Stop, if requested."""
        return self._stop_requested()
