"""Whether the probabilities mean what they say, and the two settings that validation data choose for that.

A classifier is calibrated if, of the images that it is 80 % sure of, it names 80 % rightly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import DataError, SettingsError
from .intervals import Interval, wilson

BINS = 15  # as Guo et al. (2017) and most papers since
_TEMPERATURES = (0.05, 20.0)

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReliabilityBin:
    """The images whose confidence lies in (low, high].

    Attributes:
        low: where the bin starts.
        high: where it ends.
        count: images in it.
        confidence: their mean confidence.
        accuracy: the share of them that is right.
        interval: Wilson's interval of that share.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float
    interval: Interval


def reliability(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """The reliability diagram: ``bins`` bins of equal width over the confidence; empty ones are left out.

    Args:
        confidence: float (N,), the probability of the predicted class.
        correct: bool (N,).
        bins: how many, over [0, 1].
    """
    confidence = np.asarray(confidence, dtype=np.float64)
    correct = np.asarray(correct, dtype=bool)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    found = []
    for index in np.unique(place):
        inside = place == index
        count, right = int(inside.sum()), int(correct[inside].sum())
        found.append(
            ReliabilityBin(
                low=float(edges[index]),
                high=float(edges[index + 1]),
                count=count,
                confidence=float(confidence[inside].mean()),
                accuracy=right / count,
                interval=wilson(right, count),
            )
        )
    return tuple(found)


def expected_calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """The mean distance between confidence and accuracy over the bins, weighted by their images.

    Source: Guo et al. (2017), "On calibration of modern neural networks", equation 3.
    """
    total = sum(each.count for each in bins)
    return sum(each.count * abs(each.accuracy - each.confidence) for each in bins) / total


def fit_temperature(logits: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """The temperature T for which softmax(logits / T) has the least log loss on held-out images.

    T > 1 makes the classifier less sure, T < 1 surer; which class comes first never changes. Fit it on
    validation
    data: on training data it would learn to be too sure. Source: Guo et al. (2017), section 4.2.

    Args:
        logits: finite float (N, K); log-probabilities do as well, for softmax takes no notice of a constant.
        labels: int (N,), each in [0, K).

    Returns:
        The temperature, between 0.05 and 20. It is 1.0, "leave it as it is", where the images cannot tell:
        there are none, or none is wrong and any temperature would do better by being lower, or the
        classifier is so wrong that the flattest answer would be the best.

    Raises:
        DataError: a logit is NaN or infinite, or the shapes do not fit.
    """
    from scipy.optimize import brentq
    from scipy.special import softmax

    logits = np.asarray(logits, dtype=np.float64)
    labels = np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise DataError(
            f"logits (N, K) and labels (N,) do not fit: their shapes are {logits.shape} and {labels.shape}."
        )
    if not np.isfinite(logits).all():
        raise DataError("A temperature cannot be fitted to logits that are NaN or infinite: the training went wrong.")
    if not len(logits):
        return 1.0
    margins = logits - logits[np.arange(len(labels)), labels][:, None]

    def slope(inverse: float) -> float:
        """The derivative of the mean log loss by 1/T: it only ever rises, for the loss is convex in 1/T."""
        return float((softmax(margins * inverse, axis=1) * margins).sum(axis=1).mean())

    coldest, hottest = 1 / _TEMPERATURES[0], 1 / _TEMPERATURES[1]
    if not slope(hottest) < 0 < slope(coldest):
        return 1.0
    return 1 / float(brentq(slope, hottest, coldest))


def undo_temperature(probabilities: npt.NDArray[np.floating], temperature: float) -> npt.NDArray[np.floating]:
    """The probabilities before temperature scaling: softmax(z) out of softmax(z / T), which is p**T over its sum.

    Args:
        probabilities: float (N, K), after scaling; rows sum to one.
        temperature: T, above 0.

    Returns:
        float (N, K) of the same dtype. A probability too small for its dtype, 0, stays 0.
    """
    from scipy.special import softmax

    if temperature == 1:
        return probabilities
    with np.errstate(divide="ignore"):  # log 0 is -inf, and softmax makes 0 of it
        logits = temperature * np.log(probabilities.astype(np.float64))
    before: npt.NDArray[np.floating] = softmax(logits, axis=1).astype(probabilities.dtype)
    return before


def choose_threshold(probabilities: npt.ArrayLike, labels: npt.ArrayLike, precision: float = 0.99) -> float | None:
    """The lowest confidence that gives the wanted precision: below it the answer is "none of these".

    An image is accepted if the probability of its predicted class is at least the threshold. Of all
    thresholds that reach the precision on these images the lowest is taken, for it accepts the most. What
    it gives on others is for the test data to say: the choice is made on the images given, so expect a
    little less than was wanted.

    Args:
        probabilities: float (N, K) of validation images, after temperature scaling.
        labels: int (N,).
        precision: the share of accepted images that shall be right, in (0, 1].

    Returns:
        The threshold; 0.0 if all can be accepted; None if no threshold reaches the precision, or without
        images.

    Raises:
        SettingsError: the precision is not in (0, 1].
    """
    if not 0 < precision <= 1:
        raise SettingsError(f"precision (={precision}) must lie above 0 and at most at 1.")
    probabilities = np.asarray(probabilities)
    if not len(probabilities):
        return None
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    confidence = confidence[order]
    right = np.cumsum((probabilities.argmax(axis=1) == np.asarray(labels))[order])
    # Images of equal confidence are accepted or rejected together: only the last of them is a place to cut.
    ends = np.append(np.flatnonzero(np.diff(confidence)), len(confidence) - 1)
    # right / accepted ≥ precision, with room for the rounding of their product.
    enough = ends[right[ends] >= precision * (ends + 1) - 1e-9]
    if not len(enough):
        return None
    return 0.0 if enough[-1] == len(confidence) - 1 else float(confidence[enough[-1]])
