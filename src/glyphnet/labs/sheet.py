"""The sheet that a lab draws on: 7 inches wide, dressed, with text that a phone still shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from ..plots.style import dress

WIDTH = 7.0
TEXT = 11  # points: the sheet is half as wide on a phone as on paper


def sheet(rows: int = 1, columns: int = 1, *, height: float = 3.6, **options: Any) -> tuple[Figure, npt.NDArray[Any]]:
    """A new figure, ``WIDTH`` × ``height`` inches, and its dressed axes, an object array (rows, columns).

    Args:
        rows, columns: of the grid of axes.
        height: in inches.
        options: for Matplotlib's ``Figure.subplots``.
    """
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        dress(ax).tick_params(labelsize=TEXT - 1)
        for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
            text.set_fontsize(TEXT)
    return figure, np.asarray(axes)
