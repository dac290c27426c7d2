# ruff: noqa: N803, N806  # X: the name of the formulas
"""The known run, the gradient check, and the same network by other solvers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import ImageDataset, Splits, load
from ..evaluation.intervals import Repeats, wilson
from ..progress import Progress
from ..scratch import GradientCheck, NeuralNetMLP, Weights
from ..scratch.network import Array, backpropagate, cross_entropy, forward, random_weights, split
from .training import TrainingSettings, fewer

KNOWN: dict[str, Any] = {
    "l1": 0.0,
    "l2": 0.1,
    "learning_rate": 0.001,
    "momentum": 0.001,
    "decay": 0.00001,
    "cumulative_decay": True,
    "shuffle": True,
    "minibatches": 50,
}
"""The settings of the known run, with the decay as its code has it."""

HIDDEN, SEED = 50, 1
EVERY = 50
"""Of how many steps one is drawn."""

_LOOKS = 50  # at the test accuracy on the way; each costs as much as half an epoch
_SMALL_HIDDEN = 10  # for BFGS, whose matrix has a row and a column for each weight
_SATURATED = 0.01
_SOLVERS_L2, _SOLVERS_IMAGES = 0.1, 5000


@dataclass(frozen=True, eq=False)
class Result:
    """All that was trained and checked.

    Attributes:
        splits: the data, the training part with nothing held out.
        net: after the known run.
        looks: (epoch, test accuracy) pairs on the way.
        seconds: of the known run, the looks left out.
        saturated: share of hidden answers near 0 or 1 before training: pixels as they are, and divided by 255.
        checks: gradient checks by what was checked.
        solvers: the same network by SGD and by L-BFGS, and a small one by L-BFGS and by BFGS.
        by_size: trained on fewer and fewer images.
        by_penalty: "l2" and "l1", trained on few images with more and more of it.
    """

    splits: Splits
    net: NeuralNetMLP
    looks: list[tuple[int, float]]
    seconds: float
    saturated: tuple[float, float]
    checks: dict[str, GradientCheck]
    solvers: dict[str, NeuralNetMLP]
    by_size: list[Fitted]
    by_penalty: dict[str, list[Fitted]]


def rows(part: ImageDataset) -> Array:
    """Images as rows of pixels, uint8 (N, D)."""
    return np.asarray(part.images).reshape(len(part), -1)


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
    """Do all of it. With an idle machine the known run is most of the time."""
    splits = settings.read(progress, validation_fraction=0.0)
    net, looks, seconds = _known_run(splits, settings.passes(full=1000, quick=120), progress)
    progress(0, 1, "checking the gradient")
    X, few = rows(splits.train), slice(0, 100)
    checks = {
        name: NeuralNetMLP(HIDDEN, l1=0.1, l2=0.1, random_state=SEED).gradient_check(
            X[few] / 255, splits.train.labels[few], gradient=gradient
        )
        for name, gradient in _GRADIENTS.items()
    }
    solvers = _solvers(splits, quick=settings.quick, progress=progress)
    repetitions = settings.repetitions(full=3, quick=2)
    by_size = overfit(splits, quick=settings.quick, seeds=repetitions, progress=progress)
    by_penalty = regularise(splits, quick=settings.quick, seeds=repetitions, progress=progress)
    return Result(splits, net, looks, seconds, _saturated(X[:1000]), checks, solvers, by_size, by_penalty)


def _known_run(splits: Splits, epochs: int, progress: Progress) -> tuple[NeuralNetMLP, list[tuple[int, float]], float]:
    looks: list[tuple[int, float]] = []
    looking = 0.0
    test = rows(splits.test)
    every = max(1, epochs // _LOOKS)

    def look(net: NeuralNetMLP) -> None:
        nonlocal looking
        progress(net.n_iter_, epochs, "the known run")
        if net.n_iter_ % every == 0 or net.n_iter_ in (1, epochs):
            began = time.perf_counter()
            looks.append((net.n_iter_, float(net.score(test, splits.test.labels))))
            looking += time.perf_counter() - began

    net = NeuralNetMLP(HIDDEN, epochs=epochs, dtype="float32", random_state=SEED, **KNOWN)
    began = time.perf_counter()
    net.fit(rows(splits.train), splits.train.labels, on_epoch=look)
    return net, looks, time.perf_counter() - began - looking


def _twice_the_l1(weights: Weights, X: Array, Y: Array, a2: Array, z3: Array, l1: float, l2: float) -> Array:
    """The known code's slip: the cost has l1/2·Σ|w|, its gradient l1·sign w."""
    return backpropagate(weights, X, Y, a2, z3, 2 * l1, l2)


def _no_slope_of_the_sigmoid(weights: Weights, X: Array, Y: Array, a2: Array, z3: Array, l1: float, l2: float) -> Array:
    """A slip that beginners make: a2·(1 − a2) forgotten on the way back."""
    right = backpropagate(weights, X, Y, a2, z3, l1, l2)
    shape = (weights.W1.shape[1], *weights.W2.shape[::-1])
    of = split(right, shape)
    delta2 = (1 / (1 + np.exp(-z3)) - Y) @ weights.W2
    of.W1[:] = delta2.T @ X + l2 * weights.W1 + l1 / 2 * np.sign(weights.W1)
    of.b1[:] = delta2.sum(axis=0)
    return right


_GRADIENTS = {
    "as written here": backpropagate,
    "slope of the L1 penalty twice too large": _twice_the_l1,
    "slope of the sigmoid forgotten": _no_slope_of_the_sigmoid,
}


def _saturated(X: Array) -> tuple[float, float]:
    weights = split(random_weights((X.shape[1], HIDDEN, 10), np.random.default_rng(SEED)), (X.shape[1], HIDDEN, 10))

    def share(inputs: Array) -> float:
        a2 = forward(weights, inputs)[0]
        return float(np.mean(np.minimum(a2, 1 - a2) < _SATURATED))

    return share(X.astype(np.float64)), share(X / 255)


def _solvers(splits: Splits, *, quick: bool, progress: Progress) -> dict[str, NeuralNetMLP]:
    """SGD and L-BFGS from the same weights, a pass over the data each time; then BFGS, on what it can bear."""
    train = splits.train.subset(np.arange(min(_SOLVERS_IMAGES, len(splits.train))))
    X, y, passes = rows(train) / 255, train.labels, 60 if quick else 100
    small = load("digits", validation_fraction=0.0).train
    tasks: dict[str, tuple[Array, Any, int, dict[str, Any]]] = {
        # Every mini-batch's cost has the whole penalty: a fiftieth of it is as much, over an epoch, as L-BFGS has.
        "sgd": (X, y, HIDDEN, {"learning_rate": 0.01, "minibatches": 50, "l2": _SOLVERS_L2 / 50}),
        "lbfgs": (X, y, HIDDEN, {"solver": "lbfgs"}),
        "small lbfgs": (rows(small) / 255, small.labels, _SMALL_HIDDEN, {"solver": "lbfgs"}),
        "small bfgs": (rows(small) / 255, small.labels, _SMALL_HIDDEN, {"solver": "bfgs"}),
    }
    made = {}
    for place, (name, (inputs, labels, hidden, options)) in enumerate(tasks.items()):
        progress(place, len(tasks), f"solver {name}")
        net = NeuralNetMLP(hidden, epochs=passes, random_state=SEED, **{"l2": _SOLVERS_L2, **options})
        made[name] = net.fit(inputs, labels)
    return made


def measure(result: Result) -> dict[str, Any]:
    """The numbers of the lab, as numbers.json holds them."""
    net, test = result.net, result.splits.test
    right = int((net.predict(rows(test)) == test.labels).sum())
    interval = wilson(right, len(test))
    return {
        "data": result.splits.name,
        "hidden": HIDDEN,
        "known": {
            **KNOWN, "dtype": net.dtype, "images": len(result.splits.train), "test_images": len(test),
            "epochs": net.n_iter_, "steps": len(net.cost_), "seconds_per_epoch": result.seconds / net.n_iter_,
            "first_cost": net.epoch_cost_[0], "last_cost": net.epoch_cost_[-1],
            "train_accuracy": float(net.score(rows(result.splits.train), result.splits.train.labels)),
            "test_accuracy": right / len(test), "low": interval.low, "high": interval.high,
            "wrong": len(test) - right,
            "looks": [{"epoch": epoch, "test_accuracy": accuracy} for epoch, accuracy in result.looks],
        },
        "saturated": {"as_they_are": result.saturated[0], "divided_by_255": result.saturated[1]},
        "gradient": {name: check.relative_errors for name, check in result.checks.items()},
        "solvers": {name: _solver(solver) for name, solver in result.solvers.items()},
        "by_size": [fitted.to_dict() for fitted in result.by_size],
        "by_penalty": {name: [fitted.to_dict() for fitted in some] for name, some in result.by_penalty.items()},
    }  # fmt: skip


def _solver(net: NeuralNetMLP) -> dict[str, Any]:
    return {
        "weights": sum(part.size for part in net.weights_),
        "passes": net.n_iter_,
        "loss": net.train_loss_[-1],
        "accuracy": net.train_accuracy_[-1],
        "losses": [float(loss) for loss in net.train_loss_],
    }


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
