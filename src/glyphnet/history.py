"""The learning curves as a file: ``history.csv``, with Keras' column names."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Sequence

from .files import atomic_write_text
from .training import HISTORY_KEYS, HistoryRow, TrainingState, Watcher


def write_history(path: str | os.PathLike[str], history: Sequence[HistoryRow]) -> None:
    """Write a line an epoch, all or nothing: epoch, loss, accuracy, val_loss, val_accuracy, lr, seconds.

    Numbers are written so that they are read back bit for bit; what was not measured is empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HISTORY_KEYS)
    for row in history:
        writer.writerow([_cell(key, row[key]) for key in HISTORY_KEYS])
    atomic_write_text(path, text.getvalue())


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return ""
    if key == "epoch":
        return str(int(value))
    return f"{value:.4f}" if key == "seconds" else repr(value)


class HistoryWriter(Watcher):
    """Keeps ``history.csv`` up to date while a training runs, at most once a second."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._written = time.perf_counter()

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Write, if the last time is a second ago."""
        if time.perf_counter() - self._written > 1.0:
            self.at_end(state)
        return False

    def at_end(self, state: TrainingState) -> None:
        """Write all there is."""
        write_history(self._path, state.history)
        self._written = time.perf_counter()
