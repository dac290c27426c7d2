"""Stopping a training from outside, at a place from which it can be gone on with."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from .progress import Moment, Watcher
from .state import HistoryRow, TrainingState

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopOnSignal(Watcher):
    """Turns Ctrl-C and SIGTERM into a stop after the step that is running.

    A context manager: inside its block the first signal asks the training to stop; a second one acts as signals do
    without us. In other threads than the main one, where Python takes no signals, it does nothing.

    Attributes:
        received: the signal that asked to stop, or None.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopOnSignal:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._put_back()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._put_back()

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def after_step(self, moment: Moment, state: TrainingState) -> bool:
        """Stop here, if a signal came."""
        return self.received is not None

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Stop here, if a signal came."""
        return self.received is not None
