"""Whether confidence means what it says, and what it gives to reject the unsure."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from .style import BLUE, INK, RED, SOFT, THIN, axes_or_new, legend, percent_axis

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
    """A reliability diagram by scikit-learn's `CalibrationDisplay`: how often the answers of each confidence are right.

    Call it twice on the same axes, with ``series="second"``, to compare before with after.

    Args:
        confidence: float (B,), the mean confidence of each bin.
        accuracy: float (B,), the share of each bin that is right.
        intervals: float (B, 2), low and high of that share, drawn as whiskers; or None.
        name: of this curve in the legend.
        series: "first" or "second": its colour and line.
        ax: axes to draw into, or None.
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
    """The accuracy of what is answered, against the share of images that is answered.

    Args:
        coverage: float (M,), rising.
        accuracy: float (M,).
        chosen: coverage and accuracy at the threshold in use, marked; or None.
        intervals: (low, high) of that coverage and (low, high) of that accuracy, drawn as whiskers; or None.
        name: of the threshold in the legend.
        ax: axes to draw into, or None.
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
    """How sure the right and the wrong answers are; counts on a logarithmic scale, for most are sure and right.

    Args:
        confidence: float (N,), the probability of the predicted class.
        correct: bool (N,).
        threshold: marked as a line; or None.
        ax: axes to draw into, or None.
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
