"""A finished figure for a dark page, and for a narrow one."""

from __future__ import annotations

import colorsys
import textwrap
from copy import deepcopy
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import Colormap, ListedColormap, to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from .matrices import arrange
from .style import BLUE, COOL, FINE, HEAT, INK, LINE, RED, SOFT

NARROW = 3.7
"""Inches of a figure on a phone: drawn 350 pixels wide, text of 10 points is 13 pixels high."""

MOST_STACKED = 6
"""Axes that are put one below the other on a narrow page; more are small pictures, and stay side by side."""

GALLERY_COLUMNS = 3
"""Pictures in a row of a gallery on a phone, where their titles have several words."""

_HANDLE = 0.6  # inches: the line before a name in a legend, and its padding
_SMALLEST = 8.5  # points: 11 pixels on a phone
_BESIDE_THE_SCALE = 0.8  # of the width of a narrow figure: what the numbers and the title of an axis leave

GROUND = "#1c2024"  # --surface of the dark page in pages/house.css, and the others below too
_DARK = {
    INK: "#e9e7e2", SOFT: "#a2abb4", LINE: "#353b42", FINE: "#282d33", BLUE: "#6bb8ee", RED: "#f59a52",
    HEAT: "#c2590a", COOL: "#2c79b0", "#ffffff": GROUND, "#000000": "#e9e7e2",
}  # fmt: skip
_PICTURES = ("gray", "grey", "gray_r", "Greys", "Greys_r", "binary")  # what an image looks like is not changed


def for_dark(figure: Figure) -> Figure:
    """A copy of a figure in the colours of a dark page; pictures in it stay as they are."""
    copy = deepcopy(figure)
    for artist in copy.findobj():
        _recolour(artist)
    copy.set_facecolor(GROUND)
    for ax in copy.axes:
        ax.set_facecolor(GROUND)
        ax.tick_params(which="both", color=_dark(LINE), grid_color=_dark(FINE))  # also those that are made later
    return copy


def for_phone(figure: Figure) -> Figure:
    """A copy of a figure with its axes one below the other, so that text is large enough on a phone.

    Legends that are too wide then get fewer columns, and titles more lines.
    """
    copy = deepcopy(figure)
    for ax in [ax for ax in copy.axes if _is_empty(ax)]:
        copy.delaxes(ax)
    placed = [ax for ax in copy.axes if ax.get_subplotspec() is not None]
    # Two axes may share a place, one for the left scale and one for the right.
    places = list(dict.fromkeys(ax.get_subplotspec() for ax in placed))
    width, height = copy.get_size_inches()
    narrow = min(NARROW, width)
    if any(ax.images and not ax.axison for ax in placed):
        return _pictures_for_phone(copy, placed, narrow)
    if len(places) > MOST_STACKED:
        return copy
    rows = 1 + max((_row(ax) for ax in placed), default=0)
    if len(places) > rows:  # side by side
        grid = copy.add_gridspec(len(places), 1)
        taken = set()
        for ax in placed:
            place = places.index(ax.get_subplotspec())
            ax.set_subplotspec(grid[place])
            if place not in taken:  # the second one has its numbers on the right
                ax.tick_params(labelleft=True, labelbottom=True)
            taken.add(place)
        copy.set_size_inches(narrow, len(places) * max(2.2, min(height / rows, 3.2)))
    elif any(ax.get_aspect() != "auto" for ax in placed):  # its proportions stay
        copy.set_size_inches(narrow, height * narrow / width)
    else:
        copy.set_size_inches(narrow, height)
    for legend in copy.legends:
        _fold_legend(legend, copy.bbox.width)
    for ax in placed:
        if (own := ax.get_legend()) is not None:
            _fold_legend(own, _BESIDE_THE_SCALE * copy.bbox.width)
        for text in (ax.title, ax.xaxis.label):
            _fold_text(text, _BESIDE_THE_SCALE * copy.bbox.width)
    for text in (copy._suptitle, copy._supxlabel):  # type: ignore[attr-defined]  # no public way to the objects
        if text is not None:
            _fold_text(text, copy.bbox.width * (1 - text.get_position()[0]))
    _fold_cut(copy, [text for ax in placed for text in (ax.title, ax.xaxis.label)])
    return copy


def _fold_cut(figure: Figure, texts: list[Text]) -> None:
    """Fold those that a side of the figure would cut: an axis stands right of its numbers, and its label below it."""
    long = [text for text in texts if text.get_window_extent().width > figure.bbox.width / 2]
    if not long:
        return
    figure.draw_without_rendering()  # now they are where the layout has put them
    for text in long:
        extent = text.get_window_extent()
        centre = (extent.x0 + extent.x1) / 2
        _fold_text(text, 2 * min(centre, figure.bbox.width - centre))


def _is_empty(ax: Axes) -> bool:
    """Whether a place of a grid was left free."""
    return not ax.axison and not ax.has_data() and not ax.texts and not ax.get_title()


def _pictures_for_phone(copy: Figure, placed: list[Axes], narrow: float) -> Figure:
    """Pictures stay beside each other, under folded titles; where each has a title of several words, three a row."""
    width, height = copy.get_size_inches()
    titles = [text.get_text() for text in placed[0].texts]
    if len(placed) == 1 and len(placed[0].images) == len(titles) > 1 and any(" " in title for title in titles):
        copy.set_size_inches(narrow, narrow * arrange(placed[0], GALLERY_COLUMNS))
    else:
        copy.set_size_inches(narrow, max(1.2, height * narrow / width))
    columns = max((spec.colspan.stop for ax in placed if (spec := ax.get_subplotspec()) is not None), default=1)
    for ax in placed:
        for text in (ax.title, ax.xaxis.label):
            _fold_text(text, _BESIDE_THE_SCALE * copy.bbox.width / columns)
        for text in ax.texts:
            text.set_fontsize(max(_SMALLEST, text.get_fontsize()))
    return copy


def _fold_legend(legend: Legend, width: float) -> None:
    """Give a legend fewer columns until it is at most so many pixels wide."""
    _title, entries = legend.get_children()[0].get_children()
    columns = entries.get_children()
    while len(columns) > 1 and legend.get_window_extent().width > width:
        items = [item for column in columns for item in column.get_children()]
        del columns[-1]
        for column, part in zip(columns, np.array_split(np.arange(len(items)), len(columns)), strict=True):
            column.get_children()[:] = [items[place] for place in part]
    for text in legend.get_texts():
        _fold_text(text, width - _HANDLE * legend.figure.dpi)


def _fold_text(text: Text, width: float) -> None:
    """Break a text between words into lines of at most so many pixels."""
    whole = text.get_text()
    letters = len(whole)
    while letters > 1 and text.get_window_extent().width > width:
        letters -= 1
        text.set_text(textwrap.fill(whole, letters, break_long_words=False))


def _row(ax: Axes) -> int:
    spec = ax.get_subplotspec()
    return 0 if spec is None else spec.rowspan.start


def _recolour(artist: Any) -> None:
    if isinstance(artist, Text):
        artist.set_color(_dark(artist.get_color()))
    elif isinstance(artist, Line2D):
        # All are read before one is set: a marker may take the colour of its line.
        colours = {name: getattr(artist, f"get_{name}")() for name in ("color", "markerfacecolor", "markeredgecolor")}
        for name, colour in colours.items():
            if not (isinstance(colour, str) and colour in ("auto", "none")):
                getattr(artist, f"set_{name}")(_dark(colour))
    elif isinstance(artist, Patch):
        artist.set_facecolor(_dark(artist.get_facecolor()))
        artist.set_edgecolor(_dark(artist.get_edgecolor()))
    elif isinstance(artist, Collection):
        if artist.get_array() is not None:
            artist.set_cmap(_dark_map(artist.get_cmap()))
            return
        artist.set_facecolor([_dark(each) for each in np.asarray(artist.get_facecolor())])
        artist.set_edgecolor([_dark(each) for each in np.asarray(artist.get_edgecolor())])
    elif isinstance(artist, AxesImage) and (values := artist.get_array()) is not None and values.ndim == 2:
        artist.set_cmap(_dark_map(artist.get_cmap()))


def _dark(colour: Any) -> tuple[float, float, float, float]:
    """The counterpart of a colour: the page's own if it is one of them, else light for dark and dark for light."""
    red, green, blue, alpha = to_rgba(colour)
    if (known := _DARK.get(to_hex((red, green, blue)))) is not None:
        return to_rgba(known, alpha)
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    return (*colorsys.hls_to_rgb(hue, 0.12 + 0.8 * (1 - light), saturation), alpha)


def _dark_map(colours: Colormap) -> Colormap:
    if colours.name in _PICTURES:
        return colours
    return ListedColormap([_dark(each) for each in colours(np.linspace(0, 1, 256))])
