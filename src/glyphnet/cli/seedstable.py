"""Showing several trainings while they run: a table on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from ..studies.seeds import SeedProgress, SeedRun, SeedsCallback
from ..studies.seeds.strategy import in_words
from ..training import StopOnSignal
from .console import printable, say

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

REDRAW = 0.1  # seconds between two pictures of the table
LINE_EVERY = 10.0  # seconds between two lines where there is no terminal
MOST_ROWS = 12  # of the table: those at work; what is finished stands above it


class SeedsTable(SeedsCallback):
    """Which seeds are being trained and how far each is; each result as a line. On standard error.

    A context manager, which takes the table away however the trainings end.
    """

    def __init__(self) -> None:
        self._live: Live | None = None
        self._standings: dict[int, SeedProgress] = {}
        self._count = self._done = 0
        self._shown = time.monotonic()

    def __enter__(self) -> SeedsTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended()

    def began(self, seeds: Sequence[int], at_once: int) -> None:
        """Say how many there are; open the table."""
        self._count = len(seeds)
        how = f", {in_words(at_once)}" if seeds else ""
        say(f"{self._count} {'training' if self._count == 1 else 'trainings'}{how}.")
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), transient=True, auto_refresh=False)
            self._live.start()

    def running(self, standing: SeedProgress) -> None:
        """Draw the table, ten times a second at most; without a terminal, say a line every ten seconds."""
        self._standings[standing.seed] = standing
        now = time.monotonic()
        if self._live is not None and now - self._shown >= REDRAW:
            self._shown = now
            self._live.update(self._table(), refresh=True)
        elif self._live is None and now - self._shown >= LINE_EVERY:
            self._shown = now
            say(f"{self._done} of {self._count} finished; {'; '.join(map(_line, self._standings.values()))}")

    def finished(self, run: SeedRun) -> None:
        """Say the result."""
        self._standings.pop(run.seed, None)
        self._done += 1
        said = printable(f"{run} ({self._done} of {self._count}).")
        if self._live is not None:
            from rich.text import Text

            self._live.console.print(Text(said))
            self._live.update(self._table(), refresh=True)
        else:
            self._shown = time.monotonic()
            say(said)

    def ended(self) -> None:
        """Take the table away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _table(self) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("seed", "epoch", "", "validation"):
            table.add_column(name, justify="right")
        for standing in list(self._standings.values())[:MOST_ROWS]:
            bar = ProgressBar(total=1.0, completed=standing.share, width=24)
            table.add_row(str(standing.seed), f"{standing.epoch} of {standing.epochs}", bar, _accuracy(standing))
        return table


class StopSeedsOnSignal(StopOnSignal, SeedsCallback):
    """Turns Ctrl-C and SIGTERM into a stop of all trainings, from the first one's beginning to the last one's end."""

    def began(self, seeds: Sequence[int], at_once: int) -> None:
        """Take the signals."""
        self._listen()

    def stop_requested(self) -> bool:
        """Whether a signal came."""
        return self.received is not None

    def ended(self) -> None:
        """Give the signals back."""
        self._put_back()


def _line(standing: SeedProgress) -> str:
    validation = "" if standing.accuracy is None else f", validation {_accuracy(standing)}"
    return f"seed {standing.seed} in epoch {standing.epoch} of {standing.epochs}{validation}"


def _accuracy(standing: SeedProgress) -> str:
    return "" if standing.accuracy is None else f"{100 * standing.accuracy:.2f} %"
