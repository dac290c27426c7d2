"""A comparison in words: units, marks against the best, the verdict."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from glyphnet.comparison import Comparison, wording

Make = Callable[..., Comparison]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0000123, "12.3 µs"), (0.0009994, "999 µs"), (0.0009996, "1.00 ms"), (0.25, "250 ms"), (1.0, "1.00 s"),
        (9.994, "9.99 s"), (9.996, "10.0 s"), (99.6, "99.6 s"), (99.96, "100 s"), (599.0, "599 s"), (3600.0, "60 min"),
    ],
)  # fmt: skip
def test_seconds_have_three_digits_and_a_unit(value: float, text: str) -> None:
    assert wording.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(999, "999 B"), (3330, "3.33 kB"), (999_600, "1.00 MB"), (188_500_000, "188 MB"), (2_000_000_000, "2.00 GB")],
)
def test_sizes_are_in_thousands(value: int, text: str) -> None:
    assert wording.size(value) == text


def test_what_is_worse_is_marked_after_holm(make_comparison: Make) -> None:
    """8 against 0 images is p = 0.0078: below 0.05 also as the third of three. 6 against 0 is p = 0.031, no more."""
    found = make_comparison(("svm", 0.98, 1.0), ("mlp", 0.974, 1.0), ("knn", 0.974, 1.0), ("kmeans", 0.8, 1.0))
    marks = [cells[-1] for cells in wording.cells(found)]
    assert marks == ["best", "p=0.062", "p=0.062", "worse, p<0.001"]
    assert found.against_best["mlp"].p_value == pytest.approx(0.03125)
    assert found.verdict == (
        "SVM (RBF) is the most accurate here. On 1,000 images it cannot be told apart from MLP and nearest neighbours."
    )


def test_the_verdict_where_all_others_are_worse_and_where_some_are_level(make_comparison: Make) -> None:
    clear = make_comparison(("svm", 0.98, 1.0), ("mlp", 0.8, 1.0), gone=("knn",))
    assert clear.verdict == (
        "SVM (RBF) is the most accurate here. It is better than every other that finished, by McNemar's test."
    )
    level = make_comparison(("svm", 0.98, 1.0), ("fast", 0.98, 2.0))
    assert level.verdict == (
        "SVM (RBF) is the most accurate here, level with GlyphNet fast. "
        "On 1,000 images it cannot be told apart from GlyphNet fast."
    )
    assert make_comparison(("svm", 0.98, 1.0)).verdict == "SVM (RBF) is the most accurate here."
