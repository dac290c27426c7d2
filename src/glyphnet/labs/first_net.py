"""The lab of the first network: the published one, then with sigmoids instead of ReLU, and deeper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.nn import functional as F

from ..data import Splits
from ..evaluation import Evaluation
from ..explain import DeadUnits, dead_units
from ..nn import Preprocessing, build
from ..plots import confused_pairs, confusion_matrix, gallery, learning_curves
from ..plots.style import BLUE, RED, legend, percent_axis, whole_axis
from ..progress import Progress
from ..training import Recipe
from ..units import plural
from . import beside_keras, training
from .drawing import TEXT, by_epoch, panel, sheet
from .lab import Findings, Lab, Numbers, percent
from .points import Float64Array
from .training import TrainedNetwork, TrainingSettings

ACTIVATIONS = ("relu", "sigmoid")
DEEP = 5  # hidden layers of the deep pair

SEEN = (("Keras on JAX", 1.0, 1.3), ("Keras on TensorFlow", 3.7, 3.7), ("Keras on PyTorch", 7.5, 7.5))
"""Seconds an epoch of this very network, seen on a 2-core AMD EPYC with Python 3.11; from, to."""

_KNOWN_PAIRS = (("4", "9"), ("7", "9"), ("2", "7"))  # that such a network mixes up on MNIST
_EPOCHS_BESIDE_KERAS = 3
_LOOKED_AT = 512  # images in the one batch whose gradients are measured
_SHOWN = 24  # misclassified images
_NAMES = {"relu": "ReLU", "sigmoid": "sigmoid"}


@dataclass(frozen=True, eq=False)
class Result:
    """All that was trained."""

    splits: Splits
    trained: dict[tuple[str, int], list[TrainedNetwork]]  # by activation and hidden layers, one per seed
    dead: list[DeadUnits]  # of the first ReLU network
    active: Float64Array  # of each of its hidden units, ascending: the share of the test images that activate it
    gradients: dict[str, list[float]]  # by activation: each layer's RMS gradient in the untrained deep network
    keras: dict[str, Any] | None  # the same network in Keras: see `beside_keras.compare`

    @property
    def main(self) -> TrainedNetwork:
        """The known network, with the first seed."""
        return self.trained["relu", 1][0]


def known_recipe(settings: TrainingSettings, activation: str, layers: int, seed: int) -> Recipe:
    """The published network, 784–128–dropout 0.2–10 by Adam; deeper: ``layers`` times 128."""
    network = {
        "kind": "mlp",
        "hidden": [128] * layers,
        "dropout": 0.2 if layers == 1 else 0.0,
        "activation": activation,
    }
    return training.recipe(
        network, preprocessing="unit_range", epochs=settings.passes(full=10, quick=15), batch_size=32, seed=seed
    )


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
    """Train all of it."""
    splits = settings.read(progress)
    kinds = [(activation, layers) for layers in (1, DEEP) for activation in ACTIVATIONS]
    recipes = {kind: known_recipe(settings, *kind, seed=0) for kind in kinds}
    seeds = settings.repetitions(full=1, quick=1)
    trained = training.train_each(splits, recipes, seeds, progress, {kind: f"({kind[0]})" for kind in kinds})
    known = trained["relu", 1][0].classifier
    dead = dead_units(known, splits.test.images)
    # The features are the outputs of the one hidden layer.
    active = np.sort((known.features(splits.test.images, as_is=True) > 0).mean(axis=0))
    deep = {name: gradients(recipes[name, DEEP], splits) for name in ACTIVATIONS}
    keras = beside_keras.compare(splits, _EPOCHS_BESIDE_KERAS, progress)
    return Result(splits, trained, dead, active, deep, keras)


def gradients(asked: Recipe, splits: Splits) -> list[float]:
    """Root mean square of the gradient of each layer's weights, for a first batch, before the first step."""
    images = torch.from_numpy(np.array(splits.train.images[:_LOOKED_AT]))
    labels = torch.from_numpy(splits.train.labels[:_LOOKED_AT])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(asked.seed)
        network = build(asked.network, splits.image_shape, len(splits.classes)).eval()
    F.cross_entropy(network(Preprocessing(mode=asked.preprocessing)(images)), labels).backward()
    weights = [each for each in network.parameters() if each.ndim == 2]
    return [float(each.grad.square().mean().sqrt()) for each in weights if each.grad is not None]


def measure(result: Result) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    main, evaluation = result.main, result.main.evaluation
    losses = main.curve("val_loss")
    classes = result.splits.classes
    return {
        **training.data_numbers(result.splits, main),
        "pixels": math.prod(result.splits.image_shape),
        "parameters": main.classifier.summary().parameters,
        "layers": training.layers_of(main),
        "accuracy": {"value": evaluation.accuracy, **main.test_interval},
        "wrong": int((~evaluation.correct).sum()),
        "seconds_per_epoch": main.seconds_per_epoch,
        "seen_seconds_per_epoch": {name: [low, high] for name, low, high in SEEN},
        "last": main.last,
        "best_epoch": main.best_epoch,
        "lowest_val_loss": {"epoch": int(np.argmin(losses)) + 1, "value": min(losses)},
        "confused": [
            {"true": classes[each.true], "predicted": classes[each.predicted], "count": each.count, "share": each.share}
            for each in evaluation.most_confused(10)
        ],
        "known_pairs": _known_pairs(result),
        "classes": {
            name: {key: getattr(row, key).value for key in ("precision", "recall", "f1")} | {"support": row.support}
            for name, row in evaluation.classification_report.items()
        },
        "worst": [
            {
                "true": classes[evaluation.labels[row]],
                "predicted": classes[evaluation.predictions[row]],
                "confidence": float(evaluation.confidence[row]),
            }
            for row in _worst(evaluation)
        ],
        "dead": [{"layer": row.layer, "units": row.units, "dead": len(row.dead)} for row in result.dead],
        "active": {"median": float(np.median(result.active)), "highest": float(result.active[-1])},
        "activations": [
            {
                "activation": activation,
                "title": _NAMES[activation],
                "layers": layers,
                "accuracy": training.accuracies(runs),
                "first_loss": runs[0].curve("loss")[0],
                "last_loss": runs[0].last["loss"],
                "first_val_accuracy": runs[0].curve("val_accuracy")[0],
            }
            for (activation, layers), runs in result.trained.items()
        ],
        "gradients": result.gradients,
        "keras": {"code": beside_keras.code(), "run": result.keras},
    }


def _known_pairs(result: Result) -> list[dict[str, Any]]:
    """How often those were mixed up, either way round; empty where there are no such classes."""
    classes, matrix = result.splits.classes, result.main.evaluation.confusion_matrix
    places = [(classes.index(a), classes.index(b)) for a, b in _KNOWN_PAIRS if a in classes and b in classes]
    return [{"pair": [classes[a], classes[b]], "count": int(matrix[a, b] + matrix[b, a])} for a, b in places]


def _worst(evaluation: Evaluation) -> list[int]:
    """The misclassified images that it was most wrong about."""
    return [row for row in evaluation.top_losses(len(evaluation)).tolist() if not evaluation.correct[row]][:_SHOWN]


# The figures of the page

_COLOURS = dict(zip(ACTIVATIONS, (BLUE, RED), strict=True))
_LINES = dict(zip(ACTIVATIONS, ("-", "--"), strict=True))


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Run the experiment and draw what it found."""
    result = experiment(settings, progress)
    numbers = measure(result)
    figures = {
        "curves": _curves(result),
        "confusion": _confusion(result),
        "confusion-by-row": _confusion(result, "true"),
        "misclassified": _misclassified(result),
        "pairs": _pairs(numbers),
        "speed": _speed(numbers),
        "units": _units(result.active),
        "derivatives": _derivatives(),
        "gradients": _gradients(numbers),
        "activations": _activations(result),
    }
    if result.keras is not None:
        figures["keras"] = _keras(result.keras)
    return Findings(numbers, figures)


def _curves(result: Result) -> Figure:
    figure, axes = sheet(1, 2, height=3.4)
    learning_curves(result.main.history, best_epoch=result.main.best_epoch, axes=axes[0])
    return figure


def _confusion(result: Result, normalize: Literal["true"] | None = None) -> Figure:
    evaluation = result.main.evaluation
    figure, ax = panel(6.2)
    confusion_matrix(evaluation.confusion_matrix, evaluation.classes, normalize=normalize, ax=ax)
    return figure


def _misclassified(result: Result) -> Figure:
    evaluation = result.main.evaluation
    wrong, names = _worst(evaluation), evaluation.classes
    titles = [
        f"{names[evaluation.labels[row]]}, predicted {names[evaluation.predictions[row]]}\n"
        f"{percent(evaluation.confidence[row])} sure"
        for row in wrong
    ]
    figure, ax = panel(6.6)
    gallery(np.asarray(evaluation.images[np.array(wrong, np.int64)]), titles, columns=6, ax=ax)
    return figure


def _pairs(numbers: Numbers) -> Figure:
    figure, ax = panel(3.8)
    rows = numbers["confused"]
    confused_pairs([(row["true"], row["predicted"]) for row in rows], [row["count"] for row in rows], ax=ax)
    return figure


def _speed(numbers: Numbers) -> Figure:
    figure, ax = panel(2.6)
    own = numbers["seconds_per_epoch"]
    rows = [("GlyphNet, this run", own, own)]
    rows += [(name, low, high) for name, (low, high) in numbers["seen_seconds_per_epoch"].items()]
    places = np.arange(len(rows))
    bars = ax.barh(places, [high for _, _, high in rows], height=0.6, color=[BLUE, *[RED] * (len(rows) - 1)], alpha=0.8)
    labels = [f"{low:.2f} s" if low == high else f"{low:.2f} to {high:.2f} s" for _, low, high in rows]
    ax.bar_label(bars, labels, padding=4, fontsize=TEXT - 1)
    ax.set_yticks(places, [name for name, _, _ in rows])
    ax.invert_yaxis()
    ax.margins(x=0.18)
    ax.grid(False, axis="y")
    ax.set_xlabel("seconds per epoch")
    return figure


def _units(active: Float64Array) -> Figure:
    figure, ax = panel(3.2)
    dead = active == 0
    ax.bar(np.arange(len(active)), active, width=1.0, color=BLUE, alpha=0.8)
    ax.plot(np.flatnonzero(dead), active[dead], "x", color=RED, markersize=8, label="dead", clip_on=False)
    percent_axis(ax.yaxis)
    whole_axis(ax.xaxis)
    ax.set(xlabel="hidden units, least active first", ylabel="images that activate it", ylim=(0, 1.02))
    legend(ax)
    return figure


def _derivatives() -> Figure:
    figure, axes = sheet(1, 2, height=3.1)
    x = np.linspace(-6, 6, 601)
    sigmoid = 1 / (1 + np.exp(-x))
    curves = {"relu": (np.maximum(x, 0), (x > 0) * 1.0), "sigmoid": (sigmoid, sigmoid * (1 - sigmoid))}
    for ax, title, place in zip(axes[0], ("The function", "Its derivative"), (0, 1), strict=True):
        for name, pair in curves.items():
            ax.plot(x, pair[place], color=_COLOURS[name], linestyle=_LINES[name], linewidth=1.8, label=_NAMES[name])
        ax.set(title=title, xlabel="sum of a unit's weighted inputs", ylim=(-0.05, 3 if place == 0 else 1.15))
    legend(axes[0, 0], "upper left")
    return figure


def _activations(result: Result) -> Figure:
    figure, axes = sheet(1, 2, height=3.3, sharey=True)
    for ax, layers in zip(axes[0], (1, DEEP), strict=True):
        for name in ACTIVATIONS:
            loss = result.trained[name, layers][0].curve("loss")
            by_epoch(ax, loss, _LINES[name], color=_COLOURS[name], label=_NAMES[name], linewidth=1.5)
        ax.set(title=plural(layers, "hidden layer"), xlabel="epoch", yscale="log")
    axes[0, 0].set_ylabel("training loss")
    legend(axes[0, 0])
    return figure


def _gradients(numbers: Numbers) -> Figure:
    figure, ax = panel(3.0)
    for name, values in numbers["gradients"].items():
        by_epoch(ax, values, _LINES[name], color=_COLOURS[name], label=_NAMES[name], marker="o", linewidth=1.5)
    ax.set(yscale="log", xlabel="layer, from the image to the answer", ylabel="gradient (RMS)")
    legend(ax)
    return figure


def _keras(run: Numbers) -> Figure:
    figure, ax = panel(2.8)
    own, other = run["rows"]
    by_epoch(ax, own["losses"], color=BLUE, label=own["name"])
    by_epoch(ax, other["losses"], " ", color=RED, label=other["name"], markersize=9, marker="x")
    ax.set(xlabel="epoch", ylabel="training loss")
    legend(ax)
    return figure


LAB = Lab("first-net", "A first network, and what to look at in it", TrainingSettings, investigate)
