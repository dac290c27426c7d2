"""The same splits for several methods: how much of a difference is the method, how much the split."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from ...data.dataset import ImageDataset, Int64Array, Splits
from ...evaluation.intervals import bootstrap_mean
from .settings import ENOUGH, KNOWN, Digits
from .stopping import fitted

_Method = Callable[[Digits, Int64Array, Int64Array, int, bool], float]


def _mlp(digits: Digits, train: Int64Array, test: Int64Array, seed: int, quick: bool) -> float:
    network = fitted(digits.pixels[train], digits.labels[train], ENOUGH)
    return float(network.score(digits.pixels[test], digits.labels[test]))


def _scaled_mlp(digits: Digits, train: Int64Array, test: Int64Array, seed: int, quick: bool) -> float:
    from sklearn.neural_network import MLPClassifier

    network = make_pipeline(StandardScaler(), MLPClassifier(**KNOWN, max_iter=ENOUGH))
    return float(
        network.fit(digits.pixels[train], digits.labels[train]).score(digits.pixels[test], digits.labels[test])
    )


def _ours(digits: Digits, train: Int64Array, test: Int64Array, seed: int, quick: bool) -> float:
    from ...sklearn import GlyphClassifier

    network = GlyphClassifier((16,), solver="lbfgs", max_iter=ENOUGH, random_state=1)
    return float(
        network.fit(digits.pixels[train], digits.labels[train]).score(digits.pixels[test], digits.labels[test])
    )


def _svm(digits: Digits, train: Int64Array, test: Int64Array, seed: int, quick: bool) -> float:
    machine = SVC().fit(digits.pixels[train], digits.labels[train])
    return float(machine.score(digits.pixels[test], digits.labels[test]))


def _cnn(digits: Digits, train: Int64Array, test: Int64Array, seed: int, quick: bool) -> float:
    from ...runs import train as train_network

    names = tuple(str(digit) for digit in range(10))
    learnt, none, held = (
        ImageDataset(digits.images[part], digits.labels[part], names, [f"{number:04}" for number in part])
        for part in (train, np.empty(0, np.int64), test)
    )
    splits = Splits("digits", learnt, none, held)
    # The fast preset moves whole batches by a pixel; the balanced one is told to move images, and nothing else.
    changes: dict[str, Any] = {"seed": seed} if quick else {"seed": seed, "augment": {"shift": 1}}
    run = train_network(splits, preset="fast" if quick else "balanced", changes=changes, device="cpu")
    assert run.classifier is not None
    return float((run.classifier.predict_labels(splits.test.images, as_is=True) == splits.test.labels).mean())


METHODS: dict[str, tuple[str, _Method]] = {
    "mlp": ("MLP, 16 units, L-BFGS", _mlp),
    "scaled": ("the same, standardised", _scaled_mlp),
    "ours": ("ours, 16 units, L-BFGS", _ours),
    "svm": ("SVM", _svm),
    "cnn": ("small CNN, 1-pixel shifts", _cnn),
}
"""Key → (name, function to the test accuracy on a split)."""


def compare(digits: Digits, splits: int, quick: bool, progress: Callable[[int, str], None]) -> list[dict[str, Any]]:
    """Every method on every split: a row a method.

    Args:
        splits: the seeds 0, 1, … of the splits.
        quick: a smaller CNN.
        progress: called with the number of fits done.
    """
    rows = []
    for place, (key, (name, method)) in enumerate(METHODS.items()):
        scores = []
        for seed in range(splits):
            progress(place * splits + seed, name)
            with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # ours: not converged, where the loss still gained
                scores.append(method(digits, *digits.divide(seed), seed, quick))
        interval = bootstrap_mean(scores)
        rows.append(
            {
                "method": key,
                "name": name,
                "accuracies": scores,
                "mean": float(np.mean(scores)),
                "spread": float(np.std(scores, ddof=1)) if splits > 1 else 0.0,
                "lowest": min(scores),
                "highest": max(scores),
                "low": interval.low if interval else None,
                "high": interval.high if interval else None,
            }
        )
    return rows
