"""How sure a figure is: Wilson's and bootstrap intervals, several seeds, and paired tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from ..units import p_value

LEVEL = 0.95
RESAMPLES = 1000
_FEW_VALUES = 100  # of which draws are counted, not made: sizes of sets
_DIGITS = 6  # of 10,000 images one is 0.0001: two digits below that are enough for any average
_DRAWS_AT_ONCE = 4_000_000  # numbers held while resampling: 32 MB

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A confidence interval: ``low`` and ``high`` at the confidence ``level`` (0.95 is 95 %)."""

    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True)
class Figure:
    """One figure, its uncertainty, and the images it rests on.

    The interval is None where nothing can be said: ``n`` is 0, or the bootstrap is blind (see `percentiles`).
    """

    value: float
    interval: Interval | None
    n: int


def plain(value: Any) -> Any:
    """In types that JSON knows, rounded; a figure has the ends of its interval beside its value."""
    if isinstance(value, Figure):
        return {"value": round(value.value, _DIGITS), "n": value.n, **(plain(value.interval) or {})}
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return round(value, _DIGITS) if isinstance(value, float) else value


def wilson(successes: int, trials: int, level: float = LEVEL) -> Interval:
    """Wilson's score interval for a proportion of ``successes`` out of ``trials``.

    Unlike value ± 1.96 standard errors it stays in [0, 1] and is honest for few trials and for none wrong:
    ten of ten right gives 72 % to 100 %. Without trials, or with more successes, it is a ValueError. Source: Wilson
    (1927), "Probable inference, the law of succession, and statistical inference".
    """
    if trials < 1 or not 0 <= successes <= trials:
        what = f"{successes} successes in {trials} trials have no interval"
        raise ValueError(f"{what}: there must be trials, and no fewer.")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / trials
    centre = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    scale = 1 + z * z / trials
    # At both ends the formula is exact on paper and 1e-17 off in floating point.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == trials else (centre + half) / scale
    return Interval(low, high, level)


def proportion(successes: int, trials: int) -> Figure:
    """The share of ``successes`` in ``trials`` with Wilson's interval; without trials it counts 0, with no interval."""
    if not trials:
        return Figure(0.0, None, 0)
    return Figure(successes / trials, wilson(successes, trials), trials)


def percentiles(resampled: Float64Array) -> Interval | None:
    """The bootstrap's 95 % percentile interval of resampled figures (R,); NaN are left out.

    None where nothing is left, or where all are the same: without any mistake, or of one image alone, every resample is
    alike. The bootstrap is blind there, and an interval of no length would be a boast.
    """
    known = resampled[~np.isnan(resampled)]
    if not len(known) or np.ptp(known) <= 1e-12 * abs(known[0]):
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def bootstrap_mean(values: npt.ArrayLike, *, seed: int = 0) -> Interval | None:
    """The bootstrap's 95 % interval of the mean of ``values`` (N,), N ≥ 1, or None: see `percentiles`.

    Source: Efron (1979), "Bootstrap methods: another look at the jackknife".
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        raise ValueError("The mean of no values has no interval.")
    count = len(values)
    generator = np.random.default_rng(seed)
    different, counts = np.unique(values, return_counts=True)
    if len(different) <= _FEW_VALUES:  # how often each is drawn is multinomial
        return percentiles(generator.multinomial(count, counts / count, size=RESAMPLES) @ different / count)
    parts = [values[generator.integers(count, size=(rows, count))].mean(axis=1) for rows in parts_of(RESAMPLES, count)]
    return percentiles(np.concatenate(parts))


def parts_of(resamples: int, width: int) -> list[int]:
    """``resamples`` cut into parts whose draws of ``width`` numbers each stay small in memory."""
    rows = max(1, min(resamples, _DRAWS_AT_ONCE // width))
    return [min(rows, resamples - start) for start in range(0, resamples, rows)]


# Several seeds: mean, spread, and the interval of the mean


@dataclass(frozen=True)
class Repeats:
    """One figure, measured with several seeds."""

    values: tuple[float, ...]

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(self.values))

    @property
    def spread(self) -> float:
        """The standard deviation over the seeds (n - 1); 0 for one seed."""
        return float(np.std(self.values, ddof=1)) if self.n > 1 else 0.0

    @property
    def half_width(self) -> float:
        """Half of the mean's 95 % interval, by Student's t; 0 for one value."""
        if self.n < 2:
            return 0.0
        from scipy.special import stdtrit

        return float(stdtrit(self.n - 1, (1 + LEVEL) / 2) * self.spread / np.sqrt(self.n))

    def interval(self, most: float = math.inf) -> Interval | None:
        """The mean's 95 % interval, cut off at 0 and at ``most``; None for one value."""
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


# Two classifiers on the same images: McNemar's paired test

SIGNIFICANCE = 0.05
"""A p-value below this is taken for a difference."""


@dataclass(frozen=True)
class Paired:
    """Two classifiers, A and B, on the same images: how many both, only one, or neither named rightly."""

    both_right: int
    only_a: int
    only_b: int
    both_wrong: int

    def __post_init__(self) -> None:
        if min(self.both_right, self.only_a, self.only_b, self.both_wrong) < 0 or not self.n:
            raise ValueError(f"{self} counts no images: there must be some, and no count below 0.")

    @property
    def n(self) -> int:
        """Number of images."""
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
        each such image would be either's with a chance of a half, and their number binomial.

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
        """Which of the two, called ``a`` and ``b``, is better and how sure that is, or that nobody can tell."""
        better, other = (a, b) if self.only_a >= self.only_b else (b, a)
        worse, best = sorted((self.accuracy_a.value, self.accuracy_b.value))
        difference = self.difference
        assert difference.interval is not None
        ends = difference.interval.low, difference.interval.high
        low, high = ends if self.only_a >= self.only_b else (-ends[1], -ends[0])
        figures = (
            f"{_points(best)} against {_points(worse)} %, "
            f"{_points(abs(difference.value))} points apart (95 % interval {_points(low)} to {_points(high)}; "
            f"McNemar's exact test, {p_value(self.p_value)})."
        )
        if self.p_value < SIGNIFICANCE:
            return f"{better} is better than {other} on {self.n:,} images: {figures}"
        return f"{better} and {other} cannot be told apart on {self.n:,} images: {figures}"

    def to_dict(self) -> dict[str, object]:
        """Counts, p-value and difference, in types that JSON knows."""
        return {
            "test": "McNemar, exact binomial, two-sided",
            "both_right": self.both_right,
            "only_a_right": self.only_a,
            "only_b_right": self.only_b,
            "both_wrong": self.both_wrong,
            "p_value": self.p_value,
            "difference": plain(self.difference),
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
    """Count on which of the same images, N ≥ 1, two classifiers were right: bool (N,) each."""
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


def _joined(first: float, second: float, correlation: float) -> float:
    # Exact on paper; in floating point the sum may be a hair below 0 where both intervals have no length.
    return math.sqrt(max(0.0, first**2 - 2 * correlation * first * second + second**2))


def _points(share: float) -> str:
    text = f"{100 * share:.2f}"
    return text.replace("-0.00", "0.00").replace("-", "−")
