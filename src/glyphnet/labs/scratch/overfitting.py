# ruff: noqa: N803, N806  # X: the name of the formulas
"""Over-fitting: the same network on fewer and fewer images, and with more and more penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data import ImageDataset, Splits
from ...evaluation.intervals import Repeats
from ...scratch import NeuralNetMLP
from ...scratch.network import Array, cross_entropy, forward
from ..lab import Progress
from ..training import fewer

SIZES = (250, 500, 1000, 2000, 5000)
QUICK_SIZES = (50, 100, 200, 400, 800)
STRENGTHS = (0.0, 0.1, 1.0, 3.0, 10.0)
NEARLY_ZERO = 0.01
"""Below this a weight counts as gone."""

_HIDDEN = 50


@dataclass(frozen=True)
class Fitted:
    """What one setting came to, over several draws of images and weights.

    Attributes:
        images: it was trained on.
        l2, l1: the penalties.
        train_loss, test_loss: cross-entropy an image, without the penalty.
        test_accuracy: of the test images.
        gone: share of the weights W1 and W2 that are `NEARLY_ZERO`.
    """

    images: int
    l2: float
    l1: float
    train_loss: Repeats
    test_loss: Repeats
    test_accuracy: Repeats
    gone: Repeats

    def to_dict(self) -> dict[str, Any]:
        """As numbers.json holds it."""
        measured = {name: getattr(self, name).to_dict() for name in _MEASURED}
        return {"images": self.images, "l2": self.l2, "l1": self.l1, **measured}


_MEASURED = ("train_loss", "test_loss", "test_accuracy", "gone")


def overfit(splits: Splits, *, quick: bool, seeds: int, progress: Progress) -> list[Fitted]:
    """Without a penalty, on fewer and fewer images."""
    sizes = [size for size in (QUICK_SIZES if quick else SIZES) if size <= len(splits.train)]
    fitted = []
    for place, size in enumerate(sizes):
        progress(place, len(sizes), f"over-fitting: {size:,} images")
        fitted.append(_fit(splits, size, seeds, quick=quick))
    return fitted


def regularise(splits: Splits, *, quick: bool, seeds: int, progress: Progress) -> dict[str, list[Fitted]]:
    """On few images, with more and more of each penalty."""
    size = min(200 if quick else 1000, len(splits.train))
    made: dict[str, list[Fitted]] = {}
    for name in ("l2", "l1"):
        made[name] = []
        for place, strength in enumerate(STRENGTHS):
            progress(place, len(STRENGTHS), f"{name} {strength:g}")
            made[name].append(_fit(splits, size, seeds, quick=quick, **{name: strength}))
    return made


def _fit(splits: Splits, size: int, seeds: int, *, quick: bool, l2: float = 0.0, l1: float = 0.0) -> Fitted:
    test = _scaled(splits.test)
    measured: dict[str, list[float]] = {name: [] for name in _MEASURED}
    for seed in range(seeds):
        train = fewer(splits, size, seed).train
        X = _scaled(train)
        net = NeuralNetMLP(_HIDDEN, l1=l1, l2=l2, solver="lbfgs", epochs=60 if quick else 100, random_state=seed)
        net.fit(X, train.labels)
        weights = np.concatenate([net.weights_.W1.ravel(), net.weights_.W2.ravel()])
        measured["train_loss"].append(_loss(net, X, train.labels))
        measured["test_loss"].append(_loss(net, test, splits.test.labels))
        measured["test_accuracy"].append(float(net.score(test, splits.test.labels)))
        measured["gone"].append(float(np.mean(np.abs(weights) < NEARLY_ZERO)))
    return Fitted(size, l2, l1, **{name: Repeats.of(values) for name, values in measured.items()})


def _loss(net: NeuralNetMLP, X: Array, labels: Array) -> float:
    logits = forward(net.weights_, X)[1]
    return float(cross_entropy(logits, np.eye(logits.shape[1])[labels]).sum()) / len(X)


def _scaled(part: ImageDataset) -> Array:
    """Pixels from 0 to 1: so few hidden units begin saturated that the first layer can learn."""
    return np.asarray(part.images).reshape(len(part), -1) / 255
