"""Whether one classifier is better than another, judged by the same images: McNemar's paired test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .intervals import LEVEL, Figure, Interval, wilson

SIGNIFICANCE = 0.05
"""A p-value below this is taken for a difference."""


@dataclass(frozen=True)
class Paired:
    """Two classifiers, A and B, on the same images: how often each was right.

    Attributes:
        both_right: images that both named rightly.
        only_a: images that A named rightly and B did not.
        only_b: images that B named rightly and A did not.
        both_wrong: images that neither named rightly.

    Raises:
        ValueError: a count is negative, or there is no image.
    """

    both_right: int
    only_a: int
    only_b: int
    both_wrong: int

    def __post_init__(self) -> None:
        if min(self.both_right, self.only_a, self.only_b, self.both_wrong) < 0 or not self.n:
            raise ValueError(f"{self} counts no images: there must be some, and no count below 0.")

    @property
    def n(self) -> int:
        """How many images there were."""
        return self.both_right + self.only_a + self.only_b + self.both_wrong

    @property
    def accuracy_a(self) -> Figure:
        """The share that A named rightly, with Wilson's interval."""
        return self._accuracy(self.both_right + self.only_a)

    @property
    def accuracy_b(self) -> Figure:
        """The share that B named rightly, with Wilson's interval."""
        return self._accuracy(self.both_right + self.only_b)

    @property
    def p_value(self) -> float:
        """The two-sided p-value of McNemar's exact test, in (0, 1].

        Only images that one named rightly and the other did not tell the two apart; were they equally good,
        each such image would be either's with a chance of a half, and their number binomial. The exact
        distribution is used however many there are, so that no approximation has to be chosen.

        Source: McNemar (1947), "Note on the sampling error of the difference between correlated proportions
        or percentages"; Dietterich (1998), "Approximate statistical tests for comparing supervised
        classification learning algorithms".
        """
        from scipy.special import bdtr  # the binomial distribution; scipy.stats takes 0.7 s to import

        # Both tails are alike at a chance of a half.
        return min(1.0, 2 * float(bdtr(min(self.only_a, self.only_b), self.only_a + self.only_b, 0.5)))

    @property
    def difference(self) -> Figure:
        """A's accuracy less B's, with Newcombe's 95 % interval for paired proportions.

        Source: Newcombe (1998), "Improved confidence intervals for the difference between binomial proportions
        based on paired data", Statistics in Medicine 17, 2635-2650: method 10.
        """
        first, second = self.accuracy_a, self.accuracy_b
        assert first.interval is not None
        assert second.interval is not None
        above = first.interval.high - first.value, second.interval.high - second.value
        below = first.value - first.interval.low, second.value - second.interval.low
        correlation, value = self._correlation(), first.value - second.value
        low = value - _joined(below[0], above[1], correlation)
        high = value + _joined(above[0], below[1], correlation)
        return Figure(value, Interval(max(-1.0, low), min(1.0, high), LEVEL), self.n)

    def sentence(self, a: str, b: str) -> str:
        """Which is better and how sure that is, or that they cannot be told apart, in a sentence for the user.

        Args:
            a, b: what the two are called.
        """
        better, other = (a, b) if self.only_a >= self.only_b else (b, a)
        accuracies = sorted((self.accuracy_a.value, self.accuracy_b.value), reverse=True)
        difference = self.difference
        assert difference.interval is not None
        ends = difference.interval.low, difference.interval.high
        low, high = ends if self.only_a >= self.only_b else (-ends[1], -ends[0])
        figures = (
            f"{_percent(accuracies[0])} against {_percent(accuracies[1])} %, "
            f"{_percent(abs(difference.value))} points apart (95 % interval {_percent(low)} to {_percent(high)}; "
            f"McNemar's exact test, {in_words(self.p_value)})."
        )
        if self.p_value < SIGNIFICANCE:
            return f"{better} is better than {other} on {self.n:,} images: {figures}"
        return f"{better} and {other} cannot be told apart on {self.n:,} images: {figures}"

    def to_dict(self) -> dict[str, object]:
        """Counts, p-value and difference, in types that JSON knows."""
        difference = self.difference
        assert difference.interval is not None
        return {
            "test": "McNemar, exact binomial, two-sided",
            "both_right": self.both_right,
            "only_a_right": self.only_a,
            "only_b_right": self.only_b,
            "both_wrong": self.both_wrong,
            "p_value": self.p_value,
            "difference": {
                "value": round(difference.value, 6),
                "low": round(difference.interval.low, 6),
                "high": round(difference.interval.high, 6),
                "level": difference.interval.level,
                "n": self.n,
            },
        }

    def _accuracy(self, right: int) -> Figure:
        return Figure(right / self.n, wilson(right, self.n), self.n)

    def _correlation(self) -> float:
        """Between being right of A and of B, with Newcombe's correction for continuity."""
        a, b, c, d = self.both_right, self.only_a, self.only_b, self.both_wrong
        scale = (a + b) * (c + d) * (a + c) * (b + d)
        if not scale:
            return 0.0
        surplus = a * d - b * c
        corrected = surplus if surplus < 0 else max(surplus - self.n / 2, 0.0)
        return corrected / math.sqrt(scale)


def paired(correct_a: npt.ArrayLike, correct_b: npt.ArrayLike) -> Paired:
    """Count two classifiers' right answers on the same images.

    Args:
        correct_a, correct_b: bool (N,), whether A and B were right on each image, in the same order.

    Raises:
        ValueError: there is no image, or not as many of each.
    """
    first, second = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"Answers of shape {first.shape} and {second.shape} are not on the same images.")
    counts = np.bincount(2 * first + second, minlength=4).tolist()
    return Paired(both_right=counts[3], only_a=counts[2], only_b=counts[1], both_wrong=counts[0])


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several tests, raised so that all together err as seldom as one alone, in the same order.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure".
    """
    raised, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        raised[place] = highest
    return raised


def in_words(p_value: float) -> str:
    """``p = 0.03``, or ``p < 0.001`` for what is smaller."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}" if p_value < 0.0995 else f"p = {p_value:.2f}"


def _joined(first: float, second: float, correlation: float) -> float:
    # Exact on paper; in floating point the sum may be a hair below 0 where both intervals have no length.
    return math.sqrt(max(0.0, first**2 - 2 * correlation * first * second + second**2))


def _percent(share: float) -> str:
    text = f"{100 * share:.2f}"
    return text.replace("-0.00", "0.00").replace("-", "−")
