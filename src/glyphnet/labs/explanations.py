"""The lab of explanations: do the pixels that a method names matter, and does its map depend on what was learned?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from ..classifier import Classifier
from ..data import Splits
from ..data.dataset import UInt8Array
from ..explain import saliency
from ..explain.methods import suited
from ..nn import build
from ..plots import gallery
from ..plots.style import BLUE, COOL, HEAT, INK, RED, SOFT, percent_axis
from ..progress import Progress
from . import training
from .drawing import TEXT, legend_above, name_rows, panel, sheet
from .lab import Findings, Lab, Numbers
from .training import TrainedNetwork, TrainingSettings

REMOVED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
"""Shares of an image's ink that are removed."""

RANDOM = "random"
SHOWN = 4
_COLOURS = (BLUE, RED, HEAT, COOL)
_MARKS = "osD^"

Maps = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, eq=False)
class Result:
    """A trained network, the images that were explained, and what the methods say of them."""

    splits: Splits
    trained: TrainedNetwork
    images: UInt8Array  # (N, H, W, C)
    maps: dict[str, Maps]  # by method, (N, H, W)
    before: dict[str, Maps]  # the same of the network before it learned
    kept: dict[str, list[float]]  # by method and "random": share of answers that stay, for each of REMOVED


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
    """Train a convolutional network, explain test images that it names rightly, and remove ink in several orders."""
    splits = settings.read(progress)
    recipe = training.recipe(training.classic_cnn(splits), epochs=settings.passes(full=3, quick=12))
    trained = training.train_each(splits, {"cnn": recipe}, 1, progress, {"cnn": "the network"})["cnn"][0]
    classifier = trained.classifier
    right = np.flatnonzero(trained.evaluation.predictions == splits.test.labels)[: 60 if settings.quick else 400]
    images, labels = splits.test.images[right], splits.test.labels[right]
    torch.manual_seed(1)
    network = build(classifier.spec, classifier.input_shape, len(classifier.classes))
    fresh = Classifier(
        network, classifier.spec, classifier.input_shape, classifier.classes, classifier.preprocessing
    )  # fmt: skip
    methods = suited(classifier.network)
    maps, before, kept = {}, {}, {}
    for done, method in enumerate(methods):
        progress(done, len(methods), f"explaining by {method}")
        maps[method] = saliency(classifier, images, labels, method=method)
        before[method] = saliency(fresh, images, labels, method=method)
        kept[method] = _kept(classifier, images, labels, maps[method])
    noise = np.random.default_rng(0).random(images.shape[:3], dtype=np.float32)
    kept[RANDOM] = _kept(classifier, images, labels, noise)
    return Result(splits, trained, images, maps, before, kept)


def _kept(classifier: Classifier, images: UInt8Array, labels: Any, maps: Maps) -> list[float]:
    """The share of images that keep their answer while ink is removed, the most important first."""
    return [float((classifier.predict_labels(without_ink(images, maps, share)) == labels).mean()) for share in REMOVED]


def without_ink(images: UInt8Array, maps: Maps, share: float) -> UInt8Array:
    """The images without this share of their ink, the pixels with the highest values of the maps first.

    Ink is every pixel that differs from the background, the commonest value of the image's rim.

    Args:
        images: uint8 (N, H, W, C).
        maps: float (N, H, W).
        share: from 0 to 1.
    """
    cut = images.copy()
    for image, values in zip(cut, maps, strict=True):
        rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        background = np.median(rim, axis=0).astype(np.uint8)
        ink = np.flatnonzero((image != background).any(axis=2))
        order = ink[np.argsort(-values.ravel()[ink], kind="stable")]
        image.reshape(-1, image.shape[2])[order[: round(share * len(ink))]] = background
    return cut


def agreement(maps: Maps, others: Maps) -> float:
    """Mean rank correlation of the maps' absolute values, image by image; 0 where one of them is constant."""
    found = [
        spearmanr(np.abs(one).ravel(), np.abs(other).ravel()).statistic
        for one, other in zip(maps, others, strict=True)
        if one.std() > 0 and other.std() > 0
    ]
    return float(np.sum(found) / len(maps))


def measure(result: Result) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    return {
        **training.data_numbers(result.splits, result.trained),
        "accuracy": result.trained.evaluation.accuracy,
        "explained": len(result.images),
        "removed": list(REMOVED),
        "kept": result.kept,
        "methods": [
            {
                "name": method,
                "half": result.kept[method][REMOVED.index(0.5)],
                "area": float(np.trapezoid(result.kept[method], REMOVED) / REMOVED[-1]),
                "before": agreement(result.maps[method], result.before[method]),
            }
            for method in result.maps
        ],
        "random": {
            "half": result.kept[RANDOM][REMOVED.index(0.5)],
            "area": float(np.trapezoid(result.kept[RANDOM], REMOVED) / REMOVED[-1]),
        },
    }


# The figures of the page


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Run the experiment and draw what it found."""
    result = experiment(settings, progress)
    numbers = measure(result)
    return Findings(
        numbers, {"maps": _maps(result), "removed": _removed(result.kept), "before": _before(numbers["methods"])}
    )


def _maps(result: Result) -> Figure:
    names = list(result.maps)
    figure, grid = sheet(SHOWN, 1 + len(names), height=1.6 * SHOWN + 0.5)
    for row in range(SHOWN):
        gallery(result.images[row : row + 1], [""], ax=grid[row, 0])
        for ax, name in zip(grid[row, 1:], names, strict=True):
            values = result.maps[name][row]
            limit = float(np.abs(values).max()) or 1.0
            ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
            ax.set_axis_off()
    for ax, name in zip(grid[0], ("image", *names), strict=True):
        ax.set_title(name, fontsize=TEXT)
    return figure


def _removed(kept: Mapping[str, list[float]]) -> Figure:
    figure, ax = panel(3.6)
    for place, (name, shares) in enumerate(kept.items()):
        random = name == RANDOM
        colour, mark = (SOFT, "x") if random else (_COLOURS[place % 4], _MARKS[place % 4])
        ax.plot(REMOVED, shares, color=colour, marker=mark, linestyle="--" if random else "-", label=name)
    ax.set(xlabel="share of the ink removed", ylabel="answers that stay", ylim=(-0.03, 1.03))
    percent_axis(ax.xaxis)
    percent_axis(ax.yaxis)
    legend_above(ax, columns=4)
    return figure


def _before(rows: list[Numbers]) -> Figure:
    figure, ax = panel(0.9 + 0.5 * len(rows))
    ax.barh(range(len(rows)), [row["before"] for row in rows], color=[BLUE] * len(rows), height=0.6)
    ax.axvline(0, color=INK, linewidth=1)
    name_rows(ax, [row["name"] for row in rows])
    ax.set(xlabel="rank correlation with the map before training", xlim=(-0.2, 1))
    return figure


LAB = Lab("explanations", "Can you believe an explanation?", TrainingSettings, investigate)
