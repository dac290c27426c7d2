"""The lab of dropout: the two known networks and a convolutional one, on the same division of the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..data import Splits
from ..evaluation import evaluate
from ..plots import gallery, learning_curves
from ..plots.style import BLUE, INK, RED, SOFT, dress, legend, percent_axis
from ..progress import Progress
from . import training
from .drawing import TEXT, by_epoch, legend_above, name_rows, panel, sheet
from .lab import Findings, Lab, Numbers
from .training import TrainedNetwork, TrainingSettings, repeats

WITHOUT, WITH, CNN = "without", "with", "cnn"

TITLES = {WITHOUT: "(a) without dropout", WITH: "(b) with dropout", CNN: "convolutional"}

KNOWN = {WITHOUT: {"training": 0.9971, "validation": 0.9756}, WITH: {"training": 0.9780, "validation": 0.9783}}
"""What these two are known to reach on MNIST after 10 epochs."""

SEEN = {WITHOUT: 8.7, CNN: 11.1}
"""Seconds an epoch, seen with Keras on TensorFlow on a 2-core AMD EPYC with Python 3.11."""

FIRST = 4  # test images whose answers are shown


@dataclass(frozen=True, eq=False)
class Result:
    """All that was trained."""

    splits: Splits
    trained: dict[str, list[TrainedNetwork]]  # by kind, one per seed
    at_rest: dict[str, float]  # by kind: the first network's accuracy on the training images, with all units


def networks(splits: Splits) -> dict[str, dict[str, Any]]:
    """The three: a single wide layer, two layers with dropout behind each, and convolutions."""
    return {
        WITHOUT: {"kind": "mlp", "hidden": [784]},
        WITH: {"kind": "mlp", "hidden": [784, 130], "dropout": 0.5},
        CNN: training.classic_cnn(splits),
    }


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
    """Train all three. The last epoch's weights are kept, as in the published experiment."""
    splits = settings.read(progress, validation_fraction=0.2)
    common: dict[str, Any] = {
        "preprocessing": "unit_norm",
        "epochs": settings.passes(full=10, quick=15),
        "keep_best": False,
    }
    recipes = {
        # Few images make few steps.
        kind: training.recipe(network, batch_size=128 if kind == CNN and not settings.quick else 50, **common)
        for kind, network in networks(splits).items()
    }
    trained = training.train_each(splits, recipes, settings.repetitions(full=1, quick=1), progress, TITLES)
    at_rest = {kind: evaluate(runs[0].classifier, splits.train).accuracy for kind, runs in trained.items()}
    return Result(splits, trained, at_rest)


def measure(result: Result) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    return {
        **training.data_numbers(result.splits, result.trained[WITHOUT][0]),
        "classes": list(result.splits.classes),
        "networks": {kind: _one(result, kind) for kind in result.trained},
        "first": _first_numbers(result),
    }


def _one(result: Result, kind: str) -> dict[str, Any]:
    runs = result.trained[kind]
    first = runs[0]
    counted = first.classifier.summary()
    return {
        "title": TITLES[kind],
        "parameters": counted.parameters,
        "flops": counted.flops,
        "layers": training.layers_of(first),
        "training": repeats([run.last["accuracy"] for run in runs]),
        "validation": repeats([run.last["val_accuracy"] for run in runs]),
        "test": training.accuracies(runs),
        "test_interval": first.test_interval,
        "gap": repeats([run.last["accuracy"] - run.last["val_accuracy"] for run in runs]),
        "training_at_rest": result.at_rest[kind],
        "gap_at_rest": result.at_rest[kind] - first.last["val_accuracy"],
        "last": first.last,
        "lowest_val_loss": min(first.curve("val_loss")),
        "seconds_per_epoch": first.seconds_per_epoch,
        "seen_seconds_per_epoch": SEEN.get(kind),
        "known": KNOWN.get(kind),
    }


def _first_numbers(result: Result) -> list[dict[str, Any]]:
    """The first test images: what they are, and what each network says of them."""
    classes, labels = result.splits.classes, result.splits.test.labels
    answers = {kind: runs[0].evaluation for kind, runs in result.trained.items()}
    return [
        {
            "name": f"Image {row + 1}",
            "label": classes[labels[row]],
            "predicted": {kind: classes[each.predictions[row]] for kind, each in answers.items()},
            "right": bool(answers[WITH].predictions[row] == labels[row]),
            "probabilities": {
                kind: [round(float(p), 6) for p in each.probabilities[row]] for kind, each in answers.items()
            },
        }
        for row in range(min(FIRST, len(labels)))
    ]


# The figures of the page


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Run the experiment and draw what it found."""
    result = experiment(settings, progress)
    numbers = measure(result)
    figures = {
        "curves": _curves(result),
        "gap": _gap(numbers),
        "first-four": _first_four(result, numbers),
        "three": _three(result),
    }
    return Findings(numbers, figures)


def _curves(result: Result) -> Figure:
    figure, axes = sheet(2, 2, height=6.2, sharey="row", sharex=True)
    for column, kind in enumerate((WITHOUT, WITH)):
        learning_curves(result.trained[kind][0].history, axes=list(axes[:, column]))
        axes[0, column].set(title=TITLES[kind], xlabel="")
        axes[1, column].set_title("")
    axes[0, 0].set_ylabel("loss", fontsize=TEXT)
    axes[1, 0].set_ylabel("accuracy", fontsize=TEXT)
    return figure


def _gap(numbers: Numbers) -> Figure:
    figure, ax = panel(2.9)
    names: list[str] = []
    for kind in (WITHOUT, WITH):
        measured = numbers["networks"][kind]
        validation = measured["last"]["val_accuracy"]
        ways = {"during training": measured["last"]["accuracy"], "all units": measured["training_at_rest"]}
        for how, accuracy in ways.items():
            place = len(names)
            ax.plot([accuracy, validation], [place, place], color=SOFT, linewidth=3, alpha=0.4, zorder=1)
            ax.plot(accuracy, place, "o", color=BLUE, markersize=8, label=None if place else "training")
            ax.plot(validation, place, "D", color=RED, markersize=7, label=None if place else "validation")
            names.append(f"{TITLES[kind]},\n{how}")
    name_rows(ax, names)
    percent_axis(ax.xaxis)
    ax.set_xlabel("accuracy after the last epoch")
    legend_above(ax)
    return figure


def _first_four(result: Result, numbers: Numbers) -> Figure:
    test, rows = result.splits.test, numbers["first"]
    figure, grid = sheet(2, len(rows), height=3.9, gridspec_kw={"height_ratios": (1, 1.1)})
    for column, row in enumerate(rows):
        above, below = grid[:, column]
        gallery(np.asarray(test.images[column : column + 1]), [""], ax=above)
        title = f"is {row['label']}, predicted {row['predicted'][WITH]}"
        above.set_title(title, fontsize=TEXT, color=INK if row["right"] else RED)
        dress(below).bar(range(len(test.classes)), row["probabilities"][WITH], color=BLUE, alpha=0.85)
        below.set_xticks(range(len(test.classes)), test.classes, fontsize=8)
        below.set_ylim(0, 1.02)
        below.grid(False, axis="x")
        percent_axis(below.yaxis)
        below.tick_params(labelleft=column == 0)
    return figure


def _three(result: Result) -> Figure:
    figure, ax = panel(3.2)
    for kind, colour, line in ((WITHOUT, RED, "--"), (WITH, BLUE, ":"), (CNN, BLUE, "-")):
        by_epoch(ax, result.trained[kind][0].curve("val_accuracy"), line, color=colour, label=TITLES[kind])
    percent_axis(ax.yaxis)
    ax.set(xlabel="epoch", ylabel="validation accuracy")
    legend(ax, "lower right")
    return figure


LAB = Lab("dropout", "What dropout does to the gap", TrainingSettings, investigate)
