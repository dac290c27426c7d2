"""The same experiment with other random numbers: its mean, its spread, and how sure the mean is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .intervals import LEVEL, Interval


@dataclass(frozen=True)
class Repeats:
    """One figure, measured again and again.

    Attributes:
        values: one a seed.
    """

    values: tuple[float, ...]

    @property
    def n(self) -> int:
        """How many seeds."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(self.values))

    @property
    def spread(self) -> float:
        """The standard deviation from seed to seed (n - 1); 0 of one alone, of which nothing is known."""
        return float(np.std(self.values, ddof=1)) if self.n > 1 else 0.0

    @property
    def half_width(self) -> float:
        """Half of the mean's 95 % interval, by Student's t; 0 of one alone."""
        if self.n < 2:
            return 0.0
        from scipy.special import stdtrit

        return float(stdtrit(self.n - 1, (1 + LEVEL) / 2) * self.spread / np.sqrt(self.n))

    def interval(self, most: float = math.inf) -> Interval | None:
        """The mean's 95 % interval, cut off at 0 and at ``most``; None of one alone."""
        if self.n < 2:
            return None
        return Interval(max(0.0, self.mean - self.half_width), min(most, self.mean + self.half_width))

    def to_dict(self) -> dict[str, Any]:
        """As files hold it."""
        return {
            "mean": self.mean, "spread": self.spread, "half_width": self.half_width,
            "n": self.n, "values": list(self.values),
        }  # fmt: skip

    @classmethod
    def of(cls, values: Sequence[float]) -> Repeats:
        """From one value a seed."""
        return cls(tuple(float(value) for value in values))
