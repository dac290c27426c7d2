"""Showing a search while it runs: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from ..studies.tuning import SearchCallback, SearchProgress, Trial
from ..studies.tuning.results import accuracy
from ..training import Moment, StopOnSignal, TrainingState
from .console import printable, say

if TYPE_CHECKING:
    from rich.progress import Progress

REDRAW = 0.1  # seconds between two updates of the bar
LINE_EVERY = 10.0  # seconds between two lines where there is no terminal


class TuningBar(SearchCallback):
    """Which trial is running and how far it is, how much of the budget is used, and the best so far.

    On standard error. A context manager, which takes the bar away however the search ends.
    """

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._standing: SearchProgress | None = None
        self._shown = 0.0
        self._said = time.monotonic()
        self._best: int | None = None

    def __enter__(self) -> TuningBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.search_ended()

    def trial_began(self, standing: SearchProgress) -> None:
        """Name the trial."""
        self._standing = standing
        self._best = None if standing.best is None else standing.best.number
        if sys.stderr.isatty() and self._bar is None:
            self._bar = _bar()
            self._bar.add_task("", total=1.0, best="")
            self._bar.start()
        self._draw(0.0)

    def after_step(self, moment: Moment, state: TrainingState) -> bool:
        """Move the bar, ten times a second at most."""
        now = time.monotonic()
        if now - self._shown >= REDRAW:
            self._shown = now
            self._draw(moment.share)
        return False

    def trial_ended(self, trial: Trial, best: Trial | None) -> None:
        """Say the result of a trial that leads, and of any after a while."""
        leads = best is not None and best.number == trial.number and self._best != trial.number
        self._best = None if best is None else best.number
        if self._bar is not None:
            if leads:
                from rich.text import Text

                self._bar.console.print(Text(printable(f"{trial}, the best so far.")))
        elif leads or time.monotonic() - self._said >= LINE_EVERY:
            self._said = time.monotonic()
            say(f"{trial}{', the best so far' if leads else ''}.")

    def search_ended(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _draw(self, share: float) -> None:
        standing = self._standing
        if self._bar is None or standing is None:
            return
        of = "" if standing.trials is None else f", {standing.ended} of {standing.trials} done"
        best = standing.best
        self._bar.update(
            self._bar.task_ids[0],
            completed=_used(standing, share),
            description=f"trial {standing.number}{of}",
            best="" if best is None else f"best {accuracy(best)}, trial {best.number}",
        )


class StopSearchOnSignal(StopOnSignal, SearchCallback):
    """Turns Ctrl-C and SIGTERM into the end of the search, from the first step of its first trial to its last."""

    def at_end(self, state: TrainingState) -> None:
        """Keep the signals: another trial follows."""

    def stop_requested(self) -> bool:
        """Whether a signal came."""
        return self.received is not None

    def search_ended(self) -> None:
        """Give the signals back."""
        self._put_back()


def _used(standing: SearchProgress, share: float) -> float:
    """How much of the budget is used up, in [0, 1]."""
    by_trials = 0.0 if standing.trials is None else (standing.ended + share) / standing.trials
    by_time = 0.0 if standing.seconds is None else standing.elapsed / standing.seconds
    return min(1.0, max(by_trials, by_time))


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[best]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
