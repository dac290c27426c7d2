"""What the command line says: messages and progress on standard error, results on standard output.

rich is imported only where a terminal shows it, and never reads markup in what the user wrote.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ..names import printable as printable  # the verbs have it from here

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

Progress: TypeAlias = Callable[[int, int, str], None]

_PLAIN_INTERVAL = 5.0  # seconds between two lines of progress where there is no terminal


def say(message: str) -> None:
    """Tell the user something on standard error: one line, and one for each reading or command, indented by two."""
    print("\n  ".join(map(printable, message.split("\n  "))), file=sys.stderr, flush=True)


def say_lacking(model: Lacks) -> None:
    """Tell what a model lacks beside those of today, if it lacks anything."""
    if model.lacking:
        say(model.lacking)


class Lacks(Protocol):
    """`Classifier` and `OnnxModel` have this."""

    @property
    def lacking(self) -> str:
        """One sentence, or ""."""


def emit_json(value: Mapping[str, object]) -> None:
    """Print one JSON object on standard output: what ``--json`` promises.

    Raises:
        ValueError: ``value`` holds NaN or infinity, which JSON does not have; write None instead.
    """
    print(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2), flush=True)


def show_table(
    rows: Sequence[Sequence[str]], *, left: Collection[int] = (0,), title: str = "", mark_first: bool = True
) -> None:
    """Print a table on standard output, fitted to the terminal; in full where there is none.

    Args:
        rows: the first holds the headings.
        left: columns of text, aligned to the left, which may wrap; the others hold numbers, and may not.
        title: a line above it.
        mark_first: show the first row in bold, as the best one.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(printable(title)) if title else None, title_justify="left", box=None, pad_edge=False,
        padding=(0, 2, 0, 0),
    )  # fmt: skip
    for at, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if at in left else "right", no_wrap=at not in left)
    for number, row in enumerate(rows[1:]):
        cells = (Text(printable(cell)) for cell in row)
        table.add_row(*cells, style="bold" if mark_first and not number else "")
    Console(highlight=False, width=None if sys.stdout.isatty() else 10_000).print(table)


def show_lines(lines: Iterable[str]) -> None:
    """Print sentences on standard output, wrapped to the terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in lines:
        console.print(Text(printable(line)))


@contextmanager
def progress() -> Iterator[Progress]:
    """Show how far a long work is; the verb passes the callable on to the function that works.

    Yields:
        ``report(done, total, what)``: ``what`` names the work ("reading images"), and a new ``what`` begins a
        new bar; ``total`` 0 means unknown. A bar on a terminal; elsewhere a line every few seconds, and none
        for quick work.
    """
    if not sys.stderr.isatty():
        yield _plain_progress()
        return
    bar = _Bar()
    try:
        yield bar.report
    finally:
        bar.close()


class _Bar:
    """A bar that is there only while something is going on: what follows has the screen to itself."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._what = ""

    def report(self, done: int, total: int, what: str) -> None:
        if self._bars is None or what != self._what:
            self.close()
            self._bars, self._what = _bars(), what
            self._bars.add_task(printable(what), total=total or None)
            self._bars.start()
        self._bars.update(self._bars.task_ids[0], completed=done, total=total or None)
        if total and done >= total:
            self.close()

    def close(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None


def _bars() -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TimeRemainingColumn(compact=True), console=Console(stderr=True), transient=True,
    )  # fmt: skip


def _plain_progress() -> Progress:
    """Lines instead of a bar: the first after some seconds, then one every few."""
    said: dict[str, float] = {}

    def report(done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if now - said.setdefault(what, now) >= _PLAIN_INTERVAL:
            said[what] = now
            say(f"{what}: {done:,} of {total:,}" if total else f"{what}: {done:,}")

    return report
