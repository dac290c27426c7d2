"""The lab of small digits: the known network stopped early, other methods, and four ways down a valley."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
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
from ..plots.style import BLUE, COOL, HEAT, INK, LINE, RED, SOFT, percent_axis
from ..progress import Progress
from ..runs.preparation import recipe_of
from ..sklearn import GlyphClassifier
from ..training.optimizers import LBFGS, SGD, Adam, Optimizer
from .drawing import TEXT, panel, sheet
from .lab import Findings, Lab, LabSettings, Numbers
from .points import Float64Array
from .training import Trainer

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
        "pair": list(PAIR),
        "near": NEAR,
        "loss_at_start": highest,
        "lowest_loss": lowest,
        "along": along,
        "across": across,
        "steps": STEPS,
        "ways": rows,
    }
    return valley, paths, numbers


# The lab and its figures

_ITERATIONS = {False: [*range(1, 30), *range(30, 300, 5)], True: list(range(10, 300, 20))}
_STOPS = {False: [20, 40, 60, 80, 100, 120, 160], True: [40, 80, 120]}
"""Where the course is looked at, and where a network may be stopped: quick or not."""
_WAYS = ((INK, "-"), (SOFT, "-"), (RED, "-"), (BLUE, "-"))


def investigate(settings: LabSettings, progress: Progress) -> Findings:
    """Run the published experiment and its extensions, and draw what they found."""
    digits = read_digits()
    points, splits = _ITERATIONS[settings.quick], settings.repetitions(full=20, quick=2)
    total = len(points) + splits + len(METHODS) * splits
    known = three_stops(digits)
    numbers: dict[str, Any] = {
        "images": len(digits.labels),
        "known": known,
        "ignored": ignored(digits, known[0]["iterations"]),
    }
    seen = stopping_curve(digits, 0, points, lambda done: progress(done, total, "stopping at every iteration"))
    numbers["course"] = _course(seen)
    stops = []
    for split in range(splits):
        progress(len(points) + split, total, "stopping by validation")
        stops.append(stop_on_split(digits, split, _STOPS[settings.quick]))
    numbers["stopping"] = _stopping(stops)
    before = len(points) + splits
    numbers["methods"] = compare(
        digits, splits, settings.quick, lambda done, what: progress(before + done, total, what)
    )
    mlp, svm = (row["accuracies"] for row in numbers["methods"] if row["method"] in ("mlp", "svm"))
    numbers["svm_wins"] = sum(b > a for a, b in zip(mlp, svm, strict=True))
    valley, paths, numbers["valley"] = walk_all(digits)
    progress(total, total, "done")
    figures = {
        "images": _images(digits),
        "iterations": _iterations(seen),
        "stopping": _stopping_lines(stops),
        "spread": _spread(numbers["methods"]),
        "valley": _valley(valley, paths, numbers["valley"]["ways"]),
    }
    return Findings(numbers, figures)


def _course(seen: StoppingCurve) -> dict[str, Any]:
    best = seen.best
    return {
        "iterations": seen.iterations.tolist(),
        "loss": seen.loss.tolist(),
        "train_accuracy": seen.train.tolist(),
        "validation_accuracy": seen.validation.tolist(),
        "converged_at": int(seen.iterations[-1]),
        "best_at": int(seen.iterations[best]),
        "best_validation": float(seen.validation[best]),
        "last_validation": float(seen.validation[-1]),
    }


def _stopping(stops: list[dict[str, Any]]) -> dict[str, Any]:
    gains = np.array([row["stopped"] - row["converged"] for row in stops])
    interval = bootstrap_mean(gains)
    return {
        "splits": stops,
        "gain": float(gains.mean()),
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "better": int((gains > 0).sum()),
        "worse": int((gains < 0).sum()),
    }


def _images(digits: Digits) -> Figure:
    figure, ax = panel(3.7)
    firsts = [np.flatnonzero(digits.labels == digit)[:5] for digit in range(10)]
    gap = ((0, 0), (1, 1), (1, 1))
    wall = np.block([list(np.pad(digits.images[first, :, :, 0], gap)) for first in zip(*firsts, strict=True)])
    ax.imshow(wall, cmap="gray_r", interpolation="nearest")
    ax.set_axis_off()
    return figure


def _iterations(seen: StoppingCurve) -> Figure:
    figure, axes = sheet(1, 2, height=3.4)
    loss, accuracy = axes[0]
    loss.semilogy(seen.iterations, seen.loss, color=BLUE, linewidth=2)
    loss.set(title="training loss", xlabel="iteration of L-BFGS")
    accuracy.plot(seen.iterations, seen.train, color=BLUE, linewidth=2, label="training")
    accuracy.plot(seen.iterations, seen.validation, color=RED, linewidth=2, linestyle="--", label="validation")
    best = seen.best
    accuracy.plot(seen.iterations[best], seen.validation[best], "o", color=INK, markersize=7, label="best")
    accuracy.set(title="accuracy", xlabel="iteration of L-BFGS", ylim=(0.7, 1.01))
    accuracy.legend(frameon=False, fontsize=TEXT - 1, loc="lower right")
    percent_axis(accuracy.yaxis)
    return figure


def _stopping_lines(stops: list[dict[str, Any]]) -> Figure:
    figure, ax = panel()
    ordered = sorted(stops, key=lambda row: row["converged"])
    for place, row in enumerate(ordered):
        ax.plot([place, place], [row["converged"], row["stopped"]], color=LINE, linewidth=3, zorder=1)
    places = range(len(ordered))
    ax.plot(places, [row["converged"] for row in ordered], "s", color=RED, markersize=7, label="converged")
    ax.plot(places, [row["stopped"] for row in ordered], "o", color=BLUE, markersize=7, label="stopped by validation")
    ax.set(xlabel="split, ordered", ylabel="test accuracy", xticks=[])
    percent_axis(ax.yaxis)
    ax.legend(frameon=False, fontsize=TEXT - 1, loc="best")
    return figure


def _spread(rows: list[dict[str, Any]]) -> Figure:
    figure, ax = panel()
    for place, row in enumerate(rows):
        scores = np.array(row["accuracies"])
        beside = np.linspace(-0.22, 0.22, len(scores)) if len(scores) > 1 else np.zeros(1)
        ax.plot(scores, place + beside, "o", color=COOL, markersize=5, alpha=0.8)
        ax.plot([row["mean"]] * 2, [place - 0.36, place + 0.36], color=INK, linewidth=2)
    ax.set_yticks(range(len(rows)), labels=[row["name"] for row in rows])
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    ax.set(xlabel="test accuracy")
    percent_axis(ax.xaxis)
    return figure


def _valley(valley: Valley, paths: list[Float64Array], ways: Sequence[Numbers]) -> Figure:
    figure, axes = sheet(2, 2, height=6.0, sharex=True, sharey=True)
    low, high = np.array([-5.0, -3.0]), np.array([5.0, 7.0])
    across, up = (np.linspace(low[axis], high[axis], 120) for axis in range(2))
    grid = np.stack(np.meshgrid(across, up), axis=-1)
    loss = valley.loss(grid)
    levels = loss.min() + (loss.max() - loss.min()) * np.linspace(0.02, 1, 12) ** 2.5
    for ax, path, row, (colour, line) in zip(axes.flat, paths, ways, _WAYS, strict=True):
        ax.grid(False)
        ax.contour(across, up, loss, levels=levels, colors=[COOL], linewidths=0.8, alpha=0.7)
        ax.plot(*path.T, color=colour, linestyle=line, linewidth=1.3, marker=".", markersize=5)
        ax.plot(*START, "o", color=HEAT, markersize=8, zorder=3)
        ax.plot(*valley.lowest, "*", color=INK, markersize=12, zorder=3)
        steps = "not there" if row["arrived"] is None else f"{row['arrived']} steps"
        ax.set_title(f"{row['name']}: {steps}", fontsize=TEXT)
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    for ax in axes[1]:
        ax.set_xlabel("weight of the ink")
    for ax in axes[:, 0]:
        ax.set_ylabel("weight of the upper half")
    return figure


LAB = Lab("digits", "Small digits, and when to stop", LabSettings, investigate)
