"""What a classifier's answers themselves say of its figures: unequal classes, and answers no better than guesses."""

from __future__ import annotations

import numpy as np

from ..data import Finding
from ..data.inspect import IMBALANCE
from .evaluation import Evaluation

_LITTLE = 0.15  # of the way from guessing to no mistake


def findings_of(evaluation: Evaluation) -> tuple[Finding, ...]:
    """What a reader of the accuracy must know: see `_unequal_classes` and `_no_better_than_guessing`."""
    found = (_no_better_than_guessing(evaluation), _unequal_classes(evaluation))
    return tuple(each for each in found if each is not None)


def near_chance(evaluation: Evaluation) -> bool:
    """Whether the answers are guesses, or little better.

    Either the 95 % interval of the balanced accuracy reaches down to that of a guess, one over the classes judged; or
    the balanced accuracy is below three times that, and has come less than `_LITTLE` of the way from there to 100 %.
    """
    occurring = len(np.unique(evaluation.labels))
    if occurring < 2:
        return False
    figure, chance = evaluation.figures["balanced_accuracy"], 1 / occurring
    low = figure.value if figure.interval is None else figure.interval.low
    return low <= chance or figure.value < min(3 * chance, chance + _LITTLE * (1 - chance))


def _no_better_than_guessing(evaluation: Evaluation) -> Finding | None:
    if not near_chance(evaluation):
        return None
    figure, occurring = evaluation.figures["balanced_accuracy"], len(np.unique(evaluation.labels))
    interval, chance = figure.interval, 1 / occurring
    spread = "" if interval is None else f" (95 % interval {_range(interval.low, interval.high)} %)"
    better = "Little" if interval is not None and interval.low > chance else "No"
    return Finding(
        "near_chance",
        f"{better} better than guessing: balanced accuracy {100 * figure.value:.1f} %{spread} on "
        f"{evaluation.data or 'these images'}, where guessing one of {occurring:,} classes gives {100 * chance:.1f} %.",
        {
            "balanced_accuracy": figure.value,
            "low": None if interval is None else interval.low,
            "high": None if interval is None else interval.high,
            "chance": chance,
            "n": len(evaluation),
        },
    )


def _unequal_classes(evaluation: Evaluation) -> Finding | None:
    """Accuracy beside that of always answering the largest class, where one class has many times another's images."""
    counts = np.bincount(evaluation.labels, minlength=len(evaluation.classes))
    there = counts[counts > 0]
    if len(there) < 2 or there.max() < IMBALANCE * there.min():
        return None
    largest, share = evaluation.classes[int(counts.argmax())], evaluation.majority_share
    interval = evaluation.accuracy_interval
    verdict = "" if interval.low > share else " It is not surely better than that."
    return Finding(
        "imbalance_judged",
        f"The judged classes are unbalanced: the model's accuracy is {100 * evaluation.accuracy:.2f} % "
        f"({_range(interval.low, interval.high, 2)} %), always answering {largest!r} gives {100 * share:.2f} %."
        f"{verdict} Its balanced accuracy, the mean over the classes, is {100 * evaluation.balanced_accuracy:.2f} %.",
        {
            "accuracy": evaluation.accuracy,
            "majority_share": share,
            "balanced_accuracy": evaluation.balanced_accuracy,
            "largest": int(there.max()),
            "smallest": int(there.min()),
        },
    )


def _range(low: float, high: float, digits: int = 1) -> str:
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f}"
