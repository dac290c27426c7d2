"""Layers as pictures: which to show, and how their numbers are laid out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..classifier import Float32Array
from ..data.dataset import Int64Array
from ..nn.spec import ACTIVATIONS
from ._activations import LayerActivation

COLUMNS = 16  # feature maps in a row
MOST_MAPS = 2 * COLUMNS
MOST_UNITS = 256
MOST_LAYERS = 10
_UNITS_IN_A_ROW = 64

# What changes no number, or only its place.
_SHOW_NOTHING = {"Flatten", "Dropout", "Identity", "Rows"}
_BELONG_TO_THE_LAYER_BEFORE = {
    "BatchNorm1d",
    "BatchNorm2d",
    "LastState",
    *(type(make()).__name__ for make in ACTIVATIONS.values()),
}


@dataclass(frozen=True, eq=False)
class Strip:
    """One layer's numbers, laid out to be drawn.

    Attributes:
        name: of the layer.
        caption: what is shown of what.
        values: float32 (h, w), NaN between tiles.
    """

    name: str
    caption: str
    values: Float32Array


def shown_layers(layers: Sequence[LayerActivation]) -> list[LayerActivation]:
    """A layer with its normalisation and activation as one, under the layer's name and with the activation's values.

    Left out are layers that only lay numbers out anew, and the head, whose numbers the probabilities show.
    """
    shown: list[LayerActivation] = []
    for layer in layers:
        if layer.layer in _SHOW_NOTHING or layer.name == "head":
            continue
        if shown and layer.layer in _BELONG_TO_THE_LAYER_BEFORE and layer.values.ndim == shown[-1].values.ndim:
            shown[-1] = LayerActivation(shown[-1].name, shown[-1].layer, layer.values)
        else:
            shown.append(layer)
    return shown


def strip(layer: LayerActivation) -> Strip:
    """A layer's numbers as tiles, the most active where there are too many."""
    values = layer.values
    if values.ndim == 3 and values.shape[:2] == (1, 1):
        values = values[0, 0]
    if values.ndim == 3:
        return _maps(layer.name, values)
    if values.ndim == 2:
        return _sequence(layer.name, values)
    return _units(layer.name, values)


def tile(images: Float32Array, columns: int) -> Float32Array:
    """Images (n, h, w) or (n, h, w, C) in rows of ``columns``, with gaps of NaN between them."""
    n, height, width = images.shape[:3]
    gap = max(1, round(min(height, width) / 12))
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *images.shape[3:]), np.nan, np.float32)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top, left = row * (height + gap), column * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def most_active(strengths: Float32Array, most: int) -> Int64Array:
    """Places of the ``most`` greatest strengths, in ascending order."""
    return np.sort(np.argsort(-strengths, kind="stable")[:most])


def _maps(name: str, values: Float32Array) -> Strip:
    height, width, channels = values.shape
    chosen = most_active(np.abs(values).max(axis=(0, 1)), MOST_MAPS)
    what = f"{channels} maps of {height}×{width}"
    return Strip(name, _cut(what, len(chosen), channels), tile(values.transpose(2, 0, 1)[chosen], COLUMNS))


def _sequence(name: str, values: Float32Array) -> Strip:
    steps, features = values.shape
    chosen = most_active(np.abs(values).max(axis=0), MOST_UNITS // 2)
    what = f"{features} states\nafter each of {steps} rows"
    return Strip(name, _cut(what, len(chosen), features), values[:, chosen])


def _units(name: str, values: Float32Array) -> Strip:
    chosen = most_active(np.abs(values), MOST_UNITS)
    rows = math.ceil(len(chosen) / _UNITS_IN_A_ROW)
    columns = _UNITS_IN_A_ROW if rows > 1 else max(len(chosen), _UNITS_IN_A_ROW // 2)
    cells = np.full(rows * columns, np.nan, dtype=np.float32)
    cells[: len(chosen)] = values[chosen]
    return Strip(name, _cut(f"{len(values)} units", len(chosen), len(values)), cells.reshape(rows, columns))


def _cut(what: str, shown: int, there: int) -> str:
    return what if shown == there else f"{what}\nthe {shown} most active"
