"""The same experiment with other random numbers: its mean, its spread, and how sure the mean is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

LEVEL = 0.95


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
        return float(stats.t.ppf((1 + LEVEL) / 2, self.n - 1) * self.spread / np.sqrt(self.n))

    def to_dict(self) -> dict[str, Any]:
        """As numbers.json holds it."""
        return {
            "mean": self.mean, "spread": self.spread, "half_width": self.half_width,
            "n": self.n, "values": list(self.values),
        }  # fmt: skip

    @classmethod
    def of(cls, values: Sequence[float]) -> Repeats:
        """From one value a seed."""
        return cls(tuple(float(value) for value in values))


def percent(figure: dict[str, Any], digits: int = 2) -> str:
    """``97.83% ± 0.12``, as `Repeats.to_dict` has it: the mean and half its interval.

    Of one alone, and of some that came out all alike, the mean: ± 0.00 would be a boast.
    """
    mean = f"{100 * figure['mean']:.{digits}f}%"
    return mean if not figure["half_width"] else f"{mean} ± {100 * figure['half_width']:.{digits}f}"
