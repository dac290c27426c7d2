"""Calibration of probabilities, and the settings that validation data choose: temperature, thresholds.

A classifier is calibrated if, of the images that it is 80 % sure of, it names 80 % rightly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..conformal import BoolArray
from ..data.dataset import evenly_spaced
from ..errors import DataError, SettingsError
from ..units import interval_text
from .intervals import Figure, Interval, bootstrap_mean, proportion, wilson

KEPT = 0.99
"""The share of validation images that rejection keeps."""

BINS = 15  # as Guo et al. (2017) and most papers since
_TEMPERATURES = (0.05, 20.0)
_ROUNDING = 1e-4  # the share by which a threshold is looser than the image that set it
_NEWTON = 60  # steps at most; eight are usual
_STEPS_TO_1 = 20  # temperatures that are tried between the best one and 1

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReliabilityBin:
    """The ``count`` images whose confidence lies in (low, high]."""

    low: float
    high: float
    count: int
    confidence: float  # mean
    accuracy: float  # share of them that is right
    interval: Interval  # Wilson's, of that share


def reliability(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """The reliability diagram of confidences float (N,) and right answers bool (N,).

    ``bins`` bins of equal width over [0, 1]; empty ones are left out.
    """
    confidence = np.asarray(confidence, dtype=np.float64)
    correct = np.asarray(correct, dtype=bool)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    found = []
    for index in np.unique(place):
        inside = place == index
        count, right = int(inside.sum()), int(correct[inside].sum())
        low, high = edges[index : index + 2].tolist()
        mean = float(confidence[inside].mean())
        found.append(ReliabilityBin(low, high, count, mean, right / count, wilson(right, count)))
    return tuple(found)


def expected_calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """The mean distance between confidence and accuracy over the bins, weighted by their images.

    Source: Guo et al. (2017), "On calibration of modern neural networks", equation 3.
    """
    total = sum(each.count for each in bins)
    return sum(each.count * abs(each.accuracy - each.confidence) for each in bins) / total


def softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Probabilities of logits (N, K), of the same shape and dtype. SciPy's takes 0.2 s to import."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def log_softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The logarithm of `softmax`, precise for tiny probabilities too."""
    less = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(less - np.log(np.exp(less).sum(axis=1, keepdims=True)))


def fit_temperature(logits: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """The temperature T for which softmax(logits / T) has the least log loss on held-out images.

    T > 1 makes the classifier less sure, T < 1 surer; which class comes first never changes. Fit it on validation data:
    on training data it would learn to be too sure. Source: Guo et al. (2017), section 4.2. Without any mistake the
    log loss alone would ask for a temperature of 0. One mistake is then assumed to be still to come in n + 2 images
    (Laplace's rule; Platt 1999 smooths his targets in the same way).

    Args:
        logits: finite float (N, K); log-probabilities do as well, for softmax takes no notice of a constant.
        labels: int (N,), each in [0, K).

    Returns:
        The temperature, between 0.05 and 20. Neither the log loss nor the expected calibration error of these images is
        greater with it than without: where the best temperature would raise the error, one nearer to 1 is taken. It is
        1.0, "leave it as it is", where the images cannot decide.

    Raises:
        DataError: a logit is NaN or infinite, or the shapes do not fit.
    """
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
    return _no_worse(margins, logits.argmax(axis=1) == labels, _least_log_loss(margins))


def _least_log_loss(margins: Float64Array) -> float:
    """The best temperature for logits (N, K) from which that of the true class was subtracted; 1.0 if none is."""
    smoothing = 0.0

    def slope(inverse: float) -> tuple[float, float]:
        """The first two derivatives of the mean log loss by 1/T; the second is positive, for the loss is convex."""
        shares = softmax(margins * inverse)
        mean = (shares * margins).sum(axis=1)
        wanted = smoothing * margins.sum(axis=1) / max(1, margins.shape[1] - 1)
        return float((mean - wanted).mean()), float(((shares * margins**2).sum(axis=1) - mean**2).mean())

    coldest, hottest = 1 / _TEMPERATURES[0], 1 / _TEMPERATURES[1]
    if slope(coldest)[0] <= 0:
        smoothing = 1 / (len(margins) + 2)
    if slope(hottest)[0] >= 0:
        return 1.0
    if slope(coldest)[0] <= 0:
        return 1 / coldest
    inverse = 1.0
    for _ in range(_NEWTON):  # Newton's steps, and halvings where one would leave the interval
        first, second = slope(inverse)
        hottest, coldest = (inverse, coldest) if first < 0 else (hottest, inverse)
        before, inverse = inverse, inverse - first / second if second > 0 else hottest
        if not hottest < inverse < coldest:
            inverse = (hottest + coldest) / 2
        if abs(inverse - before) <= 1e-12 * before:
            break
    return 1 / inverse


def _no_worse(margins: Float64Array, right: npt.NDArray[np.bool_], best: float) -> float:
    """The temperature between 1 and the best one, nearest to that, which raises neither log loss nor error."""

    def judged(temperature: float) -> tuple[float, float]:
        logs = log_softmax(margins / temperature)
        # The true class has the margin 0, so its log-probability is minus the log of the sum of all powers.
        loss = float(np.logaddexp.reduce(margins / temperature, axis=1).mean())
        return loss, expected_calibration_error(reliability(np.exp(logs.max(axis=1)), right))

    loss_before, error_before = judged(1.0)
    for step in range(_STEPS_TO_1, 0, -1):
        temperature = best ** (step / _STEPS_TO_1)
        loss, error = judged(temperature)
        if loss <= loss_before + 1e-12 and error <= error_before + 1e-12:
            return float(temperature)
    return 1.0


def undo_temperature(probabilities: npt.NDArray[np.floating], temperature: float) -> npt.NDArray[np.floating]:
    """The probabilities before temperature scaling: softmax(z) out of softmax(z / T), which is p**T over its sum.

    Float (N, K), rows sum to one, before and after. A probability too small for its dtype, 0, stays 0.
    """
    if temperature == 1:
        return probabilities
    with np.errstate(divide="ignore"):  # log 0 is -inf, and softmax makes 0 of it
        logits = temperature * np.log(probabilities.astype(np.float64))
    return np.asarray(softmax(logits).astype(probabilities.dtype))


@dataclass(frozen=True)
class Thresholds:
    """When an answer is rejected; None where that cannot be chosen."""

    foreign: float | None  # the largest score of an image that counts as like the training images
    confidence: float | None  # the least that is accepted
    note: str = ""  # on a requested precision, for the user


def choose_thresholds(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, foreign: npt.ArrayLike | None, precision: float | None = None
) -> Thresholds:
    """The thresholds that keep 99 % of validation images: they are what "good" means here, right or wrong.

    Half of the rest may go because they are unlike the training images, the other half, and what the first rule left
    over, because the classifier is least sure of them. So both rules always have a threshold that some image of another
    kind can fail, however good the classifier is. With less than 100 images none of them is rejected.

    Args:
        probabilities: float (N, K) of validation images, after temperature scaling.
        labels: int (N,).
        foreign: float (N,), how unlike the training images each is; None without such a score.
        precision: the share of accepted images that shall be right, in (0, 1]; None asks for none. A higher threshold
            on the confidence is chosen where it takes one.

    Raises:
        SettingsError: the precision is not in (0, 1].
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    count = len(probabilities)
    if not count:
        return Thresholds(None, None)
    allowed = int((1 - KEPT) * count + 1e-9)
    limit, like = None, np.ones(count, dtype=bool)
    if foreign is not None:
        scores = np.asarray(foreign, dtype=np.float64)
        # A little more than the score itself: another runtime's rounding must not reject the image that set it.
        limit = float(np.sort(scores)[count - 1 - allowed // 2]) * (1 + _ROUNDING) + _ROUNDING**2
        like = scores <= limit
    confidence = probabilities.max(axis=1).astype(np.float64)
    left = allowed - int((~like).sum())
    least = float(np.sort(confidence[like])[left]) * (1 - _ROUNDING)
    if precision is None:
        return Thresholds(limit, least)
    wanted = choose_threshold(probabilities[like], labels[like], precision)
    note = _precision_note(probabilities[like], labels[like], precision, max(least, wanted or 0.0), wanted is not None)
    return Thresholds(limit, max(least, wanted or 0.0), note)


def _precision_note(
    probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], precision: float, least: float, found: bool
) -> str:
    """Whether the validation images show the precision that was asked for."""
    accepted = probabilities.max(axis=1) >= least
    count = int(accepted.sum())
    right = int((probabilities.argmax(axis=1) == labels)[accepted].sum())
    interval = wilson(right, count) if count else None
    facts = f"{right:,} of the {count:,} validation images that are answered are right"
    if interval is not None:
        facts += f" ({interval_text(interval)})"
    asked = f"answer_precision {precision:g}"
    if not found:
        return f"{asked}: no threshold reaches it on the validation images; {facts}. The threshold keeps 99 % of them."
    if count * (1 - precision) < 1 and interval is not None and interval.low < precision:
        return f"{asked}: {facts}, which are too few to show it. Train with a larger validation part for that."
    return f"{asked}: {facts}."


def choose_threshold(probabilities: npt.ArrayLike, labels: npt.ArrayLike, precision: float = 0.99) -> float | None:
    """The lowest confidence that gives the wanted precision: below it the answer is "none of these".

    An image is accepted if the probability of its predicted class is at least the threshold. The choice is made on
    the images given, so expect a little less on others.

    Args:
        probabilities: float (N, K) of validation images, after temperature scaling.
        labels: int (N,).
        precision: the share of accepted images that shall be right, in (0, 1], else SettingsError.

    Returns:
        The threshold; 0.0 if all can be accepted; None if no threshold reaches the precision, or without images.
    """
    if not 0 < precision <= 1:
        raise SettingsError(f"precision (={precision}) must lie above 0 and at most at 1.")
    probabilities = np.asarray(probabilities)
    if not len(probabilities):
        return None
    confidence, right, ends = _by_confidence(
        probabilities.max(axis=1), probabilities.argmax(axis=1) == np.asarray(labels)
    )
    # right / accepted ≥ precision, with room for the rounding of their product.
    enough = ends[right[ends] >= precision * (ends + 1) - 1e-9]
    if not len(enough):
        return None
    return 0.0 if enough[-1] == len(confidence) - 1 else float(confidence[enough[-1]])


def _by_confidence(
    confidence: npt.NDArray[np.floating], correct: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The confidences, falling; how many are right so far; and the last image of each confidence.

    Images of equal confidence are accepted or rejected together: only the last of them is a place to cut.
    """
    order = np.argsort(-confidence, kind="stable")
    confidence = confidence[order]
    ends = np.append(np.flatnonzero(np.diff(confidence)), len(confidence) - 1)
    return confidence, np.cumsum(correct[order]), ends


# Rejection and sets of classes: coverage, accuracy, sizes

POINTS = 400  # of a curve, at most: more than a screen can tell apart


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """The accuracy of what is accepted, for thresholds on the confidence from the highest to the lowest.

    At ``thresholds[i]`` an image is accepted if its confidence is at least that. The first point is that of the
    surest images, the last one of all images: coverage 1, the accuracy of the whole.
    """

    thresholds: Float64Array = field(repr=False)  # float64 (M,), falling; each is the confidence of some image
    coverage: Float64Array = field(repr=False)  # float64 (M,), rising: the share of images that is accepted
    accuracy: Float64Array = field(repr=False)  # float64 (M,): the share of the accepted images that is right

    def __len__(self) -> int:
        return len(self.thresholds)


@dataclass(frozen=True)
class Rejection:
    """The figures of the model's rules: images that they reject are answered with "none of these"."""

    coverage: Figure  # share of images that is accepted
    accuracy: Figure  # share of these that is right; 0 of 0 images, without an interval, where none is accepted
    reasons: dict[str, int]  # images rejected for each


@dataclass(frozen=True)
class Sets:
    """What sets of classes at one level give."""

    level: float  # share of sets that shall contain the true class
    coverage: Figure  # share of sets that do
    size: Figure  # classes in a set, on average
    single: Figure  # share of sets of one class


def coverage_curve(confidence: npt.ArrayLike, correct: npt.ArrayLike, most: int = POINTS) -> CoverageCurve:
    """Accuracy against coverage over all thresholds, for confidences float (N,), N ≥ 1, and right answers bool (N,).

    Of more than ``most`` points it keeps evenly spaced ones, the first and the last among them; each is exact.
    """
    confidence, right, ends = _by_confidence(np.asarray(confidence), np.asarray(correct, dtype=bool))
    if len(ends) > most:
        ends = ends[evenly_spaced(len(ends), most)]
    accepted = ends + 1
    return CoverageCurve(
        thresholds=confidence[ends].astype(np.float64),
        coverage=accepted / len(confidence),
        accuracy=right[ends] / accepted,
    )


def reject(correct: npt.NDArray[np.bool_], reasons: Sequence[str | None]) -> Rejection:
    """The figures of rejecting the images that have a reason; ``correct`` bool (N,), N ≥ 1."""
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
