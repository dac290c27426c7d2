"""What it gives to leave images unanswered, or to answer with sets: coverage, accuracy, sizes.

Source: Geifman and El-Yaniv (2017), "Selective classification for deep neural networks".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..conformal import BoolArray
from .intervals import Figure, bootstrap_mean, proportion

POINTS = 400  # of a curve, at most: more than a screen can tell apart

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """The accuracy of what is accepted, for thresholds on the confidence from the highest to the lowest.

    At ``thresholds[i]`` an image is accepted if its confidence is at least that. The first point is that of the
    surest images, the last one of all images: coverage 1, the accuracy of the whole.

    Attributes:
        thresholds: float64 (M,), falling; each is the confidence of some image.
        coverage: float64 (M,), rising: the share of images that is accepted.
        accuracy: float64 (M,): the share of the accepted images that is right.
    """

    thresholds: Float64Array = field(repr=False)
    coverage: Float64Array = field(repr=False)
    accuracy: Float64Array = field(repr=False)

    def __len__(self) -> int:
        return len(self.thresholds)


@dataclass(frozen=True)
class Rejection:
    """What the model's rules give: images that they reject are answered with "none of these".

    Attributes:
        coverage: the share of images that is accepted.
        accuracy: the share of the accepted images that is right. Where none is accepted it counts 0, of 0
            images and without an interval.
        reasons: how many images were rejected for each reason.
    """

    coverage: Figure
    accuracy: Figure
    reasons: dict[str, int]


@dataclass(frozen=True)
class Sets:
    """What sets of classes at one level give.

    Attributes:
        level: the share of sets that shall contain the true class.
        coverage: the share of sets that do.
        size: classes in a set, on average.
        single: the share of sets of one class.
    """

    level: float
    coverage: Figure
    size: Figure
    single: Figure


def coverage_curve(confidence: npt.ArrayLike, correct: npt.ArrayLike, most: int = POINTS) -> CoverageCurve:
    """Accuracy against coverage over all thresholds; images of equal confidence are accepted together.

    Args:
        confidence: float (N,), N ≥ 1: the probability of the predicted class.
        correct: bool (N,).
        most: points to keep, 2 or more: where there are more, evenly spaced ones, the first and the last among
            them. Each that is kept is exact.
    """
    confidence = np.asarray(confidence)
    order = np.argsort(-confidence, kind="stable")
    confidence = confidence[order]
    right = np.cumsum(np.asarray(correct, dtype=bool)[order])
    ends = np.append(np.flatnonzero(np.diff(confidence)), len(confidence) - 1)
    if len(ends) > most:
        ends = ends[np.linspace(0, len(ends) - 1, most).round().astype(np.int64)]
    accepted = ends + 1
    return CoverageCurve(
        thresholds=confidence[ends].astype(np.float64),
        coverage=accepted / len(confidence),
        accuracy=right[ends] / accepted,
    )


def reject(correct: npt.NDArray[np.bool_], reasons: Sequence[str | None]) -> Rejection:
    """What rejecting the images that have a reason gives; ``correct`` bool (N,), N ≥ 1."""
    accepted = np.array([reason is None for reason in reasons])
    return Rejection(
        coverage=proportion(int(accepted.sum()), len(accepted)),
        accuracy=proportion(int(correct[accepted].sum()), int(accepted.sum())),
        reasons=dict(sorted(Counter(reason for reason in reasons if reason is not None).items())),
    )


def judge_sets(inside: BoolArray, labels: npt.NDArray[np.int64], level: float) -> Sets:
    """The figures of sets at a level: ``inside`` bool (N, K), true classes int64 (N,), N ≥ 1."""
    count, sizes = len(labels), inside.sum(axis=1)
    return Sets(
        level=level,
        coverage=proportion(int(inside[np.arange(count), labels].sum()), count),
        size=Figure(float(sizes.mean()), bootstrap_mean(sizes), count),
        single=proportion(int((sizes == 1).sum()), count),
    )
