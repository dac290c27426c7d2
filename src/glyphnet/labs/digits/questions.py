"""The questions at the end, and their answers out of the numbers."""

from __future__ import annotations

from typing import Any

from ..lab import Numbers, Question
from ..wording import percent


def method(numbers: Numbers, key: str) -> dict[str, Any]:
    """The row of a method."""
    row: dict[str, Any] = next(row for row in numbers["methods"] if row["method"] == key)
    return row


def _why_same(numbers: Numbers) -> str:
    told = "; ".join(
        f"max_iter {row['max_iter']:,}: {row['iterations']} iterations, {row['right']} of {row['images']} right"
        for row in numbers["known"]
    )
    return (
        f"{told}. L-BFGS ended when it had converged. A limit above that number changes nothing; it must be below to "
        "stop anything."
    )


def _when(numbers: Numbers) -> str:
    found, gain = numbers["course"], numbers["stopping"]
    return (
        f"By validation at iteration {found['best_at']} of {found['converged_at']}: "
        f"{percent(found['best_validation'], 1)} there, {percent(found['last_validation'], 1)} at the end. But that is "
        f"one split. On {len(gain['splits'])}, chosen so, stopping changed the test accuracy by "
        f"{100 * gain['gain']:+.1f} points in the mean: better on {gain['better']}, worse on {gain['worse']}."
    )


def _one_split(numbers: Numbers) -> str:
    mlp, svm, cnn = (method(numbers, key) for key in ("mlp", "svm", "cnn"))
    wins = sum(b > a for a, b in zip(mlp["accuracies"], svm["accuracies"], strict=True))
    return (
        f"The network's own results go from {percent(mlp['lowest'], 1)} to {percent(mlp['highest'], 1)} with the "
        "split alone: a difference of that size between two methods on one split says nothing. On the same splits "
        f"the SVM ({percent(svm['mean'], 1)} in the mean) was better on {wins} of {len(mlp['accuracies'])}, and the "
        f"CNN has a mean of {percent(cnn['mean'], 1)}."
    )


QUESTIONS = (
    Question("Why do max_iter 300, 500 and 1,000 give the same network?", _why_same),
    Question("When should this network have been stopped, and what would that have been worth?", _when),
    Question("One split, two methods, one point apart: which is better?", _one_split),
)
