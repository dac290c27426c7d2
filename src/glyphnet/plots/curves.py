"""Curves: learning curves, calibration, coverage, and confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from ..units import THIN
from .style import BLUE, INK, RED, SOFT, axes_or_new, dress, legend, percent_axis, whole_axis

# The curves of each panel: column of history.csv, name, colour, line.
_PANELS = {
    "loss": (("loss", "training", BLUE, "-"), ("val_loss", "validation", RED, "--")),
    "accuracy": (("accuracy", "training", BLUE, "-"), ("val_accuracy", "validation", RED, "--")),
    "lr": (("lr", "", BLUE, "-"),),
}
_TITLES = {"loss": "Loss", "accuracy": "Accuracy", "lr": "Learning rate"}


def learning_curves(
    history: Sequence[Mapping[str, float | int | None]],
    *,
    best_epoch: int | None = None,
    panels: Sequence[str] = ("loss", "accuracy"),
    axes: Sequence[Axes] | None = None,
) -> tuple[Axes, ...]:
    """Loss, accuracy or learning rate over the epochs, training solid, validation dashed.

    Args:
        history: one row per epoch with the columns of history.csv; unmeasured values are None or NaN.
        best_epoch: marked in every panel; or None.
        panels: of "loss", "accuracy" and "lr", those to draw.
        axes: one for each panel, or None for a new figure.

    Raises:
        ValueError: unknown panel, or another number of axes than of panels.
    """
    unknown = [panel for panel in panels if panel not in _PANELS]
    if unknown or not panels:
        raise ValueError(f"panels (={tuple(panels)}) must be some of {', '.join(map(repr, _PANELS))}.")
    if axes is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(4.2 * len(panels) + 0.6, 3.4), layout="constrained")
        axes = list(figure.subplots(1, len(panels), squeeze=False)[0])
    if len(axes) != len(panels):
        raise ValueError(f"{len(axes)} axes for {len(panels)} panels: pass one for each panel.")
    for ax, panel in zip(axes, panels, strict=True):
        _draw(dress(ax), panel, history, best_epoch)
    return tuple(axes)


def _draw(ax: Axes, panel: str, history: Sequence[Mapping[str, float | int | None]], best_epoch: int | None) -> None:
    epochs = _column(history, "epoch")
    for key, name, colour, line in _PANELS[panel]:
        values = _column(history, key)
        if np.isfinite(values).any():
            dot = "o" if np.isfinite(values).sum() == 1 else None  # one epoch makes no line
            ax.plot(epochs, values, color=colour, linestyle=line, linewidth=1.8, marker=dot, label=name or None)
    if best_epoch is not None:
        label = "best epoch" if panel != "lr" else None
        ax.axvline(best_epoch, color=INK, linestyle=":", linewidth=1.2, label=label)
    if panel == "accuracy":
        percent_axis(ax.yaxis)
    whole_axis(ax.xaxis)
    ax.set(xlabel="Epoch", title=_TITLES[panel])
    legend(ax)


def _column(history: Sequence[Mapping[str, float | int | None]], key: str) -> npt.NDArray[np.float64]:
    values = [row.get(key) for row in history]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


Series = Literal["first", "second"]

# As in the report: the first solid and blue, the second dashed and red.
_SERIES = {
    "first": {"color": BLUE, "linestyle": "-", "marker": "o", "markersize": 4.5},
    "second": {"color": RED, "linestyle": "--", "marker": "s", "markersize": 4.0},
}
_BINS = 20


def reliability(
    confidence: npt.ArrayLike,
    accuracy: npt.ArrayLike,
    *,
    intervals: npt.ArrayLike | None = None,
    name: str = "confidence",
    series: Series = "first",
    ax: Axes | None = None,
) -> Axes:
    """Draw a reliability diagram with scikit-learn's `CalibrationDisplay`: accuracy against confidence.

    Call it twice on the same axes, with ``series="second"``, to compare before with after.

    Args:
        confidence: float (B,), the mean confidence of each bin.
        accuracy: float (B,), the share of each bin that is right.
        intervals: float (B, 2), low and high of that share, drawn as whiskers; or None.
        name: of this curve in the legend.
        series: its colour and line.
    """
    from sklearn.calibration import CalibrationDisplay

    confidence, accuracy = np.asarray(confidence, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    ax = axes_or_new(ax, 4.8, 4.8)
    if intervals is not None:
        low, high = np.asarray(intervals, dtype=np.float64).T
        ax.vlines(confidence, low, high, color=_SERIES[series]["color"], alpha=0.45, linewidth=1.5)
    CalibrationDisplay(accuracy, confidence, confidence).plot(ax=ax, name=name, **_SERIES[series])
    percent_axis(ax.xaxis)
    percent_axis(ax.yaxis)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel="Confidence", ylabel="Accuracy")
    legend(ax, "lower right")
    return ax


def coverage(
    coverage: npt.ArrayLike,
    accuracy: npt.ArrayLike,
    *,
    chosen: tuple[float, float] | None = None,
    intervals: tuple[tuple[float, float], tuple[float, float]] | None = None,
    name: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Accuracy of the answered images against the share of images that is answered.

    Args:
        coverage: float (M,), rising.
        accuracy: float (M,).
        chosen: coverage and accuracy at the threshold in use, to be marked; or None.
        intervals: (low, high) of that coverage and (low, high) of that accuracy, drawn as whiskers; or None.
        name: of the threshold in the legend.
    """
    coverage, accuracy = np.asarray(coverage, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    ax = axes_or_new(ax, 5.5, 4.0)
    ax.plot(coverage, accuracy, color=BLUE, linewidth=1.8, marker="o" if len(coverage) == 1 else None)
    lowest = float(accuracy.min())
    if chosen is not None:
        ax.plot(*chosen, color=RED, marker="D", markersize=7, linestyle="none", label=name or "threshold")
        lowest = min(lowest, chosen[1])
    if chosen is not None and intervals is not None:
        ax.hlines(chosen[1], *intervals[0], color=RED, alpha=0.5, linewidth=1.5)
        ax.vlines(chosen[0], *intervals[1], color=RED, alpha=0.5, linewidth=1.5)
        lowest = min(lowest, intervals[1][0])
    percent_axis(ax.xaxis)
    percent_axis(ax.yaxis)
    room = 0.04 * max(1 - lowest, 0.005)
    ax.set(xlim=(-0.02, 1.02), ylim=(max(lowest - 2 * room, -0.02), 1 + room))
    ax.set(xlabel="Images answered", ylabel="Accuracy of the answers")
    legend(ax, "lower left")
    return ax


def confidence_histogram(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, *, threshold: float | None = None, ax: Axes | None = None
) -> Axes:
    """Histogram of the confidence, float (N,), of right and wrong answers (``correct``, bool (N,)).

    Counts are logarithmic because most are right. The threshold is marked as a line.
    """
    confidence, correct = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    ax = axes_or_new(ax, 5.5, 3.5)
    edges = np.linspace(0, 1, _BINS + 1).tolist()
    inside = confidence.clip(0, 1)  # float32 may round to just above 1
    ax.hist(inside[correct], edges, color=BLUE, alpha=0.55, label="right")
    ax.hist(inside[~correct], edges, color=RED, histtype="step", linewidth=1.8, label="wrong")
    if threshold is not None:
        ax.axvline(threshold, color=INK, linestyle=":", linewidth=1.5, label=f"threshold {100 * threshold:.3g}{THIN}%")
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.7)
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.tick_params(which="minor", color=SOFT, length=0)
    percent_axis(ax.xaxis)
    ax.set(xlim=(0, 1), xlabel="Confidence", ylabel="Images")
    legend(ax, "upper left")
    return ax


def accuracy_by_corruption(
    names: Sequence[str],
    accuracies: npt.ArrayLike,
    intervals: npt.ArrayLike,
    *,
    clean: float,
    ax: Axes | None = None,
) -> Axes:
    """The accuracy on each kind of corrupted images, the worst on top, beside that on images as they are.

    Args:
        names: of the corruptions.
        accuracies: (N,), of each.
        intervals: (N, 2), the ends of their intervals.
        clean: the accuracy on the same images as they are.
    """
    values, ends = np.asarray(accuracies, dtype=float), np.asarray(intervals, dtype=float)
    order = np.argsort(-values, kind="stable")
    ax = axes_or_new(ax, 5.5, 1.2 + 0.27 * len(names))
    ax.grid(False, axis="y")
    places = np.arange(len(order))
    spread = np.abs(ends[order] - values[order, None]).T
    ax.barh(places, values[order], height=0.65, color=BLUE, alpha=0.8, xerr=spread, ecolor=INK)
    ax.axvline(clean, color=RED, linestyle="--")
    ax.set_yticks(places, [names[row].replace("_", " ") for row in order])
    ax.set(xlabel=f"Accuracy (dashed: on images as they are, {100 * clean:.1f}{THIN}%)", xlim=(0, 1.02))
    percent_axis(ax.xaxis)
    return ax
