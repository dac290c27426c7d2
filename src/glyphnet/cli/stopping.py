"""Stopping several trainings or a search on a signal."""

from __future__ import annotations

from collections.abc import Sequence

from ..studies.seeds import SeedsCallback
from ..studies.tuning import SearchCallback
from ..training import StopOnSignal, TrainingState


class StopSearchOnSignal(StopOnSignal, SearchCallback):
    """Stops the search on Ctrl-C or SIGTERM, from the first step of its first trial to its end."""

    def at_end(self, state: TrainingState) -> None:
        """Keep the signals: another trial follows."""

    def search_ended(self) -> None:
        """Restore the signal handlers."""
        self._put_back()


class StopSeedsOnSignal(StopOnSignal, SeedsCallback):
    """Stops all trainings on Ctrl-C or SIGTERM, from the first one's start to the last one's end."""

    def began(self, seeds: Sequence[int], at_once: int) -> None:
        """Handle the signals."""
        self._listen()

    def ended(self) -> None:
        """Restore the signal handlers."""
        self._put_back()
