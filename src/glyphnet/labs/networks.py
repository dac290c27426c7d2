"""The lab of the kinds of network: each trained in the same way on the same images, over several seeds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..data import Splits
from ..plots.style import BLUE, HEAT, INK, RED, SOFT, percent_axis
from ..progress import Progress
from . import training
from .drawing import TEXT, by_epoch, legend_above, mean_and_interval, name_rows, panel, sheet
from .lab import Findings, Lab, Numbers
from .training import TrainedNetwork, TrainingSettings

TITLES = {"linear": "no hidden layer", "mlp": "fully connected", "cnn": "convolutional", "rnn": "recurrent (LSTM)"}

_TIMED = 1000  # test images that are answered while the clock runs
_TIMINGS = 3


@dataclass(frozen=True, eq=False)
class Result:
    """The data, the networks by kind, one per seed, and the seconds of one prediction where many are asked at once."""

    splits: Splits
    trained: dict[str, list[TrainedNetwork]]
    answer_seconds: dict[str, float]


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
    """Train every kind with every seed; time its answers."""
    splits = settings.read(progress)
    networks: dict[str, dict[str, Any]] = {  # one of each kind, of the sizes that textbooks give them
        "linear": {"kind": "linear"},
        "mlp": {"kind": "mlp", "hidden": [128], "dropout": 0.2},
        "cnn": training.classic_cnn(splits),
        "rnn": {"kind": "rnn", "hidden": 128},
    }
    common: dict[str, Any] = {
        "preprocessing": "unit_range",
        "epochs": settings.passes(full=10, quick=8),
        "batch_size": 32 if settings.quick else 128,  # few images make few steps
    }
    recipes = {kind: training.recipe(network, **common) for kind, network in networks.items()}
    trained = training.train_each(splits, recipes, settings.repetitions(full=3, quick=2), progress, TITLES)
    return Result(splits, trained, {kind: _time_answers(runs[0], splits) for kind, runs in trained.items()})


def _time_answers(trained: TrainedNetwork, splits: Splits) -> float:
    """Seconds for one image, of the fastest of a few rounds."""
    images = np.asarray(splits.test.images[:_TIMED])
    trained.classifier.logits(images, as_is=True)  # the first call prepares
    seconds = []
    for _ in range(_TIMINGS):
        began = time.perf_counter()
        trained.classifier.logits(images, as_is=True)
        seconds.append(time.perf_counter() - began)
    return min(seconds) / len(images)


def measure(result: Result) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    return {
        **training.data_numbers(result.splits, result.trained["mlp"][0]),
        "size": list(result.splits.image_shape[:2]),
        "networks": {kind: _one(result, kind) for kind in result.trained},
    }


def _one(result: Result, kind: str) -> dict[str, Any]:
    runs = result.trained[kind]
    counted = runs[0].classifier.summary()
    return {
        "title": TITLES[kind],
        "parameters": counted.parameters,
        "flops": counted.flops,
        "flops_per_second": counted.flops / result.answer_seconds[kind],
        "layers": training.layers_of(runs[0]),
        "seconds_per_epoch": float(np.median([run.seconds_per_epoch for run in runs])),
        "seconds_per_answer": result.answer_seconds[kind],
        "accuracy": training.accuracies(runs),
        "test_interval": runs[0].test_interval,
        "validation_by_epoch": runs[0].curve("val_accuracy"),
    }


# The figures of the page

_STYLES = {"linear": (SOFT, ":", "s"), "mlp": (RED, "--", "D"), "cnn": (BLUE, "-", "o"), "rnn": (HEAT, "-.", "^")}
_COSTS = {"parameters": "parameters", "flops": "FLOPs an image", "seconds_per_epoch": "seconds an epoch"}


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Run the experiment and draw what it found."""
    numbers = measure(experiment(settings, progress))
    rows = numbers["networks"]
    return Findings(numbers, {"accuracy": _accuracy(rows), "costs": _costs(rows), "curves": _curves(rows)})


def _accuracy(rows: Numbers) -> Figure:
    figure, ax = panel(2.6)
    for place, (kind, row) in enumerate(rows.items()):
        colour, _, marker = _STYLES[kind]
        values = row["accuracy"]["values"]
        ax.plot(values, np.full(len(values), place), "o", color=colour, markersize=4, alpha=0.6)
        mean_and_interval(ax, place, row["accuracy"], marker, colour)
    name_rows(ax, [TITLES[kind] for kind in rows])
    percent_axis(ax.xaxis)
    ax.set_xlabel("test accuracy")
    return figure


def _costs(rows: Numbers) -> Figure:
    figure, axes = sheet(1, len(_COSTS), height=2.9, sharey=True)
    for ax, (key, heading) in zip(axes[0], _COSTS.items(), strict=True):
        values = [row[key] for row in rows.values()]
        bars = ax.barh(range(len(rows)), values, height=0.6, color=[_STYLES[kind][0] for kind in rows], alpha=0.85)
        ax.bar_label(bars, [_short(value) for value in values], padding=3, fontsize=TEXT - 2, color=INK)
        ax.set(xlabel=heading, xticks=[])
        ax.margins(x=0.3)
        ax.grid(False)
    name_rows(axes[0, 0], [TITLES[kind] for kind in rows])
    return figure


def _curves(rows: Numbers) -> Figure:
    figure, ax = panel()
    for kind, row in rows.items():
        colour, line, marker = _STYLES[kind]
        curve = row["validation_by_epoch"]
        by_epoch(ax, curve, line, color=colour, label=TITLES[kind], marker=marker, markersize=4, linewidth=1.6)
    percent_axis(ax.yaxis)
    ax.set(xlabel="epoch", ylabel="validation accuracy")
    legend_above(ax)
    return figure


def _short(value: float) -> str:
    """``102 k``, ``4.8 M``, ``1.23``."""
    for scale, unit in ((1e6, " M"), (1e3, " k")):
        if value >= 0.9995 * scale:
            return f"{value / scale:.3g}{unit}"
    return f"{value:.3g}"


LAB = Lab("networks", "Fully connected, convolutional, recurrent", TrainingSettings, investigate)
