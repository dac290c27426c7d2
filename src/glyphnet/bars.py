"""Where messages and the progress of long work appear: standard error, or the output of a notebook's cell.

rich is imported only where a terminal shows it, and never reads markup in what the user wrote.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from .notebook import is_open, render
from .progress import Progress
from .units import clock, printable

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


def say(*messages: str) -> None:
    """Print messages on standard error, each one line, and an indented one for each reading or command.

    In a notebook, where standard error looks like a failure, on standard output.
    """
    for message in messages:
        file = sys.stdout if is_open() else sys.stderr
        print("\n  ".join(map(printable, message.split("\n  "))), file=file, flush=True)


class Bars:
    """Bars that vanish when closed, on a terminal's standard error or in a notebook; elsewhere lines on standard error.

    A context manager, which removes the bars however the work ends.

    Args:
        columns: of each bar: names of fields, or "bar", "count", "elapsed", "left" and "spinner", which are drawn.
        every: seconds between two lines where there are no bars.
        narrow: the columns on a narrow terminal.
    """

    REDRAW = 0.1  # seconds between two updates of a bar: a step may take less than a millisecond
    NARROW = 75  # columns of a terminal

    def __init__(self, *columns: str, every: float = 10.0, narrow: Sequence[str] = ()) -> None:
        self._columns, self._narrow, self._every = columns, narrow or columns, every
        self._drawing: _Terminal | _Cell | None = None
        self._drawn: dict[object, float] = {}
        self._said = time.monotonic()
        self.is_live = is_open() or sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def draw(
        self,
        done: float,
        total: float | None = 1.0,
        *,
        key: object = None,
        now: bool = False,
        picture: Callable[[], str] | None = None,
        **fields: str,
    ) -> None:
        """On a terminal or in a notebook, draw a bar, ten times a second at most unless ``now``.

        Args:
            done: of ``total``; None is unknown.
            key: names the bar, where there are several.
            picture: gives HTML that a notebook shows below the bar.
            fields: the texts of its columns; those left out stay as they are.
        """
        if not self.is_live or (not now and time.monotonic() - self._drawn.get(key, 0.0) < self.REDRAW):
            return
        self._drawn[key] = time.monotonic()
        if self._drawing is None:
            self._drawing = _Cell(self._columns) if is_open() else _Terminal(self._shown_columns)
        self._drawing.draw(key, done, total, {name: printable(text) for name, text in fields.items()}, picture)

    def _shown_columns(self, width: int) -> Sequence[str]:
        return self._narrow if width < self.NARROW else self._columns

    def line(self, text: str, *, now: bool = False) -> None:
        """Where there are no bars, say a line, if the last one was some seconds ago.

        With ``now`` say it in any case; on a terminal, above the bars.
        """
        if now or (not self.is_live and time.monotonic() - self._said >= self._every):
            self._said = time.monotonic()
            if self._drawing is None:
                say(text)
            else:
                self._drawing.say(text)

    def first_line_after(self, seconds: float) -> None:
        """Say the next line after so many seconds."""
        self._said = time.monotonic() - self._every + seconds

    def remove(self, key: object = None) -> None:
        """Remove one bar."""
        if self._drawing is not None:
            self._drawing.remove(key)
            self._drawn.pop(key, None)

    def close(self) -> None:
        """Remove all bars: what follows has the screen to itself."""
        if self._drawing is not None:
            self._drawing.close()
        self._drawing, self._drawn = None, {}


class _Terminal:
    """Bars drawn by rich; ``columns`` chooses them for a terminal's width."""

    def __init__(self, columns: Callable[[int], Sequence[str]]) -> None:
        from rich.console import Console

        console = Console(stderr=True)
        self._columns = columns(console.width)
        self._bars: RichProgress = _rich(self._columns, console)
        self._bars.start()
        self._tasks: dict[object, TaskID] = {}

    def draw(
        self, key: object, done: float, total: float | None, fields: dict[str, Any], _: Callable[[], str] | None
    ) -> None:
        """Make the bar, or move it."""
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task("", **{**dict.fromkeys(self._columns, ""), **fields})
        self._bars.update(self._tasks[key], completed=done, total=total, **fields)

    def say(self, text: str) -> None:
        """A line above the bars."""
        from rich.text import Text

        self._bars.console.print(Text(printable(text)))

    def remove(self, key: object) -> None:
        """Remove one bar."""
        if key in self._tasks:
            self._bars.remove_task(self._tasks.pop(key))

    def close(self) -> None:
        """Remove all bars."""
        self._bars.stop()


def _rich(columns: Sequence[str], console: Any) -> RichProgress:
    from rich import progress as rich

    drawn: dict[str, Callable[[], rich.ProgressColumn]] = {
        "bar": lambda: rich.BarColumn(bar_width=24),
        "count": rich.MofNCompleteColumn,
        "elapsed": rich.TimeElapsedColumn,
        "left": lambda: rich.TimeRemainingColumn(compact=True),
        "spinner": rich.SpinnerColumn,
    }
    made = [
        drawn[name]() if name in drawn else rich.TextColumn(f"{{task.fields[{name}]}}", markup=False)
        for name in columns
    ]
    return rich.Progress(*made, console=console, transient=True)


class _Cell:
    """Bars as HTML in the output of a notebook's cell, replaced in place."""

    def __init__(self, columns: Sequence[str]) -> None:
        from IPython.display import HTML, display

        self._columns, self._html = columns, HTML
        self._bars: dict[object, dict[str, Any]] = {}
        self._began: dict[object, float] = {}
        self._output: Any = display(HTML(""), display_id=True)

    def draw(
        self,
        key: object,
        done: float,
        total: float | None,
        fields: dict[str, Any],
        picture: Callable[[], str] | None,
    ) -> None:
        """Make the bar, or move it."""
        bar = self._bars.setdefault(key, {"fields": {}, "picture": ""})
        elapsed = time.monotonic() - self._began.setdefault(key, time.monotonic())
        share = None if not total else min(1.0, done / total)
        left = elapsed / share * (1 - share) if share and elapsed > 1.0 else None
        bar["fields"] |= {
            "count": f"{done:,.0f} of {total:,.0f}" if total else f"{done:,.0f}",
            "elapsed": clock(elapsed),
            "left": "" if left is None else f"{clock(left)} left",
            **fields,
        }
        bar["share"] = share
        bar["text"] = " · ".join(filter(None, (bar["fields"].get(name, "") for name in self._columns)))
        if picture is not None:
            bar["picture"] = picture()
        self._show()

    def say(self, text: str) -> None:
        """A line of output."""
        say(text)

    def remove(self, key: object) -> None:
        """Remove one bar."""
        if self._bars.pop(key, None) is not None:
            self._began.pop(key, None)
            self._show()

    def close(self) -> None:
        """Remove all bars."""
        self._bars = {}
        self._output.update(self._html(""))

    def _show(self) -> None:
        self._output.update(self._html(render("progress", bars=list(self._bars.values()))))


class Work:
    """A `Progress` that shows itself: a bar, or a line every few seconds, and nothing for quick work.

    A new ``what`` starts a new bar.
    """

    def __init__(self) -> None:
        self._bars, self._what = Bars("what", "bar", "count", "left", every=5.0), ""

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show that ``done`` of ``total`` is done; 0 is an unknown total."""
        bars = self._bars
        if what != self._what:
            bars.close()
            bars.first_line_after(5.0)
            self._what = what
        bars.draw(done, total or None, what=what)
        bars.line(f"{what}: {done:,} of {total:,}" if total else f"{what}: {done:,}")
        if total and done >= total:
            bars.close()

    def close(self) -> None:
        """Remove the bar."""
        self._bars.close()


@contextmanager
def progress() -> Iterator[Progress]:
    """Show the progress of a long task: yields the `Work` to report to, and removes its bar in the end."""
    work = Work()
    try:
        yield work
    finally:
        work.close()
