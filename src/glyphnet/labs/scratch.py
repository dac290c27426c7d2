# ruff: noqa: N803, N806  # X: the name of the formulas
"""The lab of the network from scratch: the published run, the gradient check, solvers, over-fitting and penalties."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ..data import ImageDataset, Splits, load
from ..evaluation.intervals import wilson
from ..plots import gallery
from ..plots.style import BLUE, INK, RED, legend, percent_axis
from ..progress import Progress
from ..scratch import GradientCheck, NeuralNetMLP, Weights
from ..scratch.network import Array, backpropagate, cross_entropy, forward, random_weights, split
from .drawing import TEXT, by_epoch, panel, sheet
from .lab import Findings, Lab, Numbers
from .training import TrainingSettings, fewer, repeats

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
_MANY = 32  # images of one class
_COLUMNS, _LINES = 6, 5  # of misclassified images


@dataclass(frozen=True, eq=False)
class Result:
    """All that was trained and checked."""

    splits: Splits  # the training part with nothing held out
    net: NeuralNetMLP  # after the known run
    looks: list[tuple[int, float]]  # (epoch, test accuracy) on the way
    seconds: float  # of the known run, without the looks
    saturated: tuple[float, float]  # share of hidden outputs near 0 or 1 before training: pixels as they are, and /255
    checks: dict[str, GradientCheck]
    solvers: dict[str, NeuralNetMLP]  # the same network by SGD and by L-BFGS, a small one by L-BFGS and by BFGS
    by_size: list[dict[str, Any]]  # trained on fewer and fewer images
    by_penalty: dict[str, list[dict[str, Any]]]  # "l2" and "l1": trained on few images with more and more of it


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
    solvers = _train_solvers(splits, quick=settings.quick, progress=progress)

    def fit(done: int, total: int, size: int, **penalty: float) -> dict[str, Any]:
        progress(done, total, f"over-fitting: {size:,} images {penalty or ''}")
        return _fit(splits, size, settings.repetitions(full=3, quick=2), quick=settings.quick, **penalty)

    sizes = [size for size in (QUICK_SIZES if settings.quick else SIZES) if size <= len(splits.train)]
    by_size = [fit(place, len(sizes), size) for place, size in enumerate(sizes)]
    few_images = min(200 if settings.quick else 1000, len(splits.train))
    by_penalty = {
        name: [fit(place, len(STRENGTHS), few_images, **{name: strength}) for place, strength in enumerate(STRENGTHS)]
        for name in ("l2", "l1")
    }
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


def _train_solvers(splits: Splits, *, quick: bool, progress: Progress) -> dict[str, NeuralNetMLP]:
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
    net, train, test = result.net, result.splits.train, result.splits.test
    predicted = net.predict(rows(test))
    wrong = np.flatnonzero(predicted != test.labels)
    right = len(test) - len(wrong)
    interval = wilson(right, len(test))
    sgd, lbfgs = result.solvers["sgd"], result.solvers["lbfgs"]
    return {
        "data": result.splits.name,
        "size": list(result.splits.image_shape[:2]),
        "shown": {"classes": len(train.classes), "class": train.classes[_last(train)], "images": len(_many(train))},
        "hidden": HIDDEN,
        "known": {
            **KNOWN, "dtype": net.dtype, "images": len(train), "test_images": len(test),
            "epochs": net.n_iter_, "steps": len(net.cost_), "seconds_per_epoch": result.seconds / net.n_iter_,
            "first_cost": net.epoch_cost_[0], "last_cost": net.epoch_cost_[-1],
            "train_accuracy": float(net.score(rows(train), train.labels)),
            "test_accuracy": right / len(test), "low": interval.low, "high": interval.high,
            "wrong": len(wrong),
            "looks": [{"epoch": epoch, "test_accuracy": accuracy} for epoch, accuracy in result.looks],
        },
        "wrong": [
            {"row": int(row), "true": test.classes[test.labels[row]], "predicted": test.classes[predicted[row]]}
            for row in wrong[: _COLUMNS * _LINES]
        ],
        "saturated": {"as_they_are": result.saturated[0], "divided_by_255": result.saturated[1]},
        "gradient": {name: check.relative_errors for name, check in result.checks.items()},
        "solvers": {name: _solver_numbers(solver) for name, solver in result.solvers.items()},
        "reached": next(  # the iteration at which L-BFGS has the loss of SGD
            (place for place, loss in enumerate(lbfgs.train_loss_, start=1) if loss <= sgd.train_loss_[-1]), None
        ),
        "by_size": result.by_size,
        "by_penalty": result.by_penalty,
    }  # fmt: skip


def _solver_numbers(net: NeuralNetMLP) -> dict[str, Any]:
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

_MEASURED = ("train_loss", "test_loss", "test_accuracy", "gone")


def _fit(splits: Splits, size: int, seeds: int, *, quick: bool, l2: float = 0.0, l1: float = 0.0) -> dict[str, Any]:
    """Train on ``size`` images, by several draws of images and weights.

    Returns:
        For numbers.json: losses per image without the penalty, test accuracy, and the share of the weights W1 and W2
        that are `NEARLY_ZERO`.
    """
    test = rows(splits.test) / 255
    measured: dict[str, list[float]] = {name: [] for name in _MEASURED}
    for seed in range(seeds):
        train = fewer(splits, size, seed).train
        X = rows(train) / 255  # so that few hidden units begin saturated, and the first layer can learn
        net = NeuralNetMLP(HIDDEN, l1=l1, l2=l2, solver="lbfgs", epochs=60 if quick else 100, random_state=seed)
        net.fit(X, train.labels)
        weights = np.concatenate([net.weights_.W1.ravel(), net.weights_.W2.ravel()])
        measured["train_loss"].append(_loss(net, X, train.labels))
        measured["test_loss"].append(_loss(net, test, splits.test.labels))
        measured["test_accuracy"].append(float(net.score(test, splits.test.labels)))
        measured["gone"].append(float(np.mean(np.abs(weights) < NEARLY_ZERO)))
    return {"images": size, "l2": l2, "l1": l1, **{name: repeats(values) for name, values in measured.items()}}


def _loss(net: NeuralNetMLP, X: Array, labels: Array) -> float:
    logits = forward(net.weights_, X)[1]
    return float(cross_entropy(logits, np.eye(logits.shape[1])[labels]).sum()) / len(X)


# The figures of the page


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Run the experiment and draw what it found."""
    result = experiment(settings, progress)
    numbers = measure(result)
    figures = {
        "images": _images(result.splits.train),
        "cost": _cost(result.net),
        "accuracy": _accuracy(result),
        "solvers": _solvers(numbers),
        "fewer-images": _sizes(numbers["by_size"]),
        "penalties": _penalties(numbers),
    }
    if numbers["wrong"]:
        figures["misclassified"] = _misclassified(result.splits.test, numbers["wrong"])
    return Findings(numbers, figures)


def _last(train: ImageDataset) -> int:
    """The class that many images are shown of; of ten digits 7, with and without a bar."""
    return 3 * len(train.classes) // 4


def _many(train: ImageDataset) -> Any:
    return np.flatnonzero(train.labels == _last(train))[:_MANY]


def _images(train: ImageDataset) -> Figure:
    first = [int(np.flatnonzero(train.labels == label)[0]) for label in range(len(train.classes))]
    many = _many(train)
    figure, axes = sheet(2, 1, height=6.3, height_ratios=[1, 1.35])
    _tiles(axes[0, 0], train.images[first], list(train.classes), columns=5)
    gallery(train.images[many], [""] * len(many), columns=8, ax=axes[1, 0])
    return figure


def _cost(net: NeuralNetMLP) -> Figure:
    figure, axes = sheet(2, 1, height=5.2)
    steps = range(EVERY, len(net.cost_) + 1, EVERY)
    axes[0, 0].plot(steps, net.cost_[EVERY - 1 :: EVERY], color=BLUE, linewidth=0.8)
    axes[0, 0].set(xlabel=f"step (every {EVERY}th)", ylabel="cost J", yscale="log")
    by_epoch(axes[1, 0], net.epoch_cost_, color=BLUE, linewidth=2)
    axes[1, 0].set(xlabel="epoch", ylabel="mean cost of its steps", yscale="log")
    for ax in axes.flat:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
    return figure


def _accuracy(result: Result) -> Figure:
    figure, ax = panel(3.4)
    by_epoch(ax, result.net.train_accuracy_, color=BLUE, label="training", linewidth=2)
    epochs, accuracies = zip(*result.looks, strict=True)
    ax.plot(epochs, accuracies, color=RED, linestyle="--", linewidth=2, label="test")
    ax.set(xlabel="epoch", ylabel="accuracy", ylim=(max(0.0, accuracies[-1] - 0.25), 1.0))
    percent_axis(ax.yaxis)
    _legend(ax)
    return figure


def _misclassified(test: ImageDataset, wrong: list[dict[str, Any]]) -> Figure:
    figure, ax = panel(1.45 * math.ceil(len(wrong) / _COLUMNS))
    names = [f"t: {each['true']}  p: {each['predicted']}" for each in wrong]
    _tiles(ax, test.images[[each["row"] for each in wrong]], names, columns=_COLUMNS)
    return figure


def _solvers(numbers: Numbers) -> Figure:
    figure, axes = sheet(1, 2, height=3.3)
    panels = (
        (f"{numbers['hidden']} hidden units", (("sgd", "SGD", RED, "--"), ("lbfgs", "L-BFGS", BLUE, "-"))),
        ("a small network", (("small bfgs", "BFGS", RED, "--"), ("small lbfgs", "L-BFGS", BLUE, "-"))),
    )
    for ax, (heading, lines) in zip(axes[0], panels, strict=True):
        for key, label, colour, style in lines:
            by_epoch(ax, numbers["solvers"][key]["losses"], style, color=colour, label=label, linewidth=2)
        ax.set(xlabel="epoch or iteration", title=heading, yscale="log")
        _legend(ax)
    axes[0, 0].set_ylabel("loss an image")
    return figure


def _sizes(fits: list[dict[str, Any]]) -> Figure:
    figure, ax = panel()
    sizes = [fit["images"] for fit in fits]
    _losses(ax, sizes, fits)
    ax.set(xlabel="training images", ylabel="loss an image", xscale="log")
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.minorticks_off()
    return figure


def _penalties(numbers: Numbers) -> Figure:
    figure, axes = sheet(1, 2, height=3.5, sharey=True)
    for ax, (name, fits) in zip(axes[0], numbers["by_penalty"].items(), strict=True):
        _losses(ax, list(range(len(fits))), fits)
        ax.set_xticks(range(len(fits)), [f"{fit[name]:g}" for fit in fits])
        ax.set(xlabel=name)
    axes[0, 0].set_ylabel("loss an image")
    return figure


def _losses(ax: Axes, places: list[Any], fits: list[Any]) -> None:
    kinds = (("train_loss", "training", BLUE, "-", "o"), ("test_loss", "test", RED, "--", "s"))
    for key, label, colour, style, marker in kinds:
        means = np.array([fit[key]["mean"] for fit in fits])
        half = np.array([fit[key]["half_width"] for fit in fits])
        ax.errorbar(
            places, means, yerr=[np.minimum(half, 0.9 * means), half],  # a log scale has no place for 0
            color=colour, linestyle=style, marker=marker, linewidth=2, capsize=3, label=label,
        )  # fmt: skip
    ax.set_yscale("log")
    _legend(ax)


def _tiles(ax: Axes, images: Any, names: list[str], columns: int) -> None:
    gallery(images, names, columns=columns, ax=ax)
    for text in ax.texts:
        text.set(fontsize=TEXT, color=INK)


def _legend(ax: Axes) -> None:
    legend(ax)
    for text in ax.get_legend().get_texts():  # type: ignore[union-attr]  # there is something to name
        text.set_fontsize(TEXT - 1)


LAB = Lab("scratch", "A network written from scratch", TrainingSettings, investigate)
