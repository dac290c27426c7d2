"""Callbacks of a training: the base class, stopping on a signal, and a warning when steps become slow."""

from __future__ import annotations

import signal
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

from ..progress import Progress
from .state import HistoryRow, TrainingState


@dataclass(frozen=True)
class StepInfo:
    """The progress of a training.

    Attributes:
        epoch: the epoch now running, from 1; of ``epochs``.
        step: finished steps of that epoch; of ``steps``.
        images_per_second: of training, since the epoch began or was resumed.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    images_per_second: float

    @property
    def share(self) -> float:
        """How much of the training is done, in [0, 1]."""
        return (self.epoch - 1 + self.step / self.steps) / self.epochs


class Callback:
    """Called after every step and every epoch; a subclass overrides the methods that it needs.

    The state is there to be looked at or written down, not changed.
    """

    def at_start(self, state: TrainingState) -> None:
        """Called before the first step, also of a resumed training; the last of the callbacks first."""

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Called after each step; true asks the training to stop here.

        With several processes: several times a second, and after the last step of an epoch.
        """
        return False

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Called after each epoch with its row of the history; true asks the training to stop here."""
        return False

    def at_end(self, state: TrainingState) -> None:
        """Called when the training ends or stops, but not when it diverges."""

    def at_result(self, figures: Mapping[str, float]) -> None:
        """Called last by `glyphnet.train` and `glyphnet.resume`, with what was measured on held-out images.

        Args:
            figures: ``test_accuracy``, its 95 % interval (``test_accuracy_low``, ``test_accuracy_high``) and
                ``test_images``, or the same of the validation part where there is no test part; empty where nothing
                was measured: the training was stopped, or no image was held out.
        """


@dataclass(frozen=True)
class Reported(Callback):
    """Reports the steps of a training as progress of long work, in images learnt.

    Attributes:
        progress, what: see `glyphnet.progress.Progress`.
        images: that an epoch learns from.
        number: of this training, from 0, among ``trainings`` alike.
    """

    progress: Progress
    what: str
    images: int
    number: int = 0
    trainings: int = 1

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Report how far all of them are."""
        whole = self.images * info.epochs
        self.progress(int((self.number + info.share) * whole), self.trainings * whole, self.what)
        return False


# Stopping on a signal, at a point from which the training can resume

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopOnSignal(Callback):
    """Turns Ctrl-C and SIGTERM into a stop after the running step.

    From just before the first step to the end of the training the first signal asks it to stop; a second one acts as
    signals do without us. Python takes signals in the main thread only: in others this does nothing. A context manager,
    which gives the signals back however the training ends.

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

    def __exit__(self, *_: object) -> None:
        self._put_back()

    def _listen(self) -> None:
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
        """Install the signal handlers."""
        if not self._listens:
            self._listen()

    def stop_requested(self) -> bool:
        """Whether a signal was received."""
        return self.received is not None

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Stop if a signal was received."""
        return self.stop_requested()

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Stop if a signal was received."""
        return self.stop_requested()

    def at_end(self, state: TrainingState) -> None:
        """Restore the signal handlers; a later training of the same call takes them again."""
        self._put_back()
        self._listens = False


# A training whose steps become several times slower than at the start says so

SEVERAL = 3.0
"""How many times as long as at the start steps must take."""

_WARM_UP = 5  # steps that lay things out
_AT_START, _WINDOW = 2.0, 5.0  # seconds of steps that show how long one takes, at the start and later
_FEWEST = 5  # steps in either


class Slowdown(Callback):
    """Says once that steps have become slow."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say: Callable[[str], None] | None = say
        self._last: float | None = None
        self._times: list[float] = []
        self._sum, self._at_start, self._skip = 0.0, 0.0, _WARM_UP

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Time the step."""
        if self._say is None:
            return False
        now, last = time.perf_counter(), self._last
        self._last = None if info.step == info.steps else now  # not what comes between two epochs
        if last is None:
            return False
        if self._skip:
            self._skip -= 1
            return False
        self._times.append(now - last)
        self._sum += now - last
        if len(self._times) < _FEWEST or self._sum < (_WINDOW if self._at_start else _AT_START):
            return False
        typical = statistics.median(self._times)
        self._times, self._sum = [], 0.0
        if not self._at_start:
            self._at_start = typical
        elif typical > SEVERAL * self._at_start:
            self._say(
                f"Steps take {typical / self._at_start:.0f} times as long as at the start: other programs use the "
                "processor. On a busy machine one thread is often quickest: --threads 1, in a new run."
            )
            self._say = None
        return False
