"""The sheet that a lab draws on, 7 inches wide, and what several labs draw on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from scipy.special import expit

from ..plots.style import BLUE, COOL, HEAT, INK, RED, dress, percent_axis, whole_axis
from .lab import Numbers
from .points import Float64Array, Nets, Points

WIDTH = 7.0
TEXT = 11  # points; readable on a phone, where the sheet is half as wide


def sheet(rows: int = 1, columns: int = 1, *, height: float = 3.6, **options: Any) -> tuple[Figure, npt.NDArray[Any]]:
    """A new figure, ``WIDTH`` × ``height`` inches, and its dressed axes, an object array (rows, columns).

    ``options`` are Matplotlib's of ``Figure.subplots``.
    """
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        dress(ax).tick_params(labelsize=TEXT - 1)
        for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
            text.set_fontsize(TEXT)
    return figure, np.asarray(axes)


def panel(height: float = 3.6) -> tuple[Figure, Axes]:
    """A new figure, ``WIDTH`` × ``height`` inches, and its only axes, dressed."""
    figure, axes = sheet(height=height)
    return figure, axes[0, 0]


def by_epoch(
    ax: Axes, values: Sequence[float], line: str = "-", *, color: str, label: str | None = None, **options: Any
) -> None:
    """Draw the values of epoch 1, 2, …; a single one, which makes no line, as a dot."""
    options = {"marker": "o" if len(values) == 1 else None, "linewidth": 1.8, **options}
    ax.plot(range(1, len(values) + 1), values, line, color=color, label=label, **options)
    whole_axis(ax.xaxis)


def mean_and_interval(ax: Axes, place: int, figure: Numbers, marker: str, color: str, *, scale: float = 1) -> None:
    """Draw the mean of `Repeats.to_dict` with its 95 % interval along a line of its own."""
    ax.errorbar(
        scale * figure["mean"], place, xerr=scale * figure["half_width"], fmt=marker, color=color, markersize=7,
        capsize=3,
    )  # fmt: skip


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Name the rows 0, 1, … from the top down."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)


def legend_above(ax: Axes, corner: Literal["center", "left"] = "center", columns: int = 2) -> None:
    """A legend outside the axes, above them."""
    ax.figure.legend(  # type: ignore[call-overload]  # the place is one of those that it lists
        *ax.get_legend_handles_labels(), loc=f"outside upper {corner}", ncols=columns, frameon=False, fontsize=TEXT
    )


_GRID = 160
REGIONS = LinearSegmentedColormap.from_list("regions", ["#c9dfee", "#f6f5f2", "#f6d9bf"])
_MARKS = (("o", BLUE), ("s", RED))


def scatter(ax: Axes, inputs: Float64Array, points: Points, *, size: float = 26) -> None:
    """Draw positions (N, 2): class 0 as blue discs, class 1 as vermilion squares."""
    for label, (marker, colour) in enumerate(_MARKS):
        own = points.labels == label
        ax.scatter(
            inputs[own, 0], inputs[own, 1], s=size,
            marker=marker, color=colour, edgecolor="white", linewidth=0.6, zorder=3,
            label=f"class {points.classes[label]}",
        )  # fmt: skip


def regions(ax: Axes, net: Nets, points: Points, *, units: bool = True, size: float = 20) -> None:
    """Draw one network's two regions, its boundary, and each unit's line dashed."""
    ax.grid(False)
    low, high = points.inputs.min(axis=0), points.inputs.max(axis=0)
    low, high = low - 0.25 * (high - low).max(), high + 0.25 * (high - low).max()
    across, up = (np.linspace(low[axis], high[axis], _GRID) for axis in range(2))
    grid = np.stack([axis.ravel() for axis in np.meshgrid(across, up)], axis=1)
    logits = net.logits(grid)[:, 0].reshape(_GRID, _GRID)
    ax.imshow(
        expit(logits), extent=(low[0], high[0], low[1], high[1]), origin="lower", cmap=REGIONS, vmin=0, vmax=1,
        aspect="auto", interpolation="bilinear",
    )  # fmt: skip
    if logits.min() < 0 < logits.max():
        ax.contour(across, up, logits, levels=[0], colors=[INK], linewidths=2)
    if units:
        for a, b, c in net.inward[:, : net.widths[0], 0].T:
            _line(ax, a, b, c, low, high)
    scatter(ax, points.inputs, points, size=size)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))


def hidden_space(ax: Axes, net: Nets, points: Points) -> None:
    """Draw the points in the space of two hidden units, and the output unit's line."""
    low, high = np.array([-0.08, -0.08]), np.array([1.08, 1.08])
    scatter(ax, net.hidden(points.inputs)[:, :2, 0], points, size=40)
    a, b, c = net.outward[[0, 1, -1], 0]
    _line(ax, a, b, c, low, high, colour=INK, style="-", width=2.0)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="output of unit 1", box_aspect=1)


def twin_curves(ax: Axes, loss: Sequence[float], accuracy: Sequence[float]) -> Axes:
    """Draw total loss (left axis) and accuracy (right axis) by epoch. Returns the right axes."""
    epochs = range(1, len(loss) + 1)
    ax.plot(epochs, loss, color=RED, linewidth=2)
    ax.set_ylim(0, None)
    right = dress(ax.twinx())
    right.grid(False)
    right.plot(epochs, accuracy, color=BLUE, linewidth=1.6, linestyle="--")
    right.set_ylim(0, 1.04)
    percent_axis(right.yaxis)
    for side, colour in ((ax, RED), (right, BLUE)):
        side.tick_params(axis="y", labelcolor=colour, labelsize=10)
    return right


def solved_bars(numbers: Numbers, height: float, what: str) -> Figure:
    """Bars of the share of starts of each width that ``what`` ("find the pulse"), with intervals."""
    rows = numbers["widths"]
    figure, ax = panel(height)
    places = np.arange(len(rows))
    share, low, high = (np.array([row[key] for row in rows]) for key in ("share", "low", "high"))
    ax.bar(places, share, width=0.6, color=[COOL if row["solved"] else HEAT for row in rows])
    ax.errorbar(places, share, [share - low, high - share], fmt="none", color=INK, capsize=5, linewidth=1.4)
    for place, row in enumerate(rows):
        solved = f"{row['solved']} of {row['starts']}"
        ax.text(place, min(1.02, row["high"]) + 0.03, solved, ha="center", color=INK, fontsize=10)
    ax.set_xticks(places, labels=[str(row["hidden"]) for row in rows])
    ax.set(ylim=(0, 1.16), yticks=[0, 0.25, 0.5, 0.75, 1], xlabel="hidden units", ylabel=f"starts that {what}")
    ax.grid(False, axis="x")
    percent_axis(ax.yaxis)
    return figure


def _line(
    ax: Axes, a: float, b: float, c: float, low: Float64Array, high: Float64Array,
    colour: str = INK, style: str = "--", width: float = 1.0,
) -> None:  # fmt: skip
    """Where a·x + b·y + c = 0, inside the box."""
    if abs(b) > abs(a):
        x = np.array([low[0], high[0]])
        y = -(a * x + c) / b
    else:
        y = np.array([low[1], high[1]])
        x = -(b * y + c) / a if a else np.full(2, np.nan)
    ax.plot(x, y, color=colour, linestyle=style, linewidth=width, zorder=2)
