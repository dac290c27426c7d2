"""The confusion matrix and the most confused pairs, as they are drawn."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn import metrics

from glyphnet import plots

MATRIX = np.array([[1200, 3, 0], [0, 250, 1], [0, 0, 0]])


def cells(ax):
    """The text of each cell by (row, column)."""
    return {(int(y), int(x)): text.get_text() for text in ax.texts for x, y in [text.get_position()]}


def test_the_cells_hold_the_counts_and_mistakes_have_a_scale_of_their_own(ax, draw):
    draw(plots.confusion_matrix(MATRIX, "abc", ax=ax))
    written = {place: text for place, text in cells(ax).items() if text}
    assert written == {(0, 0): "1,200", (0, 1): "3", (1, 1): "250", (1, 2): "1", (2, 2): "0"}
    mistakes, right = ax.images
    np.testing.assert_array_equal(mistakes.get_array().filled(-1), [[-1, 3, 0], [0, -1, 1], [0, 0, -1]])
    assert mistakes.norm.vmax == 3
    assert right.get_array().compressed().tolist() == pytest.approx([1200 / 1203, 250 / 251, 0])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Predicted", "True")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]


@pytest.mark.parametrize("normalize", ["true", "pred", "all"])
def test_shares_are_scikit_learns(ax, draw, normalize):
    labels, guesses = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2]), np.array([0, 0, 1, 1, 0, 2, 2, 1, 2])
    matrix = metrics.confusion_matrix(labels, guesses)
    draw(plots.confusion_matrix(matrix, "abc", normalize=normalize, ax=ax))
    expected = metrics.confusion_matrix(labels, guesses, normalize=normalize)
    right = np.eye(3, dtype=bool)
    np.testing.assert_allclose(ax.images[0].get_array().filled(0)[~right], expected[~right])
    written = {place: text for place, text in cells(ax).items() if text}
    assert written == {place: f"{100 * share:.0f}" for place, share in np.ndenumerate(expected) if share}


def test_shares_are_never_rounded_to_all_or_nothing(ax):
    plots.confusion_matrix(MATRIX, "abc", normalize="true", ax=ax)
    assert {place: cells(ax)[place] for place in [(0, 0), (0, 1), (2, 2)]} == {(0, 0): ">99", (0, 1): "<1", (2, 2): ""}


def test_a_hundred_classes_have_no_numbers_and_fewer_names(make_axes, draw):
    names = [f"class {k}" for k in range(100)]
    ax = draw(plots.confusion_matrix(np.eye(100, dtype=int), names, ax=make_axes(8, 8)))
    assert not ax.texts
    assert [text.get_text() for text in ax.get_yticklabels()] == names[::2]
    assert {text.get_rotation() for text in ax.get_xticklabels()} == {90.0}
    boxes = [text.get_window_extent() for text in ax.get_yticklabels()]
    assert not any(above.overlaps(below) for above, below in pairwise(boxes))


@pytest.mark.parametrize("count", [1, 2])
def test_one_class_and_two(make_axes, draw, count):
    ax = draw(plots.confusion_matrix(np.full((count, count), 7), "ab"[:count], ax=make_axes()))
    assert [text.get_text() for text in ax.texts] == ["7"] * count**2


def test_pairs_are_bars_with_their_counts(ax, draw):
    draw(plots.confused_pairs([("4", "9"), ("$x$", "9")], [12, 3], ax=ax))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["4 → 9", "$x$ → 9"]
    assert [bar.get_width() for bar in ax.patches] == [12, 3]
    assert [text.get_text() for text in ax.texts] == ["12", "3"]


def test_without_a_mistake_it_says_so(ax, draw):
    assert [text.get_text() for text in draw(plots.confused_pairs([], [], ax=ax)).texts] == ["no mistakes"]
