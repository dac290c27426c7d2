"""How sure a figure is: intervals for proportions (Wilson) and for everything else (bootstrap)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
RESAMPLES = 1000
_DRAWS_AT_ONCE = 4_000_000  # numbers held while resampling: 32 MB

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A confidence interval: ``low`` and ``high`` at the confidence ``level`` (0.95 is 95 %)."""

    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True)
class Figure:
    """One figure with its uncertainty.

    Attributes:
        value: the figure itself.
        interval: how sure it is; None where nothing can be said: no image counts towards it, or the bootstrap
            is blind (see `percentiles`).
        n: the images it rests on.
    """

    value: float
    interval: Interval | None
    n: int


def wilson(successes: int, trials: int, level: float = LEVEL) -> Interval:
    """Wilson's score interval for a proportion of ``successes`` out of ``trials``.

    Unlike value ± 1.96 standard errors it stays in [0, 1] and is honest for few trials and for none wrong:
    ten of ten right gives 72 % to 100 %. Source: Wilson (1927), "Probable inference, the law of succession,
    and statistical inference".

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(
            f"{successes} successes in {trials} trials have no interval: there must be trials, and no fewer."
        )
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
    """The share of ``successes`` in ``trials`` with Wilson's interval; without trials it counts 0, with no interval.

    Raises:
        ValueError: more successes than trials.
    """
    if not trials:
        return Figure(0.0, None, 0)
    return Figure(successes / trials, wilson(successes, trials), trials)


def percentiles(resampled: Float64Array, level: float = LEVEL) -> Interval | None:
    """The bootstrap percentile interval of resampled figures (R,); NaN are left out.

    Returns:
        None where nothing is left, or where all are the same: without any mistake, or of one image alone,
        every resample is alike. The bootstrap is blind there, and an interval of no length would be a
        boast.
    """
    known = resampled[~np.isnan(resampled)]
    if not len(known) or np.ptp(known) <= 1e-12 * abs(known[0]):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)


def bootstrap_mean(
    values: npt.ArrayLike, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """The bootstrap percentile interval of the mean of ``values`` (N,), or None: see `percentiles`.

    Source: Efron (1979), "Bootstrap methods: another look at the jackknife".

    Raises:
        ValueError: no values.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        raise ValueError("The mean of no values has no interval.")
    generator = np.random.default_rng(seed)
    means = np.concatenate(
        [values[generator.integers(len(values), size=(rows, len(values)))].mean(axis=1)
         for rows in _parts(resamples, len(values))]
    )  # fmt: skip
    return percentiles(means, level)


@dataclass(frozen=True)
class Tally:
    """What a confusion matrix says of each class; leading axes (...) are resamples.

    Attributes:
        hits: images of the class that were predicted as it, (..., K).
        support: images of the class, (..., K).
        predicted: images predicted as the class, (..., K).
    """

    hits: Int64Array
    support: Int64Array
    predicted: Int64Array

    @property
    def f1(self) -> Float64Array:
        """F1 a class (..., K); NaN for a class that neither occurs nor is predicted."""
        return _ratio(2 * self.hits, self.support + self.predicted)

    @property
    def macro_f1(self) -> Float64Array:
        """Mean F1 over the classes that occur or are predicted, (...); as scikit-learn has it."""
        return _known_mean(self.f1)

    @property
    def balanced_accuracy(self) -> Float64Array:
        """Mean recall over the classes that occur, (...); as scikit-learn has it."""
        return _known_mean(_ratio(self.hits, self.support))


def resample(matrix: Int64Array, *, resamples: int = RESAMPLES, seed: int = 0) -> Tally:
    """Bootstrap a confusion matrix (K, K): the tallies of ``resamples`` test sets drawn from this one.

    To draw N images with replacement is to draw the cells' counts from a multinomial distribution, so a
    resample costs as much as there are cells that are not empty, however many images there are.
    """
    true, predicted = np.nonzero(matrix)
    counts = matrix[true, predicted]
    total = int(counts.sum())
    generator = np.random.default_rng(seed)
    classes = len(matrix)
    parts = [
        _tally(generator.multinomial(total, counts / total, size=rows), true, predicted, classes)
        for rows in _parts(resamples, len(counts))
    ]
    return Tally(
        hits=np.concatenate([part.hits for part in parts]),
        support=np.concatenate([part.support for part in parts]),
        predicted=np.concatenate([part.predicted for part in parts]),
    )


def _tally(draws: Int64Array, true: Int64Array, predicted: Int64Array, classes: int) -> Tally:
    tally = Tally(*(np.zeros((len(draws), classes), dtype=np.int64) for _ in range(3)))
    for column, (row, guess) in enumerate(zip(true, predicted, strict=True)):
        tally.support[:, row] += draws[:, column]
        tally.predicted[:, guess] += draws[:, column]
        if row == guess:
            tally.hits[:, row] += draws[:, column]
    return tally


def _parts(resamples: int, width: int) -> list[int]:
    """``resamples`` cut into parts whose draws of ``width`` numbers each stay small in memory."""
    rows = max(1, min(resamples, _DRAWS_AT_ONCE // width))
    return [min(rows, resamples - start) for start in range(0, resamples, rows)]


def _ratio(above: Int64Array, below: Int64Array) -> Float64Array:
    ratio: Float64Array = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return ratio


def _known_mean(values: Float64Array) -> Float64Array:
    """The mean over the last axis of what is not NaN; at least one value a row is not."""
    known = ~np.isnan(values)
    means: Float64Array = np.where(known, values, 0.0).sum(axis=-1) / known.sum(axis=-1)
    return means
