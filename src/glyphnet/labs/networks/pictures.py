"""The lab's pictures, each with what it shows in words."""

from __future__ import annotations

import numpy as np

from ...plots.style import BLUE, HEAT, INK, RED, SOFT, percent_axis, whole_axis
from ..lab import Numbers, Picture
from ..sheet import TEXT, sheet
from .experiment import TITLES

_STYLES = {"linear": (SOFT, ":", "s"), "mlp": (RED, "--", "D"), "cnn": (BLUE, "-", "o"), "rnn": (HEAT, "-.", "^")}
_COSTS = {"parameters": "parameters", "flops": "FLOPs an image", "seconds_per_epoch": "seconds an epoch"}


def curves_picture(numbers: Numbers) -> Picture:
    """Validation accuracy of each kind by epoch."""
    figure, axes = sheet(height=3.6)
    ax = axes[0, 0]
    told = []
    for kind, row in numbers["networks"].items():
        colour, line, marker = _STYLES[kind]
        curve = row["validation_by_epoch"]
        epochs = range(1, len(curve) + 1)
        ax.plot(epochs, curve, line, color=colour, marker=marker, markersize=4, linewidth=1.6, label=TITLES[kind])
        told.append(f"{TITLES[kind]} {curve[0]:.1%} to {curve[-1]:.1%}")
    percent_axis(ax.yaxis)
    whole_axis(ax.xaxis)
    ax.set(xlabel="epoch", ylabel="validation accuracy")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False, fontsize=TEXT)
    return Picture(
        "curves", figure, alt=f"Validation accuracy, first to last epoch: {'; '.join(told)}.",
        caption="The first seed of each, with the same images, steps and optimizer.",
    )  # fmt: skip


def accuracy_picture(numbers: Numbers) -> Picture:
    """Test accuracy of each kind: every seed, and the interval of the mean."""
    figure, axes = sheet(height=2.6)
    ax = axes[0, 0]
    rows = list(numbers["networks"].items())
    for place, (kind, row) in enumerate(rows):
        colour, _, marker = _STYLES[kind]
        figures = row["accuracy"]
        ax.plot(figures["values"], np.full(figures["n"], place), "o", color=colour, markersize=4, alpha=0.6)
        ax.errorbar(
            figures["mean"], place, xerr=figures["half_width"], fmt=marker, color=colour, markersize=8, capsize=4,
            markerfacecolor="white",
        )  # fmt: skip
    ax.set_yticks(range(len(rows)), [TITLES[kind] for kind, _ in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    percent_axis(ax.xaxis)
    ax.set_xlabel("test accuracy")
    told = "; ".join(f"{TITLES[kind]} {row['accuracy']['mean']:.2%}" for kind, row in rows)
    return Picture(
        "accuracy", figure, alt=f"Test accuracy of each kind, mean over the seeds: {told}.",
        caption="Small dots: one seed each. Large: their mean, with its 95 % interval (Student's t); none for one "
        "seed.",
    )  # fmt: skip


def costs_picture(numbers: Numbers) -> Picture:
    """What each kind costs."""
    figure, axes = sheet(1, len(_COSTS), height=2.9, sharey=True)
    rows = list(numbers["networks"].items())
    told = []
    for ax, (key, title) in zip(axes[0], _COSTS.items(), strict=True):
        values = [row[key] for _, row in rows]
        bars = ax.barh(range(len(rows)), values, height=0.6, color=[_STYLES[kind][0] for kind, _ in rows], alpha=0.85)
        ax.bar_label(bars, [short_number(value) for value in values], padding=3, fontsize=TEXT - 2, color=INK)
        ax.set_xlabel(title)
        ax.set_xticks([])
        ax.margins(x=0.3)
        ax.grid(False)
        most = max(rows, key=lambda pair: pair[1][key])[0]
        told.append(f"{title}: most for {TITLES[most]}")
    axes[0, 0].set_yticks(range(len(rows)), [TITLES[kind] for kind, _ in rows])
    axes[0, 0].set_ylim(len(rows) - 0.5, -0.5)
    return Picture(
        "costs", figure, alt=f"Bars side by side. {'; '.join(told)}.",
        caption="What is stored, what is computed, what is waited for: each on a scale of its own.",
    )  # fmt: skip


def short_number(value: float) -> str:
    """``102 k``, ``4.8 M``, ``1.23``."""
    for scale, unit in ((1e6, " M"), (1e3, " k")):
        if value >= 0.9995 * scale:
            return f"{value / scale:.3g}{unit}"
    return f"{value:.3g}"
