"""What the lab is asked, and the data that all its parts look at."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
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
from ..training.optimizers import LBFGS, SGD, Adam, Optimizer
from .lab import LabSettings, percent

Float64Array = npt.NDArray[np.float64]

KNOWN: dict[str, Any] = {"hidden_layer_sizes": (16,), "solver": "lbfgs", "random_state": 1}
"""The known system's network, as scikit-learn's MLPClassifier takes it."""

ENOUGH = 1000
"""Iterations after which every one of these networks has converged; the largest of the known three."""


class DigitsSettings(LabSettings):
    """What the lab can be asked; ``seeds`` is the number of splits: 20, or 2 if quick."""

    @property
    def splits(self) -> int:
        """Number of splits of the images."""
        return self.seeds or (2 if self.quick else 20)


@dataclass(frozen=True, eq=False)
class Digits:
    """All 1,797 images.

    Attributes:
        images: uint8 (N, 8, 8, 1), 0 to 255.
        pixels: float64 (N, 64), 0 to 16, as scikit-learn has them.
        labels: int64 (N,).
    """

    images: UInt8Array
    pixels: Float64Array
    labels: Int64Array

    def divide(self, seed: int) -> tuple[Int64Array, Int64Array]:
        """scikit-learn's default split, three quarters and one: the numbers of training and test images."""
        from sklearn.model_selection import train_test_split

        train, test = train_test_split(np.arange(len(self.labels)), random_state=seed)
        return train, test


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
    from ..sklearn import GlyphClassifier

    train, _ = digits.divide(_SPLIT)
    values = (0.1, 0.001, 10.0)
    weights = [
        np.concatenate([each.ravel() for each in fitted(
            digits.pixels[train], digits.labels[train], iterations, learning_rate_init=value
        ).coefs_])
        for value in values
    ]  # fmt: skip
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


def stopping_curve(
    digits: Digits, seed: int, iterations: Sequence[int], progress: Callable[[int], None] | None = None
) -> StoppingCurve:
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
    return StoppingCurve(columns[0].astype(np.int64), columns[1], columns[2], columns[3])


def stop_on_split(digits: Digits, seed: int, iterations: Sequence[int]) -> dict[str, Any]:
    """Choose the stop by validation, train on all training images for so long, and test; beside no stop at all."""
    seen = stopping_curve(digits, seed, iterations)
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
    from ..sklearn import GlyphClassifier

    network = GlyphClassifier((16,), solver="lbfgs", max_iter=ENOUGH, random_state=1)
    return float(
        network.fit(digits.pixels[train], digits.labels[train]).score(digits.pixels[test], digits.labels[test])
    )


def _svm(digits: Digits, train: Int64Array, test: Int64Array, seed: int, quick: bool) -> float:
    machine = SVC().fit(digits.pixels[train], digits.labels[train])
    return float(machine.score(digits.pixels[test], digits.labels[test]))


def _cnn(digits: Digits, train: Int64Array, test: Int64Array, seed: int, quick: bool) -> float:
    from ..runs import train as train_network

    names = tuple(str(digit) for digit in range(10))
    learnt, none, held = (
        ImageDataset(digits.images[part], digits.labels[part], names, [f"{number:04}" for number in part])
        for part in (train, np.empty(0, np.int64), test)
    )
    splits = Splits("digits", learnt, none, held)
    # The fast preset moves whole batches by a pixel; the balanced one gets shifts only.
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
