"""Which classes are found, and which are taken for which others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .intervals import RESAMPLES, Figure, parts_of, percentiles, proportion

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClassScores:
    """How well one class is found: precision and recall with Wilson's intervals, F1 with a bootstrapped one.

    As in scikit-learn a ratio without images (the precision of a class that is never predicted) counts 0; its
    interval is None.
    """

    precision: Figure
    recall: Figure
    f1: Figure
    support: int


@dataclass(frozen=True)
class Confusion:
    """One kind of mistake: ``count`` images of class ``true`` that were taken for class ``predicted`` (indices).

    ``share`` is that of all images of the true class.
    """

    true: int
    predicted: int
    count: int
    share: float


def confusion_matrix(labels: Int64Array, predictions: Int64Array, classes: int) -> Int64Array:
    """int64 (K, K): images of class (row) that were predicted as class (column).

    It is ``sklearn.metrics.confusion_matrix`` of ``labels`` and ``predictions`` (N,), in a hundredth of its time.
    """
    counts = np.bincount(labels * classes + predictions, minlength=classes**2)
    return counts.reshape(classes, classes).astype(np.int64)


@dataclass(frozen=True)
class Tally:
    """What confusion matrices (..., K, K) say of each class: counts (..., K)."""

    hits: Int64Array  # images of the class that were predicted as it
    support: Int64Array  # images of the class
    predicted: Int64Array  # images predicted as the class

    @classmethod
    def of(cls, matrix: Int64Array) -> Tally:
        """The tally of one matrix (K, K)."""
        return cls(matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0))

    @property
    def f1(self) -> Float64Array:
        """F1 a class (..., K); NaN for a class that neither occurs nor is predicted."""
        return _ratio(2 * self.hits, self.support + self.predicted)

    @property
    def macro_f1(self) -> Float64Array:
        """Mean F1 over the classes that occur or are predicted, (...): ``sklearn.metrics.f1_score``."""
        return _known_mean(self.f1)

    @property
    def balanced_accuracy(self) -> Float64Array:
        """Mean recall over the classes that occur, (...): ``sklearn.metrics.balanced_accuracy_score``."""
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
    tally = Tally(*(np.zeros((resamples, len(matrix)), dtype=np.int64) for _ in range(3)))
    start = 0
    for rows in parts_of(resamples, len(counts)):
        draws = generator.multinomial(total, counts / total, size=rows)
        part, start = slice(start, start + rows), start + rows
        for column, (row, guess) in enumerate(zip(true, predicted, strict=True)):
            tally.support[part, row] += draws[:, column]
            tally.predicted[part, guess] += draws[:, column]
            if row == guess:
                tally.hits[part, row] += draws[:, column]
    return tally


def _ratio(above: Int64Array, below: Int64Array) -> Float64Array:
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0))


def _known_mean(values: Float64Array) -> Float64Array:
    """The mean over the last axis of what is not NaN; at least one value a row is not."""
    known = ~np.isnan(values)
    means: Float64Array = np.where(known, values, 0.0).sum(axis=-1) / known.sum(axis=-1)
    return means


def class_scores(tally: Tally, resampled: Tally) -> tuple[ClassScores, ...]:
    """Precision, recall, F1 and support of each class; ``resampled`` gives the interval of F1."""
    f1, drawn = np.nan_to_num(tally.f1), resampled.f1
    return tuple(
        ClassScores(
            precision=proportion(int(hits), int(predicted)),
            recall=proportion(int(hits), int(support)),
            f1=Figure(float(f1[k]), percentiles(drawn[:, k]), int(support)),
            support=int(support),
        )
        for k, (hits, support, predicted) in enumerate(zip(tally.hits, tally.support, tally.predicted, strict=True))
    )


def most_confused(matrix: Int64Array, n: int) -> tuple[Confusion, ...]:
    """The ``n`` kinds of mistake in a confusion matrix (K, K) that happened most often, the most frequent first."""
    mistakes = matrix.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:n]
    support = matrix.sum(axis=1)
    pairs = zip(*np.unravel_index(order, mistakes.shape), strict=True)
    return tuple(
        Confusion(int(true), int(guess), int(count), float(count / support[true]))
        for true, guess in pairs
        if (count := mistakes[true, guess])
    )
