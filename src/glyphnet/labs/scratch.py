# ruff: noqa: N803, N806  # X: the name of the formulas
"""The lab of the network from scratch: the published run, the gradient check, solvers, over-fitting and penalties."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ..data import ImageDataset, Splits, load
from ..evaluation.intervals import wilson
from ..plots import gallery
from ..plots.style import BLUE, INK, RED, legend, percent_axis
from ..progress import Progress
from ..scratch import GradientCheck, NeuralNetMLP, Weights
from ..scratch.network import Array, backpropagate, cross_entropy, forward, random_weights, split
from .drawing import TEXT, by_epoch, panel, sheet
from .lab import Columns, Findings, Lab, Numbers, Picture, Question, Section, Table, percent
from .training import TrainingSettings, fewer, lead_with_note, repeats

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
        "solvers": {name: _solver_numbers(solver) for name, solver in result.solvers.items()},
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


# The page

_MANY = 32
_WRONG = (6, 5)  # columns and rows of misclassified images


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Run the experiment and write its findings."""
    result = experiment(settings, progress)
    numbers = measure(result)
    sections = [_data(result, numbers), _run(result, numbers), _accuracy(result, numbers)]
    if picture := _wrong_picture(result):
        text = ("Some of these are hard for a person too; others show what the network missed.",)
        sections.append(Section(f"{numbers['known']['wrong']:,} test images are misclassified", text, (picture,)))
    sections += [_gradient(numbers), _solvers(numbers), _sizes(numbers), _penalties(numbers)]
    return Findings(_lead(settings, numbers), tuple(sections), numbers)


def _lead(settings: TrainingSettings, numbers: Numbers) -> str:
    known = numbers["known"]
    phrases = (
        f"A network of {numbers['hidden']} hidden units, written in NumPy alone, classifies "
        f"{percent(known['test_accuracy'], 1)} of {known['test_images']:,} new digits correctly "
        f"({percent(known['low'], 1)} to {percent(known['high'], 1)}) after {known['epochs']:,} epochs of "
        f"{known['seconds_per_epoch']:.2g} s."
    )
    return lead_with_note(phrases, numbers)


def _data(result: Result, numbers: Numbers) -> Section:
    height, width, _ = result.splits.image_shape
    text = (
        f"An image is {height} × {width} pixels from 0 to 255, a row of {height * width} numbers. The network is "
        f"trained on {numbers['known']['images']:,} such rows with their classes and tested on "
        f"{numbers['known']['test_images']:,} others. It is never taught what a stroke is.",
    )
    train = result.splits.train
    first = [int(np.flatnonzero(train.labels == label)[0]) for label in range(len(train.classes))]
    last = 3 * len(train.classes) // 4  # of ten digits 7, with and without a bar
    many = np.flatnonzero(train.labels == last)[:_MANY]
    figure, axes = sheet(2, 1, height=6.3, height_ratios=[1, 1.35])
    _tiles(axes[0, 0], train.images[first], list(train.classes), columns=5)
    gallery(train.images[many], [""] * len(many), columns=8, ax=axes[1, 0])
    picture = Picture(
        "images", figure,
        alt=f"One image of each of {len(first)} classes, then {len(many)} images of class {train.classes[last]}, "
        "each drawn otherwise.",
        caption=f"Above: the first image of each class. Below: {len(many)} of class {train.classes[last]}, by many "
        "hands.",
    )  # fmt: skip
    return Section("The task: one class, many handwritings", text, (picture,))


def _run(result: Result, numbers: Numbers) -> Section:
    known, saturated = numbers["known"], numbers["saturated"]
    text = (
        "Each hidden unit weighs all pixels, adds a bias and applies a sigmoid. Ten output units do the same with "
        "the hidden units. The cost measures the error; `backpropagate` computes its gradient.",
        f"Settings: l2 {known['l2']:g}, l1 {known['l1']:g}, learning rate {known['learning_rate']:g}, momentum "
        f"{known['momentum']:g}, {known['minibatches']} mini-batches, decay {known['decay']:g}. The published code "
        "divides the rate again in every epoch, contrary to its documentation; the run repeats that as "
        f"`cumulative_decay`. It computes in {known['dtype']}.",
        f"Pixels are not scaled. Before training, {percent(saturated['as_they_are'])} of the hidden outputs are "
        "within 0.01 of 0 or 1, where the sigmoid is flat; with pixels divided by 255 it would be "
        f"{percent(saturated['divided_by_255'])}.",
    )
    falls = f"from {known['first_cost']:,.0f} to {known['last_cost']:,.0f}"
    title = f"The cost falls {falls}, in {known['steps']:,} jumpy steps"
    net = result.net
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
    picture = Picture(
        "cost", figure,
        alt=f"Cost by step and by epoch: the mean of an epoch falls from {known['first_cost']:,.0f} to "
        f"{known['last_cost']:,.0f}.",
        caption=f"Each step sees another mini-batch, so its cost jumps. The mean over the {known['minibatches']} steps "
        "of an epoch, below, is smooth. Both scales are logarithmic.",
    )  # fmt: skip
    return Section(title, text, (picture,))


def _accuracy(result: Result, numbers: Numbers) -> Section:
    known = numbers["known"]
    gap = 100 * (known["train_accuracy"] - known["test_accuracy"])
    title = (
        f"Training accuracy is {gap:.1f} points above test accuracy" if gap > 0
        else "Test accuracy is as high as training accuracy"
    )  # fmt: skip
    text = (
        f"Training accuracy is {percent(known['train_accuracy'], 1)}, test accuracy "
        f"{percent(known['test_accuracy'], 1)}. Only the second says what to expect on new images.",
    )
    figure, ax = panel(3.4)
    by_epoch(ax, result.net.train_accuracy_, color=BLUE, label="training", linewidth=2)
    looks = known["looks"]
    ax.plot(
        [look["epoch"] for look in looks], [look["test_accuracy"] for look in looks],
        color=RED, linestyle="--", linewidth=2, label="test",
    )  # fmt: skip
    ax.set(xlabel="epoch", ylabel="accuracy", ylim=(max(0.0, looks[-1]["test_accuracy"] - 0.25), 1.0))
    percent_axis(ax.yaxis)
    _legend(ax)
    picture = Picture(
        "accuracy", figure,
        alt=f"Accuracy by epoch, at the end {percent(known['train_accuracy'], 1)} in training and "
        f"{percent(known['test_accuracy'], 1)} on test images.",
        caption="The training curve is counted during each epoch, while the weights still move.",
    )  # fmt: skip
    return Section(title, text, (picture,))


def _gradient(numbers: Numbers) -> Section:
    checked = numbers["gradient"]
    written = max(checked["as written here"].values())
    table = Table.of(
        [{"what": what, **errors} for what, errors in checked.items()],
        {"Backpropagation": "{what}", **{name: f"{{{name}:.0e}}" for name in checked["as written here"]}},
        "Relative error of each matrix, against central differences. Below 1e-07 it is right.",
    )
    text = (
        "A network with a wrong gradient often still learns, a little worse, and nobody notices. So check it: move "
        "one weight slightly up and down and measure the cost. That slope needs no calculus.",
        "Two errors were planted. The first is in the published code: its cost has `l1/2`, its gradient `l1`. The "
        "biases have no penalty, so they look right: check each matrix separately.",
    )
    return Section(f"The gradient is right to {written:.0e}, and the check finds two planted errors", text, (table,))


def _solvers(numbers: Numbers) -> Section:
    solvers = numbers["solvers"]
    sgd, lbfgs, bfgs = solvers["sgd"], solvers["lbfgs"], solvers["small bfgs"]
    reached = next((place for place, loss in enumerate(lbfgs["losses"], start=1) if loss <= sgd["loss"]), None)
    title = (
        f"L-BFGS needs {reached} iterations for the loss of {sgd['passes']} epochs of SGD" if reached
        else f"In {lbfgs['passes']} iterations L-BFGS does not reach the loss of SGD"
    )  # fmt: skip
    text = (
        f"The weights are a point in a space of {lbfgs['weights']:,} dimensions, and SciPy needs only the cost and "
        "the gradient at that point. All solvers start at the same weights, with pixels divided by 255 and the same "
        "penalty per epoch.",
        "L-BFGS uses all images and estimates the curvature from its last few steps. BFGS keeps the whole estimate, "
        f"a matrix of weights × weights: {8 * bfgs['weights'] ** 2 / 1e6:,.0f} MB for {bfgs['weights']:,} weights, "
        f"{8 * lbfgs['weights'] ** 2 / 1e6:,.0f} MB for the network on the left. Hence a small network on 8×8 digits.",
    )
    figure, axes = sheet(1, 2, height=3.3)
    panels = (
        (f"{numbers['hidden']} hidden units", (("sgd", "SGD", RED, "--"), ("lbfgs", "L-BFGS", BLUE, "-"))),
        ("a small network", (("small bfgs", "BFGS", RED, "--"), ("small lbfgs", "L-BFGS", BLUE, "-"))),
    )
    for ax, (heading, lines) in zip(axes[0], panels, strict=True):
        for key, label, colour, style in lines:
            by_epoch(ax, solvers[key]["losses"], style, color=colour, label=label, linewidth=2)
        ax.set(xlabel="epoch or iteration", title=heading, yscale="log")
        _legend(ax)
    axes[0, 0].set_ylabel("loss an image")
    facts = "; ".join(f"{key} {row['loss']:.3g} after {row['passes']}" for key, row in solvers.items())
    picture = Picture(
        "solvers", figure,
        alt=f"Loss by pass over the data, from the same weights: {facts}.",
        caption="Cross-entropy of the training images, without the penalty. An iteration of L-BFGS or BFGS looks at "
        "all images at once, at times more than once; an epoch of SGD takes a step for each mini-batch.",
    )  # fmt: skip
    return Section(title, text, (picture,))


def _sizes(numbers: Numbers) -> Section:
    fits = numbers["by_size"]
    few, many = fits[0], fits[-1]
    title = (
        f"{few['images']:,} images are memorised: test loss {few['test_loss']['mean']:.2g}, with "
        f"{many['images']:,} it is {many['test_loss']['mean']:.2g}"
    )
    text = (
        "Here there is no penalty, pixels are divided by 255, and L-BFGS nearly reaches the minimum. With few images "
        "there are far more weights than facts, and every training image is fitted, noise included. The gap between "
        "the curves is over-fitting. More data reduce it best.",
    )
    figure, ax = panel()
    _losses(ax, [fit["images"] for fit in fits], fits)
    ax.set(xlabel="training images", ylabel="loss an image", xscale="log")
    ax.set_xticks([fit["images"] for fit in fits], [f"{fit['images']:,}" for fit in fits])
    ax.minorticks_off()
    draws = few["test_loss"]["n"]
    picture = Picture(
        "fewer-images", figure,
        alt=f"Test loss {few['test_loss']['mean']:.2g} with {few['images']:,} images and "
        f"{many['test_loss']['mean']:.2g} with {many['images']:,}; training loss never above "
        f"{max(fit['train_loss']['mean'] for fit in fits):.1g}.",
        caption="No penalty. " + (
            f"Bars: the 95 % interval of the mean over {draws} draws of images and weights." if draws > 1
            else "One draw of images and weights."
        ),
    )  # fmt: skip
    return Section(title, text, (picture,))


def _penalties(numbers: Numbers) -> Section:
    penalties = numbers["by_penalty"]
    without = penalties["l2"][0]["test_loss"]["mean"]
    best = {name: _best(fits) for name, fits in penalties.items()}
    least = min(fit["test_loss"]["mean"] for fit in best.values())
    title = (
        f"A penalty on the weights brings the test loss from {without:.2g} down to {least:.2g}" if least < without
        else "No penalty tried here helps"
    )  # fmt: skip
    columns: Columns = {
        "Penalty": "{name}",
        "Training loss": "{train_loss[mean]:.2g}",
        "Test loss": "{test_loss[mean]:.2g}",
        "Test accuracy": lambda fit: percent(fit["test_accuracy"]["mean"], 1),
        f"|w| < {NEARLY_ZERO:g}": lambda fit: percent(fit["gone"]["mean"]),
    }
    fits = [
        {"name": f"{name} {fit[name]:g}" if fit[name] else "none", **fit}
        for name, some in penalties.items()
        for fit in (some if name == "l2" else some[1:])
    ]
    table = Table.of(fits, columns)
    text = (
        "A penalty makes large weights costly: the network fits a detail only if that lowers the loss by more. `l2` "
        "shrinks all weights. `l1` pulls each with the same force and so removes unneeded ones. With `l1` "
        f"{best['l1']['l1']:g}, {percent(best['l1']['gone']['mean'])} are nearly 0; with `l2` {best['l2']['l2']:g}, "
        f"{percent(best['l2']['gone']['mean'])}.",
    )
    return Section(title, text, (_penalties_picture(numbers), table))


def _best(fits: list[dict[str, Any]]) -> dict[str, Any]:
    return min(fits, key=lambda fit: float(fit["test_loss"]["mean"]))


def _memory(numbers: Numbers) -> str:
    fit = numbers["by_size"][0]
    known = numbers["known"]
    return (
        f"No. With {fit['images']:,} images the training loss is {fit['train_loss']['mean']:.1g}, nearly perfect, "
        f"and the test loss {fit['test_loss']['mean']:.2g}. In the long run above the two accuracies are "
        f"{percent(known['train_accuracy'], 2)} and {percent(known['test_accuracy'], 2)}."
    )


def _slip(numbers: Numbers) -> str:
    parts = []
    for name, errors in numbers["gradient"].items():
        wrong = [f"{matrix} ({error:.1e})" for matrix, error in errors.items() if error >= 1e-7]
        parts.append(f"{name}: {', '.join(wrong) if wrong else 'none'}")
    return (
        f"Those with relative errors of 1e-7 or more. {'; '.join(parts)}. Where it is wrong says what is wrong: a slip "
        "in the penalty cannot touch the biases, and one on the way back from the outputs cannot touch the last layer."
    )


def _strength(numbers: Numbers) -> str:
    parts = []
    for name, fits in numbers["by_penalty"].items():
        best, most = _best(fits), fits[-1]
        parts.append(
            f"{name}: {best[name]:g} (test loss {best['test_loss']['mean']:.2g}, training loss "
            f"{best['train_loss']['mean']:.2g}); at {most[name]:g} both are high ({most['test_loss']['mean']:.2g} and "
            f"{most['train_loss']['mean']:.2g})"
        )
    return (
        f"{'; '.join(parts)}. Two high losses mean under-fitting, a high test loss alone over-fitting. A real choice "
        "needs validation images."
    )


def _wrong_picture(result: Result) -> Picture | None:
    test = result.splits.test
    predicted = result.net.predict(rows(test))
    columns, lines = _WRONG
    wrong = np.flatnonzero(predicted != test.labels)[: columns * lines]
    if not len(wrong):
        return None
    names = [f"t: {test.classes[test.labels[row]]}  p: {test.classes[predicted[row]]}" for row in wrong]
    figure, ax = panel(1.45 * math.ceil(len(wrong) / columns))
    _tiles(ax, test.images[wrong], names, columns=columns)
    return Picture(
        "misclassified", figure,
        alt=f"{len(wrong)} test images taken for another class, the first one a {test.classes[test.labels[wrong[0]]]} "
        f"taken for a {test.classes[predicted[wrong[0]]]}.",
        caption="t: the true class; p: the predicted one. The first ones in the order of the test images.",
    )  # fmt: skip


def _penalties_picture(numbers: Numbers) -> Picture:
    figure, axes = sheet(1, 2, height=3.5, sharey=True)
    phrases = []
    for ax, (name, fits) in zip(axes[0], numbers["by_penalty"].items(), strict=True):
        _losses(ax, list(range(len(fits))), fits)
        ax.set_xticks(range(len(fits)), [f"{fit[name]:g}" for fit in fits])
        ax.set(xlabel=name)
        best = min(fits, key=lambda fit: fit["test_loss"]["mean"])
        phrases.append(f"{name} {best[name]:g} has the lowest test loss, {best['test_loss']['mean']:.2g}")
    axes[0, 0].set_ylabel("loss an image")
    without = numbers["by_penalty"]["l2"][0]
    return Picture(
        "penalties", figure,
        alt=f"{'; '.join(phrases)}; without any it is {without['test_loss']['mean']:.2g}.",
        caption=f"{without['images']:,} training images. To the left no penalty; to the right so much that the network "
        "cannot even fit what it sees.",
    )  # fmt: skip


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


LAB = Lab(
    "scratch",
    "A network written from scratch",
    TrainingSettings,
    investigate,
    (
        Question("Nearly every training image is right. Is the network good?", _memory),
        Question("Which matrices reveal an error in backpropagation, and why those?", _slip),
        Question("How strong a penalty is best, and how do you see that it is too strong?", _strength),
    ),
)
