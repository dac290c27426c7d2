"""Figures for a dark page and for a phone."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from glyphnet.labs.drawing import panel, sheet
from glyphnet.plots import gallery
from glyphnet.plots.style import BLUE, INK
from glyphnet.plots.variants import GROUND, NARROW, for_dark, for_phone


def two_panels() -> Figure:
    figure, axes = sheet(1, 2, sharey=True)
    axes[0, 0].plot([1, 2, 3], color=BLUE, marker="o", label="training")
    axes[0, 1].imshow(np.eye(4), cmap="gray")
    axes[0, 0].set_title("Loss", color=INK)
    axes[0, 0].yaxis.set_major_formatter(lambda value, _: f"{value:g} s")  # what cannot be pickled
    return figure


def test_a_dark_figure_has_the_colours_of_the_dark_page_and_the_first_one_keeps_its_own() -> None:
    figure = two_panels()
    dark = for_dark(figure)
    left, right = dark.axes
    assert to_hex(dark.get_facecolor()) == to_hex(left.get_facecolor()) == GROUND
    [line] = left.get_lines()
    assert to_hex(line.get_color()) == to_hex(line.get_markerfacecolor()) == "#6bb8ee"
    assert to_hex(left.title.get_color()) == "#e9e7e2"
    assert right.images[0].get_cmap().name == "gray", "pictures are shown as they are"
    assert to_hex(figure.axes[0].get_lines()[0].get_color()) == BLUE


def test_what_is_dark_becomes_light_and_text_on_coloured_cells_stays_readable() -> None:
    figure, axes = sheet()
    axes[0, 0].imshow([[0.0, 1.0]], cmap="Blues")
    axes[0, 0].text(0, 0, "36", color=INK)
    [ax] = for_dark(figure).axes
    cells = ax.images[0].get_cmap()(np.linspace(0, 1, 5))[:, :3].mean(axis=1)
    assert cells[0] < 0.25, "the palest cells are the darkest"
    assert to_hex(ax.texts[0].get_color()) == "#e9e7e2"


def test_on_a_phone_panels_stand_one_below_the_other_and_are_narrow() -> None:
    narrow = for_phone(two_panels())
    assert narrow.get_size_inches()[0] == NARROW
    narrow.canvas.draw()
    left, right = (ax.get_position() for ax in narrow.axes)
    assert left.y0 > right.y1, "the first panel is above the second"
    assert narrow.axes[1].yaxis.get_ticklabels()[0].get_visible(), "each has its own numbers"


def test_many_small_pictures_stay_side_by_side() -> None:
    figure, axes = sheet(2, 5)
    for ax in axes.flat:
        ax.imshow(np.eye(3), cmap="gray")
        ax.axis("off")
    narrow = for_phone(figure)
    narrow.canvas.draw()
    assert narrow.get_size_inches()[0] == NARROW
    assert len({round(ax.get_position().y0, 3) for ax in narrow.axes}) == 2
    assert not plt.get_fignums(), "pyplot keeps none of them alive"


def test_on_a_phone_a_wide_legend_and_a_long_title_are_folded_not_cut() -> None:
    figure, axes = sheet()
    ax = axes[0, 0]
    for name in ("unchanged recipe", "lower than drawn", "best so far", "finished", "pruned"):
        ax.plot([1, 2], label=name)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=5)
    figure.suptitle("a data set with quite a long name: accuracy, trial by trial", x=0.02, ha="left")
    narrow = for_phone(figure)
    narrow.canvas.draw()  # a warning that there is no room would be an error
    legend = narrow.axes[0].get_legend()
    for part in (legend, narrow._suptitle):
        extent = part.get_window_extent()
        assert extent.x0 >= 0
        assert extent.x1 <= narrow.bbox.width
    assert [text.get_text() for text in legend.get_texts()][:2] == ["unchanged recipe", "lower than drawn"]
    assert narrow.axes[0].get_window_extent().height > narrow.bbox.height / 3
    assert "\n" not in figure._suptitle.get_text(), "the wide figure keeps its own"


def test_on_a_phone_two_scales_of_one_panel_stay_together_and_free_places_go() -> None:
    figure, axes = sheet(2, 2)
    for ax in axes[0]:
        ax.plot([1, 2])
        ax.twinx().plot([2, 1])
    axes[1, 0].plot([1, 3])
    axes[1, 1].set_axis_off()
    narrow = for_phone(figure)
    narrow.canvas.draw()
    places = [ax.get_position().bounds for ax in narrow.axes]
    assert len(places) == 5, "the free place is gone"
    assert len({tuple(np.round(place, 3)) for place in places}) == 3
    assert narrow.get_size_inches()[1] < 3 * 3.3


def test_on_a_phone_a_gallery_with_sentences_has_three_columns_and_text_of_eleven_pixels() -> None:
    figure, ax = panel(4)
    gallery(np.zeros((7, 8, 8, 1), np.uint8), ["4, predicted 9\n87 % sure"] * 7, columns=6, ax=ax)
    [narrow] = for_phone(figure).axes
    lefts = [image.get_extent()[0] for image in narrow.images]
    assert len(set(lefts)) == 3
    assert [round(left, 3) for left in lefts[:3]] == sorted({round(left, 3) for left in lefts})
    assert all(text.get_fontsize() / 72 * 350 / NARROW >= 11 for text in narrow.texts)
    assert len({image.get_extent()[0] for image in ax.images}) == 6, "the wide figure keeps its own"
    extents = {tuple(image.get_extent()) for image in narrow.images}
    assert len(extents) == 7, "no two lie on one place"
