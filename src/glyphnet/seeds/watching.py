"""What watches several trainings: tables of progress, stop buttons."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .. import training
from ..training import HistoryRow, Moment, TrainingState
from .results import SeedRun

_EVERY = 0.1  # seconds between two standings of a training


@dataclass(frozen=True)
class Standing:
    """Where one of the trainings stands.

    Attributes:
        seed: which.
        epoch: the epoch now running, from 1; of ``epochs``.
        share: how much of the training is done, in [0, 1].
        accuracy: on the validation images after the last epoch; None before the first has ended, or without such.
    """

    seed: int
    epoch: int
    epochs: int
    share: float
    accuracy: float | None

    def to_dict(self) -> dict[str, Any]:
        """In types that JSON knows."""
        return asdict(self)


class Watcher:
    """Told how the trainings go; a subclass overrides what it wants to know."""

    def began(self, seeds: Sequence[int], at_once: int) -> None:
        """Called once, with the seeds that are still to be trained and how many are trained at the same time."""

    def moved(self, standing: Standing) -> None:
        """Called several times a second."""

    def finished(self, run: SeedRun) -> None:
        """Called when a training has come to its end and is judged."""

    def stop_asked(self) -> bool:
        """Asked several times a second: whether all are to stop, so that they can be gone on with."""
        return False

    def ended(self) -> None:
        """Called once, after the last training, however it ended."""


class Watchers(Watcher):
    """Several watchers as one."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = watchers

    def began(self, seeds: Sequence[int], at_once: int) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.began(seeds, at_once)

    def moved(self, standing: Standing) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.moved(standing)

    def finished(self, run: SeedRun) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.finished(run)

    def stop_asked(self) -> bool:
        """Whether one of them wants to."""
        return any(watcher.stop_asked() for watcher in self._watchers)

    def ended(self) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.ended()


class Teller(training.Watcher):
    """Watches one training, and tells where it stands.

    Args:
        seed: of the training.
        tell: is told, ten times a second at most.
        stop_asked: asked after each step.
    """

    def __init__(self, seed: int, tell: Callable[[Standing], None], stop_asked: Callable[[], bool]) -> None:
        self._seed, self._tell, self._stop_asked = seed, tell, stop_asked
        self._told = 0.0

    def after_step(self, moment: Moment, state: TrainingState) -> bool:
        """Tell, if it is time; stop, if that is asked for."""
        now = time.monotonic()
        if now - self._told >= _EVERY:
            self._told = now
            accuracy = state.history[-1]["val_accuracy"] if state.history else None
            self._tell(Standing(self._seed, moment.epoch, moment.epochs, moment.share, accuracy))
        return self._stop_asked()

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Stop, if that is asked for."""
        return self._stop_asked()
