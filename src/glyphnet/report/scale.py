"""The scale of the small pictures of intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..evaluation import Interval

_STEPS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25)


@dataclass(frozen=True)
class Scale:
    """Shares from ``low`` to ``high``, with ``ticks`` at round values."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, share: float) -> float:
        """Where ``share`` lies, in per cent of the scale's length; held within it."""
        return round(100 * min(1.0, max(0.0, (share - self.low) / (self.high - self.low))), 2)

    @property
    def digits(self) -> int:
        """Digits behind the point that tell the ticks apart, in per cent."""
        step = self.ticks[1] - self.ticks[0]
        return next(digits for digits in range(4) if math.isclose(100 * step, round(100 * step, digits)))


def scale_around(*intervals: Interval) -> Scale:
    """A scale within 0 to 1, from one round value to another, on which the intervals are seen well."""
    low = min((each.low for each in intervals), default=0.0)
    high = max((each.high for each in intervals), default=1.0)
    wide = max(high - low, 1e-4)
    margin = 1.5 * wide if len(intervals) == 1 else 0.05 * wide
    step = next((step for step in _STEPS if (wide + 2 * margin) / step <= 5), _STEPS[-1])
    first = max(0, math.floor((low - margin) / step + 1e-9))
    last = min(round(1 / step), math.ceil((high + margin) / step - 1e-9))
    ticks = tuple(round(step * place, 6) for place in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks)
