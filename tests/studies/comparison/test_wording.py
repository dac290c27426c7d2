"""A comparison in words: marks against the best, the verdict."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from glyphnet.studies.comparison.comparing import Comparison, cells

Make = Callable[..., Comparison]


def test_what_is_worse_is_marked_after_holm(make_comparison: Make) -> None:
    """8 against 0 images is p = 0.0078: below 0.05 also as the third of three. 6 against 0 is p = 0.031, no more."""
    found = make_comparison(("svm", 0.98, 1.0), ("mlp", 0.974, 1.0), ("knn", 0.974, 1.0), ("kmeans", 0.8, 1.0))
    marks = [row[-1] for row in cells(found)]
    assert marks == ["best", "p=0.062", "p=0.062", "worse, p<0.001"]
    assert found.against_best["mlp"].p_value == pytest.approx(0.03125)
    assert found.verdict == (
        "SVM (RBF) is the most accurate here. On 1,000 images it cannot be told apart from MLP and nearest neighbours."
    )


def test_the_verdict_where_all_others_are_worse_and_where_some_are_level(make_comparison: Make) -> None:
    clear = make_comparison(("svm", 0.98, 1.0), ("mlp", 0.8, 1.0), gone=("knn",))
    assert clear.verdict == (
        "SVM (RBF) is the most accurate here. It is better than every other method that finished, by McNemar's test."
    )
    level = make_comparison(("svm", 0.98, 1.0), ("fast", 0.98, 2.0))
    assert level.verdict == (
        "SVM (RBF) is the most accurate here, level with GlyphNet fast. "
        "On 1,000 images it cannot be told apart from GlyphNet fast."
    )
    assert make_comparison(("svm", 0.98, 1.0)).verdict == "SVM (RBF) is the most accurate here."
