"""The weights of the first layer as a picture."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ..classifier import Float32Array
from ..plots.style import INK, LINE, SOFT, literal, short
from ._figure import FOR_AND_AGAINST
from ._weights import FirstLayerWeights

_MOST = 64
_WIDTH = 10.0  # inches


def weights_figure(weights: FirstLayerWeights) -> Figure:
    """Every image of a first layer, on one scale, the first of them where there are very many; white background.

    Weights of grey pixels are blue where a bright pixel excites and orange where it inhibits. Those of colours are the
    colours that excite the most: grey is zero.
    """
    shown = weights.images[:_MOST]
    count, tall, wide = shown.shape[:3]
    limit = max(float(np.abs(shown).max()), 1e-30)
    columns = _columns(count)
    rows = math.ceil(count / columns)
    pitch = (_WIDTH - 0.5) / columns
    named = count <= 16
    row_height = pitch * min(tall / wide, 3) + (0.22 if named else 0.0)
    height = 1.2 + rows * row_height
    figure = Figure(figsize=(_WIDTH, height), facecolor="white", dpi=150)
    _headings(figure, weights, count, height)
    for number in range(count):
        row, column = divmod(number, columns)
        box = (
            (0.25 + column * pitch) / _WIDTH,
            1 - (0.85 + (row + 1) * row_height - 0.05) / height,
            (pitch - 0.1) / _WIDTH,
            (row_height - (0.3 if named else 0.1)) / height,
        )
        name = short(weights.names[number]) if named else ""
        _draw(figure.add_axes(box), shown[number], limit, name)
    if shown.shape[3] == 1:
        _scale(figure, limit, height)
    return figure


def _draw(axes: Axes, image: Float32Array, limit: float, name: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(LINE)
    if image.shape[2] == 1:
        axes.imshow(image[:, :, 0], cmap=FOR_AND_AGAINST, vmin=-limit, vmax=limit, aspect="auto")
    else:
        axes.imshow(0.5 + 0.5 * image / limit, aspect="auto")
    if name:
        literal([axes.set_title(name, fontsize=8.5, color=SOFT, pad=3)])


def _headings(figure: Figure, weights: FirstLayerWeights, shown: int, height: float) -> None:
    there = len(weights.images)
    cut = f"the first {shown} of {there}" if shown < there else f"{there}"
    sides = "×".join(map(str, weights.images.shape[1:3]))
    colour = "" if weights.images.shape[3] == 1 else "; coloured as what excites, grey is zero"
    for y, text, ink, size in (
        (0.3, f"First layer: {weights.layer}", INK, 14),
        (0.6, f"{cut} of {sides}, each {weights.meaning}{colour}", SOFT, 9.5),
    ):
        literal([figure.text(0.25 / _WIDTH, 1 - y / height, text, color=ink, fontsize=size, va="center")])


def _scale(figure: Figure, limit: float, height: float) -> None:
    bar = figure.add_axes(((_WIDTH - 3.0) / _WIDTH, 1 - 0.36 / height, 2.3 / _WIDTH, 0.1 / height))
    mappable = ScalarMappable(Normalize(-limit, limit), FOR_AND_AGAINST)
    scale = figure.colorbar(mappable, cax=bar, orientation="horizontal", ticks=[-limit, 0, limit])
    scale.outline.set_visible(False)
    scale.set_ticklabels([f"inhibits −{limit:.2g}", "0", f"excites +{limit:.2g}"])
    bar.tick_params(color=LINE, labelcolor=SOFT, labelsize=8)


def _columns(count: int) -> int:
    """How many in a row: few large ones, or many small ones."""
    if count <= 5:
        return count
    return math.ceil(count / 2) if count <= 10 else 8 if count <= 32 else 16
