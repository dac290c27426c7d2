"""Which classes are found, and which are taken for which others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .intervals import Figure, Tally, percentiles, proportion

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
    """One kind of mistake: images of class ``true`` that were taken for class ``predicted`` (indices).

    There are ``count`` of them, the share ``share`` of all images of the true class.
    """

    true: int
    predicted: int
    count: int
    share: float


def confusion_matrix(labels: Int64Array, predictions: Int64Array, classes: int) -> Int64Array:
    """int64 (K, K): images of class (row) that were predicted as class (column).

    It is ``sklearn.metrics.confusion_matrix`` with all K ``labels``, in a hundredth of its time.

    Args:
        labels: int64 (N,), each in [0, K).
        predictions: int64 (N,), each in [0, K).
        classes: K.
    """
    counts = np.bincount(labels * classes + predictions, minlength=classes**2)
    return counts.reshape(classes, classes).astype(np.int64)


def f1_scores(matrix: Int64Array) -> Float64Array:
    """float64 (K,): F1 of each class of a confusion matrix (K, K); 0 where a class neither occurs nor is predicted.

    It is ``sklearn.metrics.f1_score``, without the second that importing scikit-learn takes.
    """
    hits, images = matrix.diagonal(), matrix.sum(axis=0) + matrix.sum(axis=1)
    scores: Float64Array = 2 * hits / np.maximum(images, 1)
    return scores


def class_scores(matrix: Int64Array, resampled: Tally) -> tuple[ClassScores, ...]:
    """Precision, recall, F1 and support of each of the K classes.

    Args:
        matrix: their confusion matrix, int64 (K, K).
        resampled: bootstrapped from it, for the interval of F1.
    """
    hits, support, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    f1, drawn = f1_scores(matrix), resampled.f1
    return tuple(
        ClassScores(
            precision=proportion(int(hits[k]), int(predicted[k])),
            recall=proportion(int(hits[k]), int(support[k])),
            f1=Figure(float(f1[k]), percentiles(drawn[:, k]), int(support[k])),
            support=int(support[k]),
        )
        for k in range(len(matrix))
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
