"""Figures: the explanation of one image, and the weights of a first layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.figure import Figure

from ..classifier import Float32Array
from ..data.dataset import Int64Array, UInt8Array
from ..nn.layers import LAYERS
from ..plots.style import BLUE, FINE, INK, LINE, RED, SOFT, literal, short
from ..units import page_percent
from .inside import LayerActivation

_SIGNED = LinearSegmentedColormap.from_list("positive and negative", [RED, "#f2c9a8", "#ffffff", "#a9cfe9", BLUE])

_OVERLAY = LinearSegmentedColormap.from_list("supports and opposes", [RED, "#ffffff", BLUE])

_WIDTH = 10.0  # inches
_TOP = 3.55  # of image, saliency and probabilities
_LEFT, _RIGHT = 1.95, 0.25  # beside the strips
_GAP = 0.16  # between strips
_MOST_BARS = 10
_TINY = 1e-30  # end of the colours if all values are zero
_LIGHTEST, _DARKEST = 0.99, 0.8  # of the image below its saliency: colours stay colours on it
_QUANTILE = 0.99  # of the saliency, where its colours end: a few pixels must not pale all others
_MOST_WEIGHTS = 64

COLUMNS = 16  # feature maps in a row
MOST_MAPS = 2 * COLUMNS
MOST_UNITS = 256
MOST_LAYERS = 10
_UNITS_IN_A_ROW = 64


def explanation_figure(
    image: UInt8Array,
    classes: Sequence[str],
    probabilities: Float32Array,
    target: int,
    method: str,
    saliency: Float32Array,
    activations: Sequence[LayerActivation],
    name: str = "",
) -> Figure:
    """Draw image, saliency and probabilities, and below them the layers, on white; see `Explanation` for the values."""
    layers = shown_layers(activations)
    kept = sorted({round(place) for place in np.linspace(0, len(layers) - 1, min(len(layers), MOST_LAYERS))})
    strips = [strip(layers[place]) for place in kept]
    heights = [_strip_height(each) for each in strips]
    heading = 0.5 if strips else 0.0
    height = _TOP + heading + sum(heights) + _GAP * len(strips) + 0.1
    figure = Figure(figsize=(_WIDTH, height), facecolor="white", dpi=150)
    predicted = int(probabilities.argmax())
    answer = f"{short(classes[predicted], 40)}, {page_percent(float(probabilities[predicted]))}"
    title = f"{short(name, 44)}:  {answer}" if name else answer
    _write(figure, title, 0.25, height - 0.32, height, color=INK, size=14)
    _image(_axes(figure, height, 0.25, 0.95, 2.35, 2.35), image)
    rows, columns = saliency.shape
    tall = 2.35 * max(0.4, min(1.0, rows / columns))  # the colour bar is as high as the image beside it
    axes = _axes(figure, height, 2.85, 0.95, 2.35, 2.35)
    _quiet(axes, f"what supports {short(classes[target], 16)}")
    axes.set_xlabel(method, fontsize=8, color=SOFT, loc="left")
    _saliency(axes, _axes(figure, height, 5.32, 0.95, 0.1, tall), saliency, image)
    _bars(_axes(figure, height, 7.55, 0.95, 1.6, 2.35), classes, probabilities)
    if strips:
        cut = "" if len(kept) == len(layers) else f" ({len(kept)} of {len(layers)} shown)"
        text = f"Output of each layer{cut}: blue above zero, orange below, pale near zero; each layer on its own scale"
        _write(figure, text, 0.25, height - _TOP - 0.25, height, color=INK, size=10)
    top = _TOP + heading
    for each, tall in zip(strips, heights, strict=True):
        _strip(_axes(figure, height, _LEFT, top, _WIDTH - _LEFT - _RIGHT, tall), each)
        top += tall + _GAP
    return figure


def _axes(figure: Figure, height: float, left: float, top: float, wide: float, tall: float) -> Axes:
    """Axes at a position in inches from the top left."""
    return figure.add_axes((left / _WIDTH, 1 - (top + tall) / height, wide / _WIDTH, tall / height))


def _write(figure: Figure, text: str, x: float, y: float, height: float, *, color: str, size: float) -> None:
    """Write a line of text at a position in inches from the bottom left."""
    literal([figure.text(x / _WIDTH, y / height, text, color=color, fontsize=size, va="center")])


def _image(axes: Axes, image: UInt8Array) -> None:
    _quiet(axes, "as the network sees it")
    grey = image.shape[2] == 1
    axes.imshow(image[:, :, 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=255)


def _saliency(axes: Axes, bar: Axes, saliency: Float32Array, image: UInt8Array) -> None:
    """Draw the map in colours over the pale image, with a colour bar."""
    limit = _limit(saliency, _QUANTILE)
    share = np.clip(saliency / limit, -1, 1)[..., np.newaxis]
    pale = _DARKEST + (_LIGHTEST - _DARKEST) * image.mean(axis=2, keepdims=True) / 255
    colour = np.where(share > 0, to_rgb(BLUE), to_rgb(RED))
    axes.imshow(np.abs(share) * colour + (1 - np.abs(share)) * pale)
    mappable = ScalarMappable(Normalize(-limit, limit), _OVERLAY)
    scale = axes.figure.colorbar(mappable, cax=bar, ticks=[-limit, 0, limit], extend="both", extendfrac=0.03)
    scale.outline.set_visible(False)
    scale.set_ticklabels([f"−{limit:.2g}\nopposes", "0", f"+{limit:.2g}\nsupports"])
    bar.tick_params(color=LINE, labelsize=8)
    for label, shade, place in zip(bar.get_yticklabels(), (RED, SOFT, BLUE), ("bottom", "center", "top"), strict=True):
        label.set(color=shade, verticalalignment=place)


def _bars(axes: Axes, classes: Sequence[str], probabilities: Float32Array) -> None:
    """Draw the probabilities of all classes in their order, or the highest if there are many."""
    highest = np.argsort(-probabilities, kind="stable")[:_MOST_BARS]
    rows = np.sort(highest) if len(probabilities) <= _MOST_BARS else highest
    title = "probability" if len(rows) == len(probabilities) else f"top {len(rows)} of {len(probabilities)} classes"
    _quiet(axes, title)
    axes.set(xlim=(0, 1), ylim=(max(len(rows), 6) - 0.5, -0.6))
    axes.barh(range(len(rows)), [1.0] * len(rows), height=0.62, color=FINE)
    predicted = int(probabilities.argmax())
    colours = [BLUE if row == predicted else "#8fa3b3" for row in rows]
    axes.barh(range(len(rows)), probabilities[rows], height=0.62, color=colours)
    for place, row in enumerate(rows):
        weight = "bold" if row == predicted else "normal"
        name, number = short(classes[row], 15), page_percent(float(probabilities[row]))
        for x, text, size, colour in ((-0.04, name, 9, INK), (1.37, number, 8.5, SOFT)):
            drawn = axes.text(x, place, text, fontsize=size, color=colour, fontweight=weight, ha="right", va="center")
            literal([drawn])
    axes.set_frame_on(False)


def _strip(axes: Axes, each: Strip) -> None:
    limit = _limit(each.values, 1.0)
    axes.set_axis_off()
    axes.set_anchor("NW")
    axes.imshow(each.values, cmap=_SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")
    _frames(axes, each.values)
    left = -(_LEFT - 0.25) / (_WIDTH - _LEFT - _RIGHT)
    lines = [(each.name, INK, 9.5), *((line, SOFT, 8) for line in each.caption.splitlines())]
    for number, (line, colour, size) in enumerate(lines):
        offset = (0, -13 * number)
        note = axes.annotate(
            line, (left, 1), xycoords=("axes fraction", "axes fraction"), xytext=offset, textcoords="offset points",
            va="top", color=colour, fontsize=size, annotation_clip=False,
        )  # fmt: skip
        literal([note])


def _frames(axes: Axes, values: Float32Array) -> None:
    """Draw a fine line around each tile; a pale tile would be invisible on white."""
    known: npt.NDArray[np.bool] = np.isfinite(values)
    for top, bottom in _runs(np.any(known, axis=1)):
        for left, right in _runs(known[top, :]):
            axes.plot(
                np.array([left, right, right, left, left]) - 0.5, np.array([top, top, bottom, bottom, top]) - 0.5,
                color=LINE, linewidth=0.6, clip_on=False,
            )  # fmt: skip


def _runs(known: npt.NDArray[np.bool]) -> list[tuple[int, int]]:
    """Start and end of each run of True."""
    steps = np.flatnonzero(np.diff(known.astype(np.int8), prepend=0, append=0))
    return [(int(a), int(b)) for a, b in list(pairwise(steps))[::2]]


def _strip_height(each: Strip) -> float:
    """Inches: as wide as the figure allows, no cell above 0.25, and room for the caption."""
    height, width = each.values.shape
    cell = min((_WIDTH - _LEFT - _RIGHT) / width, 0.25)
    return float(max(cell * height, 0.2 + 0.18 * (1 + each.caption.count("\n"))))


def _quiet(axes: Axes, title: str) -> None:
    axes.set(xticks=[], yticks=[], anchor="NW")
    for spine in axes.spines.values():
        spine.set_color(LINE)
    literal([axes.set_title(title, fontsize=9.5, color=SOFT, loc="left", pad=6)])


def _limit(values: Float32Array, quantile: float) -> float:
    """The value where the colours end, above zero."""
    known = np.abs(values[np.isfinite(values)])
    return max(float(np.quantile(known, quantile)), _TINY) if len(known) else _TINY


class Strip(NamedTuple):
    """One layer's numbers, laid out for drawing; ``caption`` tells what is shown of what."""

    name: str
    caption: str
    values: Float32Array  # (h, w), NaN between tiles


def shown_layers(layers: Sequence[LayerActivation]) -> list[LayerActivation]:
    """Merge each layer with its normalisation and activation: the layer's name, the activation's values.

    Layers that only rearrange numbers are left out, and the head, whose numbers the probabilities show.
    """
    shown: list[LayerActivation] = []
    for layer in layers:
        row = LAYERS.get(layer.layer)
        picture = "its own" if row is None else row.picture
        if picture == "none" or layer.name == "head":
            continue
        if shown and picture == "with the layer before" and layer.values.ndim == shown[-1].values.ndim:
            shown[-1] = LayerActivation(shown[-1].name, shown[-1].layer, layer.values)
        else:
            shown.append(layer)
    return shown


def strip(layer: LayerActivation) -> Strip:
    """Lay out a layer's numbers as tiles, the most active if there are too many."""
    values = layer.values
    if values.ndim == 3 and values.shape[:2] == (1, 1):
        values = values[0, 0]
    lay_out = {3: _maps, 2: _sequence, 1: _units}[values.ndim]
    return lay_out(layer.name, values)


def tile(images: Float32Array, columns: int) -> Float32Array:
    """Arrange images (n, h, w) or (n, h, w, C) in rows of ``columns``, with gaps of NaN between them."""
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
    """Indices of the ``most`` largest strengths, ascending."""
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


def weights_figure(layer: str, meaning: str, images: Float32Array, names: Sequence[str]) -> Figure:
    """Draw the images of a first layer on one scale, at most the first 64, on white; see `FirstLayerWeights`.

    Weights of grey pixels are blue where a bright pixel excites and orange where it inhibits. Weights of colours are
    drawn as the colour that excites most: grey is zero.
    """
    shown = images[:_MOST_WEIGHTS]
    count, tall, wide = shown.shape[:3]
    limit = max(float(np.abs(shown).max()), 1e-30)
    # Few large images, or many small ones.
    columns = count if count <= 5 else math.ceil(count / 2) if count <= 10 else 8 if count <= 32 else 16
    rows = math.ceil(count / columns)
    pitch = (_WIDTH - 0.5) / columns
    named = count <= 16
    row_height = pitch * min(tall / wide, 3) + (0.22 if named else 0.0)
    height = 1.2 + rows * row_height
    figure = Figure(figsize=(_WIDTH, height), facecolor="white", dpi=150)
    cut = f"the first {count} of {len(images)}" if count < len(images) else f"{count}"
    colour = "" if shown.shape[3] == 1 else "; coloured by what excites, grey is zero"
    _write(figure, f"First layer: {layer}", 0.25, height - 0.3, height, color=INK, size=14)
    subtitle = f"{cut} of {tall}×{wide}, each {meaning}{colour}"
    _write(figure, subtitle, 0.25, height - 0.6, height, color=SOFT, size=9.5)
    for number in range(count):
        row, column = divmod(number, columns)
        high = row_height - (0.3 if named else 0.1)
        top = 0.8 + (row + 1) * row_height - high
        axes = _axes(figure, height, 0.25 + column * pitch, top, pitch - 0.1, high)
        _draw(axes, shown[number], limit, short(names[number]) if named else "")
    if shown.shape[3] == 1:
        _scale(figure, limit, height)
    return figure


def _draw(axes: Axes, image: Float32Array, limit: float, name: str) -> None:
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color(LINE)
    if image.shape[2] == 1:
        axes.imshow(image[:, :, 0], cmap=_SIGNED, vmin=-limit, vmax=limit, aspect="auto")
    else:
        axes.imshow(0.5 + 0.5 * image / limit, aspect="auto")
    if name:
        literal([axes.set_title(name, fontsize=8.5, color=SOFT, pad=3)])


def _scale(figure: Figure, limit: float, height: float) -> None:
    bar = _axes(figure, height, _WIDTH - 3.0, 0.26, 2.3, 0.1)
    mappable = ScalarMappable(Normalize(-limit, limit), _SIGNED)
    scale = figure.colorbar(mappable, cax=bar, orientation="horizontal", ticks=[-limit, 0, limit])
    scale.outline.set_visible(False)
    scale.set_ticklabels([f"inhibits −{limit:.2g}", "0", f"excites +{limit:.2g}"])
    bar.tick_params(color=LINE, labelcolor=SOFT, labelsize=8)
