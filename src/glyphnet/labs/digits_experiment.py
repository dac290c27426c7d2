"""The experiments on small digits: the known network stopped early, other methods, and four ways down a valley."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits
from torch import nn
from torch.nn import functional as F

from ..data import load
from ..data.dataset import ImageDataset, Int64Array, Splits, UInt8Array
from ..evaluation.intervals import bootstrap_mean
from ..runs.preparation import recipe_of
from ..sklearn import GlyphClassifier
from ..training.optimizers import LBFGS, SGD, Adam, Optimizer
from .training import Trainer

Float64Array = npt.NDArray[np.float64]

KNOWN: dict[str, Any] = {"hidden_layer_sizes": (16,), "solver": "lbfgs", "random_state": 1}
"""The known system's network, as scikit-learn's MLPClassifier takes it."""

ENOUGH = 1000
"""Iterations after which every one of these networks has converged; the largest of the known three."""


@dataclass(frozen=True, eq=False)
class Digits:
    """All 1,797 images."""

    images: UInt8Array  # (N, 8, 8, 1), 0 to 255
    pixels: Float64Array  # (N, 64), 0 to 16, as scikit-learn has them
    labels: Int64Array  # (N,)

    def divide(self, seed: int) -> tuple[Int64Array, Int64Array]:
        """scikit-learn's default split, three quarters and one: the numbers of training and test images."""
        train, test = train_test_split(np.arange(len(self.labels)), random_state=seed)
        return train, test

    def score(self, estimator: Any, train: Int64Array, test: Int64Array) -> float:
        """Test accuracy of a scikit-learn estimator after training."""
        trained = estimator.fit(self.pixels[train], self.labels[train])
        return float(trained.score(self.pixels[test], self.labels[test]))


def read_digits() -> Digits:
    """The images from our data path; scikit-learn's values come back exactly: see `glyphnet.data.named`."""
    splits = load("digits", validation_fraction=0.0, test_fraction=0.0)
    images, labels = splits.train.images, splits.train.labels
    pixels = np.rint(images.reshape(len(images), -1) * (16 / 255))
    return Digits(images, pixels, labels)


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
    train, _ = digits.divide(_SPLIT)
    values = (0.1, 0.001, 10.0)
    networks = [
        fitted(digits.pixels[train], digits.labels[train], iterations, learning_rate_init=value) for value in values
    ]
    weights = [np.concatenate([each.ravel() for each in network.coefs_]) for network in networks]
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        GlyphClassifier((16,), solver="lbfgs", learning_rate_init=0.1, max_iter=1, random_state=1).fit(
            digits.pixels[train], digits.labels[train]
        )
    warned = [str(each.message) for each in raised if "without effect" in str(each.message)]
    return {
        "setting": "learning_rate_init",
        "values": list(values),
        "largest_difference": float(max(np.abs(weights[0] - other).max() for other in weights[1:])),
        "ours_says": warned[0] if warned else "",
    }


@dataclass(frozen=True, eq=False)
class StoppingCurve:
    """What stopping after each of some numbers of iterations gives, on one split: arrays (M,)."""

    iterations: Int64Array  # rising; the last is where it converged
    loss: Float64Array  # of training
    train: Float64Array  # accuracy
    validation: Float64Array  # accuracy

    @property
    def best(self) -> int:
        """The place of the best validation accuracy, the earliest of equals."""
        return int(self.validation.argmax())


def stopping_curve(
    digits: Digits, seed: int, iterations: Sequence[int], progress: Callable[[int], None] | None = None
) -> StoppingCurve:
    """Train up to each of these iterations, and to the end, on four fifths of the training images of a split."""
    train, _ = digits.divide(seed)
    learnt, held = train_test_split(train, test_size=_HELD_OUT, random_state=seed, stratify=digits.labels[train])
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
    return StoppingCurve(columns[0].astype(np.int64), columns[1], columns[2], columns[3])


def stop_on_split(digits: Digits, seed: int, iterations: Sequence[int]) -> dict[str, Any]:
    """Choose the stop by validation, train on all training images for so long, and test; beside no stop at all."""
    seen = stopping_curve(digits, seed, iterations)
    train, test = digits.divide(seed)
    chosen = int(seen.iterations[seen.best])
    accuracy = {
        name: float(
            fitted(digits.pixels[train], digits.labels[train], stop).score(digits.pixels[test], digits.labels[test])
        )
        for name, stop in (("stopped", chosen), ("converged", ENOUGH))
    }
    return {"split": seed, "stop": chosen, **accuracy}


def _cnn_score(digits: Digits, train: Int64Array, test: Int64Array, seed: int, quick: bool) -> float:
    names = tuple(str(digit) for digit in range(10))
    learnt, none, held = (
        ImageDataset(digits.images[part], digits.labels[part], names, [f"{number:04}" for number in part])
        for part in (train, np.empty(0, np.int64), test)
    )
    splits = Splits("digits", learnt, none, held)
    # The fast preset moves whole batches by a pixel; the balanced one gets shifts only.
    changes: dict[str, Any] = {"seed": seed} if quick else {"seed": seed, "augment": {"shift": 1}}
    recipe = recipe_of("fast" if quick else "balanced", splits, None, changes)
    return Trainer(lambda *_: None, 1).train(splits, recipe, "CNN").evaluation.accuracy


METHODS: dict[str, tuple[str, Callable[[], Any] | None]] = {
    "mlp": ("MLP, 16 units, L-BFGS", lambda: MLPClassifier(**KNOWN, max_iter=ENOUGH)),
    "scaled": (
        "the same, standardised",
        lambda: make_pipeline(StandardScaler(), MLPClassifier(**KNOWN, max_iter=ENOUGH)),
    ),
    "ours": (
        "ours, 16 units, L-BFGS",
        lambda: GlyphClassifier((16,), solver="lbfgs", max_iter=ENOUGH, random_state=1),
    ),
    "svm": ("SVM", SVC),
    "cnn": ("small CNN, 1-pixel shifts", None),
}
"""Key → (name, function that makes the estimator; None: `_cnn_score`)."""


def compare(digits: Digits, splits: int, quick: bool, progress: Callable[[int, str], None]) -> list[dict[str, Any]]:
    """Every method on the splits of the seeds 0, 1, …: a row per method; ``progress`` gets the number of fits done."""
    rows = []
    for place, (key, (name, make)) in enumerate(METHODS.items()):
        scores = []
        for seed in range(splits):
            progress(place * splits + seed, name)
            with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # ours: not converged, where the loss still gained
                parts = digits.divide(seed)
                scores.append(digits.score(make(), *parts) if make else _cnn_score(digits, *parts, seed, quick))
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


PAIR = (2, 7)
START = (3.0, 1.0)
STEPS = 100
NEAR = 0.001
"""Arrived: all but this share of the way down from the start to the lowest loss is done."""


class Way(NamedTuple):
    """A way down, by ``batch`` images a step; None is all."""

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
    """The loss over two weights."""

    features: Float64Array  # (N, 2), standardised: ink of the whole image, ink of its upper half
    labels: Float64Array  # (N,): 1 for the second digit of ``PAIR``
    lowest: Float64Array  # (2,): where the loss is lowest

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
