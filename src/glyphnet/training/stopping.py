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

    From just before the first step to the end of the training the first signal asks it to stop; a second one acts as
    signals do without us, and so do those that come while data are read or the classifier is judged. In other threads
    than the main one, where Python takes no signals, it does nothing. A context manager, which gives the signals back
    however the training ends.

    Args:
        patient: ignore further signals: a launcher sends one of its own beside Ctrl-C, and kills what takes too long.

    Attributes:
        received: the signal that asked to stop, or None.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self._patient = patient
        self.received: signal.Signals | None = None
        self._listens = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopOnSignal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._put_back()

    def _listen(self) -> None:
        """Take the signals, where Python takes any: in the main thread."""
        if threading.current_thread() is threading.main_thread():
            self._listens = True
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        if not self._patient:
            self._put_back()

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def at_start(self, state: TrainingState) -> None:
        """Listen from now on."""
        if not self._listens:
            self._listen()

    def after_step(self, moment: Moment, state: TrainingState) -> bool:
        """Stop here, if a signal came."""
        return self.received is not None

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Stop here, if a signal came."""
        return self.received is not None

    def at_end(self, state: TrainingState) -> None:
        """Give the signals back."""
        self._put_back()
