"""The lab's pictures, each with what it shows in words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ...plots import gallery
from ...plots.style import BLUE, INK, RED, legend, percent_axis, whole_axis
from ..lab import Numbers, Picture
from ..sheet import TEXT, sheet
from ..wording import percent
from .experiment import EVERY, Done, rows

_MANY = 32
_WRONG = (6, 5)  # columns and rows of misclassified images


def classes_picture(done: Done) -> Picture:
    """One of each class, then many of one class."""
    train = done.splits.train
    first = [int(np.flatnonzero(train.labels == label)[0]) for label in range(len(train.classes))]
    last = 3 * len(train.classes) // 4  # of ten digits 7, with and without a bar
    many = np.flatnonzero(train.labels == last)[:_MANY]
    figure, axes = sheet(2, 1, height=6.3, height_ratios=[1, 1.35])
    _tiles(axes[0, 0], train.images[first], list(train.classes), columns=5)
    gallery(train.images[many], [""] * len(many), columns=8, ax=axes[1, 0])
    return Picture(
        "images", figure,
        alt=f"One image of each of {len(first)} classes, then {len(many)} images of class {train.classes[last]}, "
        "each drawn otherwise.",
        caption=f"Above: the first image of each class. Below: {len(many)} of class {train.classes[last]}, by many "
        "hands.",
    )  # fmt: skip


def cost_picture(done: Done, numbers: Numbers) -> Picture:
    """The cost of every 50th step, and averaged over each epoch."""
    net, known = done.net, numbers["known"]
    figure, axes = sheet(2, 1, height=5.2)
    steps = range(EVERY, len(net.cost_) + 1, EVERY)
    axes[0, 0].plot(steps, net.cost_[EVERY - 1 :: EVERY], color=BLUE, linewidth=0.8)
    axes[0, 0].set(xlabel=f"step (every {EVERY}th)", ylabel="cost J", yscale="log")
    axes[1, 0].plot(range(1, net.n_iter_ + 1), net.epoch_cost_, color=BLUE, linewidth=2)
    axes[1, 0].set(xlabel="epoch", ylabel="mean cost of its steps", yscale="log")
    whole_axis(axes[1, 0].xaxis)
    for ax in axes.flat:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
    return Picture(
        "cost", figure,
        alt=f"Cost by step and by epoch: the mean of an epoch falls from {known['first_cost']:,.0f} to "
        f"{known['last_cost']:,.0f}.",
        caption=f"Each step sees another mini-batch, so its cost jumps. The mean over the {known['minibatches']} steps "
        "of an epoch, below, is smooth. Both scales are logarithmic.",
    )  # fmt: skip


def accuracy_picture(done: Done, numbers: Numbers) -> Picture:
    """Accuracy by epoch, on what was learnt and on what was not."""
    known = numbers["known"]
    figure, axes = sheet(height=3.4)
    ax = axes[0, 0]
    ax.plot(range(1, done.net.n_iter_ + 1), done.net.train_accuracy_, color=BLUE, linewidth=2, label="training")
    looks = known["looks"]
    ax.plot(
        [look["epoch"] for look in looks], [look["test_accuracy"] for look in looks],
        color=RED, linestyle="--", linewidth=2, label="test",
    )  # fmt: skip
    ax.set(xlabel="epoch", ylabel="accuracy", ylim=(max(0.0, looks[-1]["test_accuracy"] - 0.25), 1.0))
    percent_axis(ax.yaxis)
    whole_axis(ax.xaxis)
    _legend(ax)
    return Picture(
        "accuracy", figure,
        alt=f"Accuracy by epoch, at the end {percent(known['train_accuracy'], 1)} in training and "
        f"{percent(known['test_accuracy'], 1)} on test images.",
        caption="The training curve is counted during each epoch, while the weights still move.",
    )  # fmt: skip


def wrong_picture(done: Done) -> Picture | None:
    """Test images that it takes for something else; None where there are none."""
    test = done.splits.test
    predicted = done.net.predict(rows(test))
    columns, lines = _WRONG
    wrong = np.flatnonzero(predicted != test.labels)[: columns * lines]
    if not len(wrong):
        return None
    names = [f"t: {test.classes[test.labels[row]]}  p: {test.classes[predicted[row]]}" for row in wrong]
    figure, axes = sheet(height=1.45 * math.ceil(len(wrong) / columns))
    _tiles(axes[0, 0], test.images[wrong], names, columns=columns)
    return Picture(
        "misclassified", figure,
        alt=f"{len(wrong)} test images taken for another class, the first one a {test.classes[test.labels[wrong[0]]]} "
        f"taken for a {test.classes[predicted[wrong[0]]]}.",
        caption="t: the true class; p: the predicted one. The first ones in the order of the test images.",
    )  # fmt: skip


def solvers_picture(numbers: Numbers) -> Picture:
    """The loss by pass over the data, for each solver."""
    solvers = numbers["solvers"]
    figure, axes = sheet(1, 2, height=3.3)
    panels = (
        (f"{numbers['hidden']} hidden units", (("sgd", "SGD", RED, "--"), ("lbfgs", "L-BFGS", BLUE, "-"))),
        ("a small network", (("small bfgs", "BFGS", RED, "--"), ("small lbfgs", "L-BFGS", BLUE, "-"))),
    )
    for ax, (title, lines) in zip(axes[0], panels, strict=True):
        for key, label, colour, style in lines:
            losses = solvers[key]["losses"]
            ax.plot(range(1, len(losses) + 1), losses, color=colour, linestyle=style, linewidth=2, label=label)
        ax.set(xlabel="epoch or iteration", title=title, yscale="log")
        _legend(ax)
    axes[0, 0].set_ylabel("loss an image")
    told = "; ".join(f"{key} {row['loss']:.3g} after {row['passes']}" for key, row in solvers.items())
    return Picture(
        "solvers", figure,
        alt=f"Loss by pass over the data, from the same weights: {told}.",
        caption="Cross-entropy of the training images, without the penalty. An iteration of L-BFGS or BFGS looks at "
        "all images at once, at times more than once; an epoch of SGD takes a step for each mini-batch.",
    )  # fmt: skip


def sizes_picture(numbers: Numbers) -> Picture:
    """Training and test loss as the data shrink."""
    fits = numbers["by_size"]
    figure, axes = sheet(height=3.6)
    ax = axes[0, 0]
    _losses(ax, [fit["images"] for fit in fits], fits)
    ax.set(xlabel="training images", ylabel="loss an image", xscale="log")
    ax.set_xticks([fit["images"] for fit in fits], [f"{fit['images']:,}" for fit in fits])
    ax.minorticks_off()
    few, many, draws = fits[0], fits[-1], fits[0]["test_loss"]["n"]
    return Picture(
        "fewer-images", figure,
        alt=f"Test loss {few['test_loss']['mean']:.2g} with {few['images']:,} images and "
        f"{many['test_loss']['mean']:.2g} with {many['images']:,}; training loss never above "
        f"{max(fit['train_loss']['mean'] for fit in fits):.1g}.",
        caption="No penalty. " + (
            f"Bars: the 95 % interval of the mean over {draws} draws of images and weights." if draws > 1
            else "One draw of images and weights."
        ),
    )  # fmt: skip


def penalties_picture(numbers: Numbers) -> Picture:
    """Training and test loss with more and more penalty."""
    figure, axes = sheet(1, 2, height=3.5, sharey=True)
    said = []
    for ax, (name, fits) in zip(axes[0], numbers["by_penalty"].items(), strict=True):
        _losses(ax, list(range(len(fits))), fits)
        ax.set_xticks(range(len(fits)), [f"{fit[name]:g}" for fit in fits])
        ax.set(xlabel=name)
        best = min(fits, key=lambda fit: fit["test_loss"]["mean"])
        said.append(f"{name} {best[name]:g} has the lowest test loss, {best['test_loss']['mean']:.2g}")
    axes[0, 0].set_ylabel("loss an image")
    without = numbers["by_penalty"]["l2"][0]
    return Picture(
        "penalties", figure,
        alt=f"{'; '.join(said)}; without any it is {without['test_loss']['mean']:.2g}.",
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
