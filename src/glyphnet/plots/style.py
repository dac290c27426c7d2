"""The house style: the colours of the report's page, quiet axes, and text that is only ever text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Literal

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ..units import THIN

# The light colours of pages/house.css: blue and vermilion of Okabe and Ito's palette.
BLUE = "#0067a8"
RED = "#b84a00"
HEAT = "#e8751a"
COOL = "#3f8fc9"
INK = "#1d2328"
SOFT = "#59636e"
LINE = "#dedbd5"
FINE = "#ebe9e4"

Corner = Literal["best", "upper left", "lower left", "lower right"]

LONGEST = 22  # characters of a class name

# What Matplotlib's own font lacks, the first of these that is installed may have.
_FALLBACKS = (
    "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Emoji",
    "Arial Unicode MS", "Hiragino Sans", "Apple Symbols", "Microsoft YaHei", "Segoe UI Symbol",
)  # fmt: skip
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_POINTS_PER_INCH = 72


def axes_or_new(ax: Axes | None, width: float, height: float) -> Axes:
    """``ax``, or else the axes of a new pyplot figure of ``width`` × ``height`` inches; dressed."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(width, height), layout="constrained")[1]
    return dress(ax)


def dress(ax: Axes) -> Axes:
    """Quiet axes: no frame above and to the right, a fine grid behind the data."""
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(LINE)
    ax.tick_params(color=LINE, labelcolor=SOFT, labelsize=9)
    ax.grid(True, color=FINE, linewidth=0.8)
    ax.set_axisbelow(True)
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
        text.set_color(INK)
    return ax


def percent_axis(axis: Axis) -> None:
    """Shares as percentages, written as everywhere else: 95 %."""
    axis.set_major_formatter(PercentFormatter(1.0, symbol=f"{THIN}%"))


def whole_axis(axis: Axis) -> None:
    """Ticks at whole numbers only: there is no half epoch, and no half image."""
    axis.set_major_locator(MaxNLocator("auto", integer=True))


def legend(ax: Axes, location: Corner = "best") -> None:
    """A legend without a frame, if there is anything to name."""
    if ax.get_legend_handles_labels()[1]:
        ax.legend(loc=location, frameon=False, labelcolor=INK, fontsize=9)


def tint(colour: str, most: float) -> LinearSegmentedColormap:
    """From the page's faintest grey to ``most`` (a share) of ``colour`` in it: dark ink stays readable on all of it."""
    strong = [most * c + (1 - most) * f for c, f in zip(to_rgb(colour), to_rgb(FINE), strict=True)]
    return LinearSegmentedColormap.from_list("tint", [to_rgb(FINE), strong])


def short(name: str, longest: int = LONGEST) -> str:
    """A class name fit to be drawn: on one line, valid Unicode, at most ``longest`` characters, cut in the middle."""
    name = name.encode("utf-8", "replace").decode()  # a lone surrogate cannot be drawn
    name = "".join(" " if unicodedata.category(each) in ("Cc", "Zl", "Zp") else each for each in name)
    if len(name) <= longest:
        return name
    tail = (longest - 1) // 3
    return f"{name[: longest - 1 - tail]}…{name[len(name) - tail :]}"


def literal(texts: Iterable[Text]) -> None:
    """Draw texts as written: ``$x$`` is a name, not mathematics, and ``%`` no comment of TeX."""
    for text in texts:
        text.set_parse_math(False)
        text.set_usetex(False)
        text.set_fontfamily([*text.get_fontfamily(), *_fallbacks()])


def name_ticks(axis: Axis, names: Sequence[str], room: float, *, rotated: bool = False) -> None:
    """Name the places 0, 1, … on an axis; where ``room`` (points) is too little for all, every second, fifth, …

    Names are drawn `short`; ``rotated`` ones are written upwards.
    """
    pitch = room / max(1, len(names))
    step = next((step for step in _STEPS if step * pitch >= 7), _STEPS[-1])
    size = max(6.0, min(9.0, 0.8 * step * pitch))
    axis.set_ticks(
        range(0, len(names), step),
        labels=[short(name) for name in names[::step]],
        rotation="vertical" if rotated else "horizontal",
        fontsize=size,
    )
    literal(axis.get_ticklabels())


def room_of(ax: Axes) -> tuple[float, float]:
    """Width and height of the axes in points, before labels take their part."""
    box = ax.get_position()
    width, height = ax.figure.get_size_inches()  # type: ignore[union-attr]
    return box.width * width * _POINTS_PER_INCH, box.height * height * _POINTS_PER_INCH


@cache
def _fallbacks() -> tuple[str, ...]:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(name for name in _FALLBACKS if name in installed)
