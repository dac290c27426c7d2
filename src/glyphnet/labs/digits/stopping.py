"""Stopping L-BFGS earlier or later: the known three points, the course between them, what a stop is worth."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from ...data.dataset import Int64Array
from ..wording import percent
from .settings import ENOUGH, KNOWN, Digits, Float64Array

STOPS = (300, 500, 1000)
"""The known system's three stopping points."""

_SPLIT = 0  # of the known figure
_HELD_OUT = 0.2  # of the training images, as validation


def fitted(pixels: Float64Array, labels: Int64Array, iterations: int, **other: Any) -> MLPClassifier:
    """The known network after so many iterations of L-BFGS, or fewer if it converges before.

    L-BFGS has nothing random in it, so to stop after k iterations is to run it with ``max_iter=k``.
    """
    # Its matrices are so small that a second thread only waits, and long where other programs run.
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # to be stopped early is the point
        return MLPClassifier(**{**KNOWN, **other}, max_iter=iterations).fit(pixels, labels)


def three_stops(digits: Digits) -> list[dict[str, Any]]:
    """The known experiment: three stopping points, with the learning rate that it set."""
    train, test = digits.divide(_SPLIT)
    rows = []
    for stop in STOPS:
        network = fitted(digits.pixels[train], digits.labels[train], stop, learning_rate_init=0.1)
        right = int((network.predict(digits.pixels[test]) == digits.labels[test]).sum())
        rows.append(
            {
                "max_iter": stop,
                "iterations": int(network.n_iter_),
                "right": right,
                "images": len(test),
                "accuracy": right / len(test),
            }
        )
    return rows


def ignored(digits: Digits, iterations: int) -> dict[str, Any]:
    """Whether ``learning_rate_init`` changes any weight under L-BFGS, and what our own classifier says to it."""
    from ...sklearn import GlyphClassifier

    train, _ = digits.divide(_SPLIT)
    values = (0.1, 0.001, 10.0)
    weights = [
        np.concatenate([each.ravel() for each in fitted(
            digits.pixels[train], digits.labels[train], iterations, learning_rate_init=value
        ).coefs_])
        for value in values
    ]  # fmt: skip
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        GlyphClassifier((16,), solver="lbfgs", learning_rate_init=0.1, max_iter=1, random_state=1).fit(
            digits.pixels[train], digits.labels[train]
        )
    told = [str(each.message) for each in said if "without effect" in str(each.message)]
    return {
        "setting": "learning_rate_init",
        "values": list(values),
        "largest_difference": float(max(np.abs(weights[0] - other).max() for other in weights[1:])),
        "ours_says": told[0] if told else "",
    }


@dataclass(frozen=True, eq=False)
class StoppingCourse:
    """What stopping after each of some numbers of iterations gives, on one split.

    Attributes:
        iterations: int64 (M,), rising; the last is where it converged.
        loss: float64 (M,), training loss.
        train, validation: float64 (M,), accuracies.
    """

    iterations: Int64Array
    loss: Float64Array
    train: Float64Array
    validation: Float64Array

    @property
    def best(self) -> int:
        """The place of the best validation accuracy, the earliest of equals."""
        return int(self.validation.argmax())


def course(
    digits: Digits, seed: int, iterations: Sequence[int], progress: Callable[[int], None] | None = None
) -> StoppingCourse:
    """Train up to each of these iterations, and to the end, on four fifths of the training images of a split."""
    learnt, held = _with_validation(digits, seed)
    rows: list[tuple[int, float, float, float]] = []
    for done, stop in enumerate([*iterations, ENOUGH]):
        network = fitted(digits.pixels[learnt], digits.labels[learnt], stop)
        if rows and network.n_iter_ == rows[-1][0]:
            break  # converged: it is the same network again
        scores = [network.score(digits.pixels[part], digits.labels[part]) for part in (learnt, held)]
        rows.append((network.n_iter_, network.loss_, scores[0], scores[1]))
        if network.n_iter_ < stop:
            break
        if progress:
            progress(done + 1)
    columns = np.array(rows).T
    return StoppingCourse(columns[0].astype(np.int64), columns[1], columns[2], columns[3])


def stop_on_split(digits: Digits, seed: int, iterations: Sequence[int]) -> dict[str, Any]:
    """Choose the stop by validation, train on all training images for so long, and test; beside no stop at all."""
    seen = course(digits, seed, iterations)
    train, test = digits.divide(seed)
    chosen = int(seen.iterations[seen.best])
    accuracy = {
        name: float(fitted(digits.pixels[train], digits.labels[train], stop).score(
            digits.pixels[test], digits.labels[test]
        ))
        for name, stop in (("stopped", chosen), ("converged", ENOUGH))
    }  # fmt: skip
    return {"split": seed, "stop": chosen, **accuracy}


def _with_validation(digits: Digits, seed: int) -> tuple[Int64Array, Int64Array]:
    """The training images of a split, in two: to learn from, and for validation."""
    from sklearn.model_selection import train_test_split

    train, _ = digits.divide(seed)
    learnt, held = train_test_split(train, test_size=_HELD_OUT, random_state=seed, stratify=digits.labels[train])
    return learnt, held


def stop_row(row: dict[str, Any]) -> tuple[str, ...]:
    """A stopping point as cells of a table."""
    return (
        f"{row['max_iter']:,}",
        f"{row['iterations']}",
        f"{row['right']} of {row['images']}",
        percent(row["accuracy"], 2),
    )
