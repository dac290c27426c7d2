"""The lab's pictures, each with what it shows in words."""

from __future__ import annotations

import numpy as np

from ...plots import gallery, learning_curves
from ...plots.style import BLUE, INK, RED, SOFT, dress, legend, percent_axis
from ..lab import Numbers, Picture
from ..sheet import TEXT, sheet
from .experiment import CNN, TITLES, WITH, WITHOUT, Experiment


def curves_picture(done: Experiment, numbers: Numbers) -> Picture:
    """Loss and accuracy of both, training against validation, on the same scales."""
    figure, axes = sheet(2, 2, height=6.2, sharey="row", sharex=True)
    told = []
    for column, kind in enumerate((WITHOUT, WITH)):
        learning_curves(done.trained[kind][0].history, axes=list(axes[:, column]))
        axes[0, column].set(title=TITLES[kind], xlabel="")
        axes[1, column].set_title("")
        row = numbers["networks"][kind]
        told.append(
            f"{TITLES[kind]}: training {row['training']['mean']:.2%}, validation {row['validation']['mean']:.2%}"
        )
    axes[0, 0].set_ylabel("loss", fontsize=TEXT)
    axes[1, 0].set_ylabel("accuracy", fontsize=TEXT)
    return Picture(
        "curves", figure,
        alt=f"Loss and accuracy by epoch, side by side. At the end {'; '.join(told)}.",
        caption="Left without dropout, right with it, on the same scales. Look at how far the two lines of a panel "
        "part.",
    )  # fmt: skip


def gap_picture(numbers: Numbers) -> Picture:
    """Training and validation accuracy as two ends of a line: in training, and with all units at work."""
    kinds = (WITHOUT, WITH)
    figure, axes = sheet(height=2.9)
    ax = axes[0, 0]
    names, place = [], 0
    for kind in kinds:
        row = numbers["networks"][kind]
        for training, how in (
            (row["last"]["accuracy"], "as it learns"),
            (row["training_at_rest"], "all units at work"),
        ):
            validation = row["last"]["val_accuracy"]
            ax.plot([training, validation], [place, place], color=SOFT, linewidth=3, alpha=0.4, zorder=1)
            ax.plot(training, place, "o", color=BLUE, markersize=8, label=None if place else "training")
            ax.plot(validation, place, "D", color=RED, markersize=7, label=None if place else "validation")
            names.append(f"{TITLES[kind]},\n{how}")
            place += 1
    ax.set_yticks(range(place), names)
    ax.set_ylim(place - 0.5, -0.5)
    percent_axis(ax.xaxis)
    ax.set_xlabel("accuracy after the last epoch")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False, fontsize=TEXT)
    told = "; ".join(f"{TITLES[kind]}: {100 * numbers['networks'][kind]['gap']['mean']:+.2f} points" for kind in kinds)
    return Picture(
        "gap", figure,
        alt=f"Training and validation accuracy joined by a line; the gap is {told}.",
        caption="The length of the line is the gap. Below for each network: the training images once more, after "
        "training, with no unit dropped.",
    )  # fmt: skip


def first_picture(done: Experiment, numbers: Numbers) -> Picture:
    """The first test images, and what the network with dropout says of them."""
    rows = numbers["first"]
    test = done.splits.test
    figure, grid = sheet(2, len(rows), height=3.9, gridspec_kw={"height_ratios": (1, 1.1)})
    right = 0
    for column, row in enumerate(rows):
        above, below = grid[:, column]
        said, truth = row["predicted"][WITH], row["label"]
        right += said == truth
        gallery(np.asarray(test.images[column : column + 1]), [""], ax=above)
        above.set_title(f"is {truth}, said {said}", fontsize=TEXT, color=RED if said != truth else INK)
        dress(below).bar(range(len(test.classes)), row["probabilities"][WITH], color=BLUE, alpha=0.85)
        below.set_xticks(range(len(test.classes)), test.classes, fontsize=8)
        below.set_ylim(0, 1.02)
        below.grid(False, axis="x")
        if column:
            below.set_yticklabels([])
        else:
            percent_axis(below.yaxis)
    said = " ".join(row["predicted"][WITH] for row in rows)
    return Picture(
        "first-four", figure,
        alt=f"The first {len(rows)} test images and the probabilities of each class; the network with dropout says "
        f"{said}, {right} of {len(rows)} rightly.",
        caption="Above the image, below what the network with dropout gives each class.",
    )  # fmt: skip


def accuracy_picture(done: Experiment, numbers: Numbers) -> Picture:
    """Validation accuracy of all three by epoch."""
    figure, axes = sheet(height=3.2)
    ax = axes[0, 0]
    styles = {WITHOUT: (RED, "--"), WITH: (BLUE, ":"), CNN: (BLUE, "-")}
    for kind, (colour, line) in styles.items():
        curve = done.trained[kind][0].curve("val_accuracy")
        dot = "o" if len(curve) == 1 else None
        ax.plot(range(1, len(curve) + 1), curve, line, color=colour, linewidth=1.8, label=TITLES[kind], marker=dot)
    percent_axis(ax.yaxis)
    ax.set(xlabel="epoch", ylabel="validation accuracy")
    legend(ax, "lower right")
    told = "; ".join(f"{TITLES[kind]} {numbers['networks'][kind]['validation']['mean']:.2%}" for kind in styles)
    return Picture(
        "three", figure, alt=f"Validation accuracy by epoch of the three networks; at the end {told}.",
        caption="The same images, the same number of epochs.",
    )  # fmt: skip
