"""The house style: the page's colours, names that stay text, and whose figure is drawn into."""

import re
from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
import pytest

from glyphnet import plots
from glyphnet.plots import style


def test_the_colours_are_those_of_the_pages():
    house = (files("glyphnet") / "pages" / "house.css").read_text(encoding="utf-8")
    light = dict(re.findall(r"--(\w+): (#\w+);", re.search(r"^:root \{(.*?)\}", house, re.DOTALL | re.MULTILINE)[1]))
    names = ("blue", "red", "heat", "cool", "ink", "soft", "line", "fine")
    assert {name: getattr(style, name.upper()) for name in names} == {name: light[name] for name in names}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("four", "four"),
        ("two\nlines\tand\u2028more", "two lines and more"),
        ("\udcff-bytes", "?-bytes"),
        ("čtyři 四", "čtyři 四"),
        ("x" * 22, "x" * 22),
        ("the beginning, the middle and the end", "the beginning,…the end"),
    ],
)
def test_names_are_shortened_to_one_line_of_valid_text(name, expected):
    assert style.short(name) == expected
    assert len(expected) <= style.LONGEST


@pytest.mark.parametrize("name", ["$x$", r"$\alpha", r"100 % \frac{", "a_b^c", "<img onerror=…>", "\udcff", "$$", ""])
def test_a_name_is_never_mathematics(make_axes, draw, name):
    """As mathematics some of these could not be drawn at all, and $x$ would be an italic x."""
    names = [name, "other"]
    image = np.zeros((1, 3, 3, 1), dtype=np.uint8)
    drawn = [
        draw(plots.confusion_matrix(np.eye(2, dtype=int), names, ax=make_axes())).get_xticklabels()[0],
        draw(plots.class_figures([0.5, 0.7], np.full((2, 2), np.nan), names, ax=make_axes())).get_yticklabels()[0],
        draw(plots.confused_pairs([(name, "b")], [1], ax=make_axes())).get_yticklabels()[0],
        draw(plots.gallery(image, [f"t: {style.short(name)}"], ax=make_axes())).texts[0],
    ]
    for text in drawn:
        assert style.short(name) in text.get_text()
        assert not text.get_parse_math()


def test_given_axes_are_drawn_into_and_returned_and_pyplot_knows_nothing(ax, make_axes):
    before = plt.get_fignums()
    assert plots.confusion_matrix(np.eye(2, dtype=int), "ab", ax=ax) is ax
    assert plots.reliability([0.5], [0.5], ax=ax) is ax
    two = make_axes(ncols=2)
    assert plots.learning_curves([{"epoch": 1, "loss": 1.0}], axes=list(two)) == tuple(two)
    assert plt.get_fignums() == before


def test_without_axes_a_new_pyplot_figure_is_made_so_that_notebooks_show_it():
    plt.close("all")
    drawn = [
        plots.confusion_matrix(np.eye(2, dtype=int), "ab"),
        plots.coverage([1.0], [0.5]),
        plots.learning_curves([{"epoch": 1, "loss": 1.0}])[0],
    ]
    assert [plt.figure(number) for number in plt.get_fignums()] == [ax.figure for ax in drawn]
    plt.close("all")


def test_percentages_are_written_with_a_space(ax, draw):
    draw(plots.coverage([0.5, 1.0], [1.0, 0.0], ax=ax))
    assert "100\u202f%" in [text.get_text() for text in ax.get_xticklabels()]
