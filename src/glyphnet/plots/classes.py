"""One figure of every class with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from .style import BLUE, axes_or_new, name_ticks, percent_axis, room_of


def class_figures(
    values: npt.ArrayLike,
    intervals: npt.ArrayLike,
    classes: Sequence[str],
    *,
    name: str = "recall",
    ax: Axes | None = None,
) -> Axes:
    """A dot and a whisker a class, the worst at the top; classes of which nothing is known come last, with no dot.

    Args:
        values: float (K,), each in [0, 1]; NaN where nothing is known.
        intervals: float (K, 2), low and high; NaN where there is none.
        classes: the K class names.
        name: what the figure is.
        ax: axes to draw into, or None.
    """
    values, intervals = np.asarray(values, dtype=np.float64), np.asarray(intervals, dtype=np.float64)
    pitch = 0.27 if len(values) <= 40 else 0.15
    ax = axes_or_new(ax, 5.5, 1.2 + pitch * len(values))
    ax.grid(False, axis="y")
    order = np.argsort(values, kind="stable")  # NaN last
    places = np.arange(len(order))
    ax.hlines(places, intervals[order, 0], intervals[order, 1], color=BLUE, alpha=0.4, linewidth=3)
    ax.plot(values[order], places, color=BLUE, marker="o", markersize=4.5, linestyle="none")
    known = np.append(values, intervals)
    lowest = float(np.nanmin(known)) if np.isfinite(known).any() else 0.0
    ax.set_xlim(max(-0.01, lowest - 0.05 * (1.02 - lowest)), 1 + 0.02 * (1.02 - lowest))
    ax.set_ylim(len(order) - 0.4, -0.6)
    percent_axis(ax.xaxis)
    name_ticks(ax.yaxis, [classes[k] for k in order], room_of(ax)[1])
    ax.set(xlabel=f"{name.capitalize()} and its 95 % interval")
    return ax
