"""Results by class and by image: confusion matrix, most frequent confusions, figures by class, image gallery."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm

from ..units import percent_number
from . import style
from .style import BLUE, COOL, HEAT, INK, RED, SOFT

Normalize = Literal["true", "pred", "all"]

_OVER = {"true": 1, "pred": 0, "all": None}  # the axis whose sums a cell is a share of
_SMALLEST = 5.0  # points: smaller numbers are left out
_TILE = 0.92  # inches; width of a gallery's tile
_GAP = 0.14  # between tiles, in tile widths
_LINE = 0.17  # height of a line of text, in tile widths


def confusion_matrix(
    matrix: npt.ArrayLike, classes: Sequence[str], *, normalize: Normalize | None = None, ax: Axes | None = None
) -> Axes:
    """The confusion matrix as scikit-learn's `ConfusionMatrixDisplay`, in the colours of the report.

    The diagonal is blue. Mistakes are orange, darker the more there are, on their own scale: beside the many right
    answers they would be invisible. Numbers that do not fit are left out.

    Args:
        matrix: int (K, K): images of class (row) that were predicted as class (column).
        classes: the K class names.
        normalize: as for ``sklearn.metrics.confusion_matrix``: shares of the "true" class, of the class predicted
            ("pred"), of "all"; None for counts.
    """
    from sklearn.metrics import ConfusionMatrixDisplay

    counts = np.asarray(matrix)
    side = float(np.clip(1.5 + 0.45 * len(counts), 3.5, 10))
    ax = style.axes_or_new(ax, side, side)
    ax.grid(False)
    values = counts if normalize is None else _share(counts, _OVER[normalize])
    texts = _written(counts, values, normalize is not None)
    pitch = min(style.room_of(ax)) / len(counts)
    size = min(10.0, 0.75 * pitch, pitch / (0.65 * max(len(str(text)) for text in texts.flat)))
    right = np.eye(len(counts), dtype=bool)
    display = ConfusionMatrixDisplay(np.where(right, 0, values)).plot(
        ax=ax,
        include_values=size >= _SMALLEST,
        colorbar=False,
        cmap=style.tint(HEAT, 0.7),
        im_kw={"norm": PowerNorm(0.75, vmin=0, vmax=max(np.where(right, 0, values).max(), 1e-9))},
        text_kw={"color": INK, "fontsize": size},
    )
    display.im_.set_data(np.ma.masked_where(right, values))
    found = np.ma.masked_where(~right, _share(counts, 1))
    ax.imshow(found, cmap=style.tint(COOL, 0.45), vmin=0, vmax=1, interpolation="nearest")
    if display.text_ is not None:
        for drawn, text in zip(display.text_.flat, texts.flat, strict=True):
            drawn.set_text(text)
    width, height = style.room_of(ax)
    longest = max(len(style.short(name)) for name in classes)
    style.name_ticks(ax.xaxis, classes, width, rotated=5.5 * longest > pitch)
    style.name_ticks(ax.yaxis, classes, height)
    ax.set(xlabel="Predicted", ylabel="True")
    return ax


def confused_pairs(pairs: Sequence[tuple[str, str]], counts: Sequence[int], *, ax: Axes | None = None) -> Axes:
    """Draw each kind of mistake as a bar: ``counts`` images of each pair of a true and a predicted class."""
    ax = style.axes_or_new(ax, 5.5, 1.2 + 0.27 * len(pairs))
    ax.grid(False, axis="y")
    places = np.arange(len(pairs))
    bars = ax.barh(places, counts, height=0.65, color=RED, alpha=0.8)
    ax.bar_label(bars, padding=3, color=INK, fontsize=9)
    ax.set_yticks(places, labels=[f"{style.short(true)} → {style.short(guess)}" for true, guess in pairs])
    style.literal(ax.get_yticklabels())
    ax.set_ylim(len(pairs) - 0.4, -0.6)
    style.whole_axis(ax.xaxis)
    ax.margins(x=0.1)
    ax.set(xlabel="Images, true → predicted")
    if not pairs:
        ax.text(0.5, 0.5, "no mistakes", transform=ax.transAxes, ha="center", va="center", color=SOFT)
    return ax


def _share(counts: npt.NDArray[np.integer], over: int | None) -> npt.NDArray[np.float64]:
    """Each count as a share of the sum over an axis; 0 where that has no image, as in scikit-learn."""
    sums = np.broadcast_to(counts.sum(axis=over, keepdims=True), counts.shape)
    share: npt.NDArray[np.float64] = np.divide(counts, sums, out=np.zeros(counts.shape), where=sums > 0)
    return share


def _written(
    counts: npt.NDArray[np.integer], values: npt.NDArray[np.number], normalized: bool
) -> npt.NDArray[np.object_]:
    """Text of each cell: a count, or a percentage unless it is 0; empty where there is no image."""
    texts = np.full(counts.shape, "", dtype=object)
    for place, count in np.ndenumerate(counts):
        if count or (place[0] == place[1] and not normalized):
            texts[place] = percent_number(float(values[place]), 0) if normalized else f"{count:,}"
    return texts


def class_figures(
    values: npt.ArrayLike,
    intervals: npt.ArrayLike,
    classes: Sequence[str],
    *,
    name: str = "recall",
    ax: Axes | None = None,
) -> Axes:
    """Draw a dot and an interval for each class, the worst at the top; unknown values come last, without a dot.

    Args:
        values: float (K,), each in [0, 1]; NaN where unknown.
        intervals: float (K, 2), low and high; NaN where there is none.
        classes: the K class names.
        name: what the figure is.
    """
    values, intervals = np.asarray(values, dtype=np.float64), np.asarray(intervals, dtype=np.float64)
    pitch = 0.27 if len(values) <= 40 else 0.15
    ax = style.axes_or_new(ax, 5.5, 1.2 + pitch * len(values))
    ax.grid(False, axis="y")
    order = np.argsort(values, kind="stable")  # NaN last
    places = np.arange(len(order))
    ax.hlines(places, intervals[order, 0], intervals[order, 1], color=BLUE, alpha=0.4, linewidth=3)
    ax.plot(values[order], places, color=BLUE, marker="o", markersize=4.5, linestyle="none")
    known = np.append(values, intervals)
    lowest = float(np.nanmin(known)) if np.isfinite(known).any() else 0.0
    ax.set_xlim(max(-0.01, lowest - 0.05 * (1.02 - lowest)), 1 + 0.02 * (1.02 - lowest))
    ax.set_ylim(len(order) - 0.4, -0.6)
    style.percent_axis(ax.xaxis)
    style.name_ticks(ax.yaxis, [classes[k] for k in order], style.room_of(ax)[1])
    ax.set(xlabel=f"{name.capitalize()} and its 95 % interval")
    return ax


def _room_for(titles: Sequence[str]) -> float:
    """The height of the titles above a row of a gallery, in widths of a tile."""
    return 0.05 + _LINE * max((1 + title.count("\n") for title in titles), default=1)


def arrange(ax: Axes, columns: int) -> float:
    """Lay the tiles of a `gallery` out in so many columns; the height that they then take, in widths of a tile."""
    rows = max(1, math.ceil(len(ax.images) / columns))
    _, _, bottom, top = ax.images[0].get_extent() if ax.images else (0, 1, 1, 0)
    height = bottom - top
    text = _room_for([each.get_text() for each in ax.texts])
    across, down = columns * (1 + _GAP), rows * (height + text + _GAP)
    for place, (image, title) in enumerate(zip(ax.images, ax.texts, strict=True)):
        left = (place % columns) * (1 + _GAP)
        upper = (place // columns) * (height + text + _GAP) + text
        image.set_extent((left, left + 1, upper + height, upper))
        title.set_position((left + 0.5, upper - 0.05))
    ax.set(xlim=(-_GAP / 2, across - _GAP / 2), ylim=(down - _GAP / 2, -_GAP / 2), aspect="equal")
    return float(down / across)


def gallery(
    images: npt.NDArray[np.uint8],
    titles: Sequence[str],
    *,
    wrong: npt.ArrayLike | None = None,
    columns: int = 10,
    ax: Axes | None = None,
) -> Axes:
    """Draw images in rows, without interpolation.

    Args:
        images: uint8 (N, H, W, 1 or 3).
        titles: N texts of one or more lines, drawn above the images.
        wrong: bool (N,): True draws the title in red; or None.
        columns: images per row.
    """
    columns = max(1, min(columns, len(images)))
    rows = max(1, math.ceil(len(images) / columns))
    height = images.shape[1] / images.shape[2]  # of a tile, in widths
    down = rows * (height + _room_for(titles) + _GAP)
    ax = style.axes_or_new(ax, max(2.5, _TILE * columns * (1 + _GAP)), _TILE * down + 0.1)
    ax.set_axis_off()
    red = np.zeros(len(images), dtype=bool) if wrong is None else np.asarray(wrong, dtype=bool)
    for place, (image, title) in enumerate(zip(images, titles, strict=True)):
        pixels = image[:, :, 0] if image.shape[2] == 1 else image
        ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest", extent=(0, 1, height, 0))
        ax.text(0.5, 0, title, ha="center", va="bottom", fontsize=8, color=RED if red[place] else INK)
    style.literal(ax.texts)
    arrange(ax, columns)
    if not len(images):
        ax.text(0.5, 0.5, "no images", transform=ax.transAxes, ha="center", va="center", color=SOFT)
    return ax
