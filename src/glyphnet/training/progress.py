"""What watches a training: progress bars, checkpoints, stop buttons."""

from __future__ import annotations

from dataclasses import dataclass

from .state import HistoryRow, TrainingState


@dataclass(frozen=True)
class Moment:
    """Where a training stands.

    Attributes:
        epoch: the epoch now running, from 1; of ``epochs``.
        step: finished steps of that epoch; of ``steps``.
        images_per_second: of training, since the epoch began or was gone on with.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    images_per_second: float

    @property
    def share(self) -> float:
        """How much of the training is done, in [0, 1]."""
        return (self.epoch - 1 + self.step / self.steps) / self.epochs


class Watcher:
    """Told of every step and every epoch; a subclass overrides what it wants to know.

    The state is there to be looked at or written down, not changed.
    """

    def at_start(self, state: TrainingState) -> None:
        """Called before the first step, also of a resumed training; the last of the watchers first."""

    def after_step(self, moment: Moment, state: TrainingState) -> bool:
        """Called after each step; true asks the training to stop here.

        With several processes: several times a second, and after the last step of an epoch.
        """
        return False

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Called after each epoch with its row of the history; true asks the training to stop here."""
        return False

    def at_end(self, state: TrainingState) -> None:
        """Called when the training ends or stops, but not when it diverges."""
