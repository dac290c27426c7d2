"""What watches a search: progress bars, stop buttons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import training

if TYPE_CHECKING:
    from .results import Trial


@dataclass(frozen=True)
class Standing:
    """Where a search stands when a trial begins.

    Attributes:
        number: of the trial now beginning, from 0.
        ended: trials that have ended, in all processes.
        trials: that shall have ended; None without such a budget.
        elapsed: seconds that this search has taken.
        seconds: that it may take; None without such a budget.
        best: the best trial so far, or None.
    """

    number: int
    ended: int
    trials: int | None
    elapsed: float
    seconds: float | None
    best: Trial | None


class Watcher(training.Watcher):
    """Told of every step and epoch of every trial, and of the trials; a subclass overrides what it wants to know.

    One that asks a training to stop stops the search: the trial counts as never begun.
    """

    def trial_began(self, standing: Standing) -> None:
        """Called before each trial."""

    def trial_ended(self, trial: Trial, best: Trial | None) -> None:
        """Called after each trial, however it ended, with the best so far."""

    def search_ended(self) -> None:
        """Called once, after the last trial."""

    def stop_asked(self) -> bool:
        """Asked between two trials."""
        return False
