"""Showing a training while it runs: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..training import HistoryRow, Moment, TrainingState, Watcher
from .console import say

if TYPE_CHECKING:
    from rich.progress import Progress

REDRAW = 0.1  # seconds between two updates of the bar: a step may take less than a millisecond
NARROW = 75  # columns of a terminal on which not all fits
LINE_EVERY = 5.0  # seconds between two lines where there is no terminal


class TrainingBar(Watcher):
    """Epoch, loss, validation accuracy, images a second and the time left, on standard error.

    The bar is there from the first step to the end of the training. A context manager, which takes it away
    however the training ends.
    """

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._began: float | None = None  # the first step that was seen: a resumed training does not begin at 0
        self._share_at_start = 0.0
        self._shown = self._speed = 0.0
        self._left: float | None = None

    def __enter__(self) -> TrainingBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def at_end(self, state: TrainingState) -> None:
        """Take the bar away."""
        self._close()

    def after_step(self, moment: Moment, state: TrainingState) -> bool:
        """Move the bar, ten times a second at most."""
        now = time.monotonic()
        if self._began is None:
            self._open(moment, now)
        self._speed, self._left = moment.images_per_second, self._seconds_left(moment.share, now)
        if self._bar is not None and now - self._shown >= REDRAW:
            self._shown = now
            self._bar.update(
                self._bar.task_ids[0],
                completed=moment.share,
                description=f"epoch {moment.epoch} of {moment.epochs}",
                figures=_figures(state.history[-1]).replace(" accuracy", "") if state.history else "",
                speed=f"{self._speed:,.0f} images/s",
                left="" if self._left is None else f"{_duration(self._left)} left",
            )
        return False

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Without a terminal, say a line: after the last epoch, and every few seconds."""
        now = time.monotonic()
        epoch, epochs = int(row["epoch"] or 0), state.recipe.epochs
        if self._bar is None and (epoch == epochs or now - self._shown >= LINE_EVERY):
            self._shown = now
            left = "" if epoch == epochs or self._left is None else f", {_duration(self._left)} left"
            say(f"epoch {epoch} of {epochs}: {_figures(row)}, {self._speed:,.0f} images/s{left}")
        return False

    def _open(self, moment: Moment, now: float) -> None:
        self._began, self._share_at_start = now, moment.share
        self._shown = now - LINE_EVERY + 1.0  # the first line after one second
        if sys.stderr.isatty():
            self._shown = 0.0
            self._bar = _bar()
            self._bar.add_task("training", total=1.0, figures="", speed="", left="")
            self._bar.start()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _seconds_left(self, share: float, now: float) -> float | None:
        done, took = share - self._share_at_start, now - (self._began or now)
        return took / done * (1.0 - share) if done > 0 and took > 0.5 else None


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns: list[Any] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[figures]}", markup=False),
        TextColumn("{task.fields[speed]}", markup=False, style="dim"),
        TextColumn("{task.fields[left]}", markup=False, style="dim"),
    ]
    if console.width < NARROW:
        del columns[3], columns[1]  # speed and bar: the figures say more
    return Progress(*columns, console=console, transient=True)


def _figures(row: HistoryRow) -> str:
    """The last epoch's loss, and its accuracy on validation data, or on training data without them."""
    name = "accuracy" if row["val_accuracy"] is None else "val_accuracy"
    said = "training" if row["val_accuracy"] is None else "validation"
    return f"loss {row['loss']:.4f}, {said} accuracy {100 * (row[name] or 0.0):.2f} %"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 90 else f"{whole // 60} min {whole % 60:02d} s"
