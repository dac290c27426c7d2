"""The explanation of one image as a picture."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.figure import Figure

from ..plots.style import BLUE, FINE, INK, LINE, RED, SOFT, THIN, literal, short
from ._tiles import MOST_LAYERS, Strip, shown_layers, strip

if TYPE_CHECKING:
    from ..classifier import Float32Array
    from ._explanation import Explanation

FOR_AND_AGAINST = LinearSegmentedColormap.from_list("for and against", [RED, "#f2c9a8", "#ffffff", "#a9cfe9", BLUE])

_OVERLAY = LinearSegmentedColormap.from_list("speaks for and against", [RED, "#ffffff", BLUE])

_WIDTH = 10.0  # inches
_TOP = 3.55  # of image, saliency and probabilities
_LEFT, _RIGHT = 1.95, 0.25  # beside the strips
_GAP = 0.16  # between strips
_MOST_BARS = 10
_TINY = 1e-30  # where all is zero the colours must still have an end
_LIGHTEST, _DARKEST = 0.99, 0.8  # of the image below its saliency: colours stay colours on it
_QUANTILE = 0.99  # of the saliency, where its colours end: a few pixels shall not pale all others


def explanation_figure(explanation: Explanation, name: str = "") -> Figure:
    """Image, saliency and probabilities, and below them what each layer gives; white background."""
    layers = shown_layers(explanation.activations)
    kept = sorted({round(place) for place in np.linspace(0, len(layers) - 1, min(len(layers), MOST_LAYERS))})
    strips = [strip(layers[place]) for place in kept]
    heights = [_strip_height(each) for each in strips]
    heading = 0.5 if strips else 0.0
    height = _TOP + heading + sum(heights) + _GAP * len(strips) + 0.1
    figure = Figure(figsize=(_WIDTH, height), facecolor="white", dpi=150)
    _heading(figure, explanation, name, height)
    _image(_axes(figure, height, 0.25, 0.95, 2.35, 2.35), explanation)
    rows, columns = explanation.saliency.shape
    tall = 2.35 * max(0.4, min(1.0, rows / columns))  # the colour bar is as high as the picture beside it
    _saliency(_axes(figure, height, 2.85, 0.95, 2.35, 2.35), _axes(figure, height, 5.32, 0.95, 0.1, tall), explanation)
    _bars(_axes(figure, height, 7.55, 0.95, 1.6, 2.35), explanation)
    if strips:
        cut = "" if len(kept) == len(layers) else f" ({len(kept)} of {len(layers)} shown)"
        text = f"What each layer gives{cut}: blue above zero, orange below, pale near zero; each layer on its own scale"
        _write(figure, text, 0.25, height - _TOP - 0.25, height, color=INK, size=10)
    top = _TOP + heading
    for each, tall in zip(strips, heights, strict=True):
        _strip(_axes(figure, height, _LEFT, top, _WIDTH - _LEFT - _RIGHT, tall), each)
        top += tall + _GAP
    return figure


def _axes(figure: Figure, height: float, left: float, top: float, wide: float, tall: float) -> Axes:
    """Axes at a place in inches from the top left."""
    return figure.add_axes((left / _WIDTH, 1 - (top + tall) / height, wide / _WIDTH, tall / height))


def _write(figure: Figure, text: str, x: float, y: float, height: float, *, color: str, size: float) -> None:
    """A line of text at a place in inches from the bottom left."""
    literal([figure.text(x / _WIDTH, y / height, text, color=color, fontsize=size, va="center")])


def _heading(figure: Figure, explanation: Explanation, name: str, height: float) -> None:
    predicted = explanation.predicted
    answer = f"{short(explanation.classes[predicted], 40)}, {_percent(explanation.probabilities[predicted])}"
    _write(figure, f"{short(name, 44)}:  {answer}" if name else answer, 0.25, height - 0.32, height, color=INK, size=14)


def _image(axes: Axes, explanation: Explanation) -> None:
    _quiet(axes, "as the network sees it")
    grey = explanation.image.shape[2] == 1
    axes.imshow(
        explanation.image[:, :, 0] if grey else explanation.image, cmap="gray" if grey else None, vmin=0, vmax=255
    )


def _saliency(axes: Axes, bar: Axes, explanation: Explanation) -> None:
    """The map in colours on the image, which is made pale; the colour bar says what they mean."""
    _quiet(axes, f"what speaks for {short(explanation.classes[explanation.target], 16)}")
    axes.set_xlabel(explanation.method, fontsize=8, color=SOFT, loc="left")
    limit = _limit(explanation.saliency, _QUANTILE)
    share = np.clip(explanation.saliency / limit, -1, 1)[..., np.newaxis]
    pale = _DARKEST + (_LIGHTEST - _DARKEST) * explanation.image.mean(axis=2, keepdims=True) / 255
    colour = np.where(share > 0, to_rgb(BLUE), to_rgb(RED))
    axes.imshow(np.abs(share) * colour + (1 - np.abs(share)) * pale)
    mappable = ScalarMappable(Normalize(-limit, limit), _OVERLAY)
    scale = axes.figure.colorbar(mappable, cax=bar, ticks=[-limit, 0, limit], extend="both", extendfrac=0.03)
    scale.outline.set_visible(False)
    scale.set_ticklabels([f"−{limit:.2g}\nspeaks\nagainst", "0", f"+{limit:.2g}\nspeaks\nfor"])
    bar.tick_params(color=LINE, labelsize=8)
    for label, shade, place in zip(bar.get_yticklabels(), (RED, SOFT, BLUE), ("bottom", "center", "top"), strict=True):
        label.set(color=shade, verticalalignment=place)


def _bars(axes: Axes, explanation: Explanation) -> None:
    """The probabilities of all classes in their order, or of the likeliest where there are many."""
    probabilities = explanation.probabilities
    likeliest = np.argsort(-probabilities, kind="stable")[:_MOST_BARS]
    rows = np.sort(likeliest) if len(probabilities) <= _MOST_BARS else likeliest
    title = "probability" if len(rows) == len(probabilities) else f"the {len(rows)} likeliest of {len(probabilities)}"
    _quiet(axes, title)
    axes.set_xlim(0, 1)
    axes.set_ylim(max(len(rows), 6) - 0.5, -0.6)
    axes.barh(range(len(rows)), [1.0] * len(rows), height=0.62, color=FINE)
    colours = [BLUE if row == explanation.predicted else "#8fa3b3" for row in rows]
    axes.barh(range(len(rows)), probabilities[rows], height=0.62, color=colours)
    for place, row in enumerate(rows):
        weight = "bold" if row == explanation.predicted else "normal"
        name, number = short(explanation.classes[row], 15), _percent(probabilities[row])
        for x, text, size, colour in ((-0.04, name, 9, INK), (1.37, number, 8.5, SOFT)):
            drawn = axes.text(x, place, text, fontsize=size, color=colour, fontweight=weight, ha="right", va="center")
            literal([drawn])
    axes.set_frame_on(False)


def _strip(axes: Axes, each: Strip) -> None:
    limit = _limit(each.values, 1.0)
    axes.set_axis_off()
    axes.set_anchor("NW")
    axes.imshow(each.values, cmap=FOR_AND_AGAINST, vmin=-limit, vmax=limit, interpolation="nearest")
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
    """A fine line round each tile: a pale one would not be seen on white."""
    known: npt.NDArray[np.bool] = np.isfinite(values)
    for top, bottom in _runs(np.any(known, axis=1)):
        for left, right in _runs(known[top, :]):
            axes.plot(
                np.array([left, right, right, left, left]) - 0.5, np.array([top, top, bottom, bottom, top]) - 0.5,
                color=LINE, linewidth=0.6, clip_on=False,
            )  # fmt: skip


def _runs(known: npt.NDArray[np.bool]) -> list[tuple[int, int]]:
    """Beginning and end of each run of True."""
    steps = np.flatnonzero(np.diff(known.astype(np.int8), prepend=0, append=0))
    return [(int(a), int(b)) for a, b in list(pairwise(steps))[::2]]


def _strip_height(each: Strip) -> float:
    """Inches: as wide as the place allows, but no cell larger than a fingertip, and room for the caption."""
    height, width = each.values.shape
    cell = min((_WIDTH - _LEFT - _RIGHT) / width, 0.25)
    return float(max(cell * height, 0.2 + 0.18 * (1 + each.caption.count("\n"))))


def _quiet(axes: Axes, title: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_anchor("NW")
    for spine in axes.spines.values():
        spine.set_color(LINE)
    literal([axes.set_title(title, fontsize=9.5, color=SOFT, loc="left", pad=6)])


def _limit(values: Float32Array, quantile: float) -> float:
    """Where the colours end, above zero."""
    known = np.abs(values[np.isfinite(values)])
    return max(float(np.quantile(known, quantile)), _TINY) if len(known) else _TINY


def _percent(share: float) -> str:
    return f"{100 * share:.1f}{THIN}%"
