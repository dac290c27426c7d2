"""Showing a comparison while it runs: a bar against the budget on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from ..studies.comparison.comparing import ComparisonCallback, FitProgress
from ..studies.comparison.comparison import Row
from .console import printable, say

if TYPE_CHECKING:
    from rich.progress import Progress

LINE_EVERY = 10.0  # seconds between two lines where there is no terminal


class ComparisonBar(ComparisonCallback):
    """Which method is running, how long, and how long it may; each result as a line. On standard error.

    A context manager, which takes the bar away however the comparison ends.
    """

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._said = time.monotonic()

    def __enter__(self) -> ComparisonBar:
        if sys.stderr.isatty():
            self._bar = _bar()
            self._bar.add_task("", total=1.0, spent="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def running(self, standing: FitProgress) -> None:
        """Move the bar; without a terminal, say a line every ten seconds."""
        what = f"{standing.title} ({standing.number} of {standing.count}), {standing.phase}"
        spent = "" if standing.phase == "starting" else f"{standing.elapsed:.0f} of {standing.budget:g} s"
        if self._bar is not None:
            share = min(1.0, standing.elapsed / standing.budget) if spent else 0.0
            self._bar.update(self._bar.task_ids[0], description=what, completed=share, spent=spent)
        elif spent and time.monotonic() - self._said >= LINE_EVERY:
            self._said = time.monotonic()
            say(f"{what}, {spent}")

    def finished(self, row: Row) -> None:
        """Say the result."""
        self._said = time.monotonic()
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text(printable(f"{row}.")))
        else:
            say(f"{row}.")


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[spent]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
