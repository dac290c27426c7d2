"""A training whose steps become several times slower than at the start says so."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from ..training import Callback, StepInfo, TrainingState

SEVERAL = 3.0
"""How many times as long as at the start steps must take."""

_WARM_UP = 5  # steps that lay things out
_AT_START = 2.0  # seconds of steps that show how long one takes
_WINDOW = 5.0  # seconds over which a later one is judged
_FEWEST = 5  # steps in either


class Slowdown(Callback):
    """Says once that steps have become slow.

    Args:
        said: is given the sentence.
    """

    def __init__(self, said: Callable[[str], None]) -> None:
        self._said: Callable[[str], None] | None = said
        self._last: float | None = None
        self._times: list[float] = []
        self._sum, self._at_start, self._skip = 0.0, 0.0, _WARM_UP

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Time the step."""
        if self._said is None:
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
        if self._sum >= (_WINDOW if self._at_start else _AT_START) and len(self._times) >= _FEWEST:
            self._judge(state)
        return False

    def _judge(self, state: TrainingState) -> None:
        typical = statistics.median(self._times)
        self._times, self._sum = [], 0.0
        if not self._at_start:
            self._at_start = typical
        elif self._said and typical > SEVERAL * self._at_start:
            self._said(
                f"Steps take {typical / self._at_start:.0f} times as long as at the start: other programs use the "
                "processor. On a busy machine one thread is often quickest: --threads 1, in a new run."
            )
            self._said = None
