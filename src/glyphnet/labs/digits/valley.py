"""One valley, four ways down: logistic regression on two features of two digits, by our own optimizers.

Two weights make a loss that can be drawn: a valley, long and narrow because the two features go together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ...training.optimizers import LBFGS, SGD, Adam, Optimizer
from .settings import Digits, Float64Array

PAIR = (2, 7)
START = (3.0, 1.0)
STEPS = 100
NEAR = 0.001
"""Arrived: all but this share of the way down from the start to the lowest loss is done."""


@dataclass(frozen=True)
class Way:
    """A way down.

    Attributes:
        name: for the page.
        optimizer: its settings.
        batch: images a step; None is all.
    """

    name: str
    optimizer: Optimizer
    batch: int | None = None


WAYS = (
    Way("gradient descent", SGD(lr=10.0, momentum=0.0)),
    Way("SGD, 16 images a step", SGD(lr=3.0, momentum=0.0), batch=16),
    Way("Adam", Adam(lr=0.5)),
    Way("L-BFGS", LBFGS(tolerance=1e-7)),
)


@dataclass(frozen=True, eq=False)
class Valley:
    """The loss over two weights.

    Attributes:
        features: float64 (N, 2), standardised: ink of the whole image, ink of its upper half.
        labels: float64 (N,): 1 for the second digit of ``PAIR``.
        lowest: float64 (2,): where the loss is lowest.
    """

    features: Float64Array
    labels: Float64Array
    lowest: Float64Array

    def loss(self, weights: Float64Array) -> Float64Array:
        """Mean cross-entropy at weights (..., 2)."""
        logits = weights @ self.features.T
        mean: Float64Array = (np.logaddexp(0, logits) - self.labels * logits).mean(axis=-1)
        return mean

    @property
    def steepness(self) -> tuple[float, float]:
        """The curvature at the lowest place, along the valley and across it."""
        chance = 1 / (1 + np.exp(-self.features @ self.lowest))
        hessian = (self.features.T * (chance * (1 - chance))) @ self.features / len(self.features)
        along, across = np.linalg.eigvalsh(hessian)
        return float(along), float(across)


def make_valley(digits: Digits) -> Valley:
    """The two digits of ``PAIR``, by two features of each image."""
    from sklearn.linear_model import LogisticRegression

    own = np.isin(digits.labels, PAIR)
    images = digits.pixels[own].reshape(-1, 8, 8)
    features = np.stack([images.mean(axis=(1, 2)), images[:, :4].mean(axis=(1, 2))], axis=1)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    labels = (digits.labels[own] == PAIR[1]).astype(np.float64)
    # Solved exactly by another hand: the mark against which the four ways are measured.
    model = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=1000).fit(features, labels)
    return Valley(features, labels, model.coef_[0])


def walk(valley: Valley, way: Way, *, steps: int = STEPS, seed: int = 0) -> tuple[Float64Array, int]:
    """The weights after each step, float64 (steps + 1, 2), from ``START``, and the images looked at in all."""
    features, labels = torch.from_numpy(valley.features), torch.from_numpy(valley.labels)
    line = nn.Linear(2, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        line.weight.copy_(torch.tensor([START]))
    optimizer = way.optimizer.build(line)
    rng = np.random.default_rng(seed)
    path, looked = [np.array(START)], 0
    for _ in range(steps):
        batch = np.arange(len(labels)) if way.batch is None else rng.choice(len(labels), way.batch, replace=False)
        inputs, targets = features[batch], labels[batch]

        def closure(inputs: torch.Tensor = inputs, targets: torch.Tensor = targets) -> torch.Tensor:
            nonlocal looked
            looked += len(targets)
            optimizer.zero_grad()
            loss = F.binary_cross_entropy_with_logits(line(inputs)[:, 0], targets)
            loss.backward()
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]
        path.append(line.weight.detach().numpy()[0].copy())
    return np.array(path), looked


def walk_all(digits: Digits) -> tuple[Valley, list[Float64Array], dict[str, Any]]:
    """The valley, the four paths, and the numbers: how many steps and images each needs to arrive."""
    valley = make_valley(digits)
    lowest, highest = float(valley.loss(valley.lowest)), float(valley.loss(np.array(START)))
    paths, rows = [], []
    for way in WAYS:
        path, looked = walk(valley, way)
        left = (valley.loss(path) - lowest) / (highest - lowest)
        there = np.flatnonzero(left <= NEAR)
        arrived = int(there[0]) if len(there) else None
        needed = None if arrived is None else walk(valley, way, steps=arrived)[1]
        rows.append(
            {
                "name": way.name,
                "arrived": arrived,
                "images": needed,
                "left_at_the_end": float(left[-1]),
                "looked": looked,
            }
        )
        paths.append(path)
    along, across = valley.steepness
    numbers = {
        "loss_at_start": highest,
        "lowest_loss": lowest,
        "along": along,
        "across": across,
        "steps": STEPS,
        "ways": rows,
    }
    return valley, paths, numbers
