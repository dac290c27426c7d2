"""What it gives to leave the unsure images unanswered: accuracy against coverage, and one threshold's figures.

Source: Geifman and El-Yaniv (2017), "Selective classification for deep neural networks".
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .intervals import Figure, proportion

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
    """What one threshold gives: images of less confidence are answered with "none of these".

    Attributes:
        threshold: the least confidence that is accepted.
        coverage: the share of images that is accepted.
        accuracy: the share of the accepted images that is right. Where none is accepted it counts 0, of 0
            images and without an interval.
    """

    threshold: float
    coverage: Figure
    accuracy: Figure


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


def reject(confidence: npt.NDArray[np.floating], correct: npt.NDArray[np.bool_], threshold: float) -> Rejection:
    """What ``threshold`` gives on images of this confidence, float (N,), and correctness, bool (N,); N ≥ 1."""
    accepted = confidence >= threshold
    count = int(accepted.sum())
    return Rejection(
        threshold=threshold,
        coverage=proportion(count, len(confidence)),
        accuracy=proportion(int(correct[accepted].sum()), count),
    )
