# ruff: noqa: N803, N806  # X: the name of the formulas
"""The known run, the gradient check, and the same network by other solvers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data import ImageDataset, Splits, load
from ...evaluation.intervals import wilson
from ...scratch import GradientCheck, NeuralNetMLP, Weights
from ...scratch.network import Array, backpropagate, forward, random_weights, split
from ..lab import Progress
from ..training import TrainingSettings
from .overfitting import Fitted, overfit, regularise

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
class Done:
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


def experiment(settings: TrainingSettings, progress: Progress) -> Done:
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
    return Done(splits, net, looks, seconds, _saturated(X[:1000]), checks, solvers, by_size, by_penalty)


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


def measure(done: Done) -> dict[str, Any]:
    """The numbers of the lab, as numbers.json holds them."""
    net, test = done.net, done.splits.test
    right = int((net.predict(rows(test)) == test.labels).sum())
    interval = wilson(right, len(test))
    return {
        "data": done.splits.name,
        "hidden": HIDDEN,
        "known": {
            **KNOWN, "dtype": net.dtype, "images": len(done.splits.train), "test_images": len(test),
            "epochs": net.n_iter_, "steps": len(net.cost_), "seconds_per_epoch": done.seconds / net.n_iter_,
            "first_cost": net.epoch_cost_[0], "last_cost": net.epoch_cost_[-1],
            "train_accuracy": float(net.score(rows(done.splits.train), done.splits.train.labels)),
            "test_accuracy": right / len(test), "low": interval.low, "high": interval.high,
            "wrong": len(test) - right,
            "looks": [{"epoch": epoch, "test_accuracy": accuracy} for epoch, accuracy in done.looks],
        },
        "saturated": {"as_they_are": done.saturated[0], "divided_by_255": done.saturated[1]},
        "gradient": {name: check.relative_errors for name, check in done.checks.items()},
        "solvers": {name: _solver(solver) for name, solver in done.solvers.items()},
        "by_size": [fitted.to_dict() for fitted in done.by_size],
        "by_penalty": {name: [fitted.to_dict() for fitted in some] for name, some in done.by_penalty.items()},
    }  # fmt: skip


def _solver(net: NeuralNetMLP) -> dict[str, Any]:
    return {
        "weights": sum(part.size for part in net.weights_),
        "passes": net.n_iter_,
        "loss": net.train_loss_[-1],
        "accuracy": net.train_accuracy_[-1],
        "losses": [float(loss) for loss in net.train_loss_],
    }
