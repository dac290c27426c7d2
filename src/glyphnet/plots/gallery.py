"""Images side by side, each under a line of text or two."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from .style import INK, RED, SOFT, axes_or_new, literal

_COLUMNS = 10
_WIDTH = 0.92  # inches of a tile
_GAP = 0.14  # between tiles, of a tile's width
_LINE = 0.17  # a line of text above a tile, of a tile's width


def gallery(
    images: npt.NDArray[np.uint8],
    titles: Sequence[str],
    *,
    wrong: npt.ArrayLike | None = None,
    columns: int = _COLUMNS,
    ax: Axes | None = None,
) -> Axes:
    """Draw images in rows, with no smoothing.

    Args:
        images: uint8 (N, H, W, 1 or 3).
        titles: N texts of a line or more, drawn above them as they are.
        wrong: bool (N,): whose titles are red; or None.
        columns: images a row.
        ax: axes to draw into, or None.
    """
    columns = max(1, min(columns, len(images)))
    rows = max(1, math.ceil(len(images) / columns))
    height = images.shape[1] / images.shape[2]  # of a tile, in widths
    text = 0.05 + _LINE * max((1 + title.count("\n") for title in titles), default=1)
    across, down = columns * (1 + _GAP), rows * (height + text + _GAP)
    ax = axes_or_new(ax, max(2.5, _WIDTH * across), _WIDTH * down + 0.1)
    ax.set_axis_off()
    red = np.zeros(len(images), dtype=bool) if wrong is None else np.asarray(wrong, dtype=bool)
    for place, (image, title) in enumerate(zip(images, titles, strict=True)):
        left = (place % columns) * (1 + _GAP)
        top = (place // columns) * (height + text + _GAP) + text
        pixels = image[:, :, 0] if image.shape[2] == 1 else image
        ax.imshow(
            pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest", extent=(left, left + 1, top + height, top)
        )
        ax.text(
            left + 0.5, top - 0.05, title, ha="center", va="bottom", fontsize=8, color=RED if red[place] else INK
        )  # fmt: skip
    literal(ax.texts)
    ax.set(xlim=(-_GAP / 2, across - _GAP / 2), ylim=(down - _GAP / 2, -_GAP / 2), aspect="equal")
    if not len(images):
        ax.text(0.5, 0.5, "no images", transform=ax.transAxes, ha="center", va="center", color=SOFT)
    return ax
