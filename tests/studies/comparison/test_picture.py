"""The picture: every method is named, and no name covers another name, a dot or an interval."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from glyphnet.studies.comparison.comparing import Comparison
from glyphnet.studies.comparison.picture import picture

CROWD = (
    ("fast", 0.98, 5.0), ("balanced", 0.981, 5.2), ("svm", 0.979, 5.1), ("forest", 0.98, 4.9), ("mlp", 0.97, 5.0),
    ("knn", 0.96, 0.01), ("kmeans", 0.8, 0.01), ("logistic", 0.92, 300.0), ("xgboost", 0.975, 310.0),
)  # fmt: skip


@pytest.mark.parametrize("results", [CROWD, CROWD[:1], CROWD[5:]])
def test_every_method_is_named_and_no_name_covers_anything(
    results: tuple[tuple[str, float, float], ...], make_comparison: Callable[..., Comparison]
) -> None:
    found = make_comparison(*results)
    figure = picture(found)
    figure.draw_without_rendering()
    accuracies, times = figure.axes
    names = {text.get_text(): text.get_window_extent() for text in accuracies.get_yticklabels()}
    assert list(names) == [row.method.title for row in reversed(found.rows)], "the best on top"
    boxes = [*names.values(), *(text.get_window_extent() for text in figure.texts)]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    for box in boxes:
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width
        assert 0 <= box.y0 < box.y1 <= figure.bbox.height
    for box in names.values():
        assert box.x1 < accuracies.get_window_extent().x0
    ends = [end for line in accuracies.collections for (x, _), (y, _) in line.get_segments() for end in (x, y)]
    intervals = [row.evaluation.accuracy_interval for row in found.rows if row.evaluation]
    assert sorted(ends) == pytest.approx(sorted(each for pair in intervals for each in (pair.low, pair.high)))
    seconds = [x for line in times.lines for x in line.get_xdata()]
    assert sorted(seconds) == pytest.approx(sorted(seconds for _, _, seconds in results))


def test_what_did_not_finish_is_named_below(make_comparison: Callable[..., Comparison]) -> None:
    figure = picture(make_comparison(CROWD[0], gone=("svm", "mlp")))
    texts = [text.get_text() for text in figure.texts]
    assert texts[0] == "things, test part: accuracy and time"
    assert texts[1] == "1,000 test images, 95 % intervals (Wilson); one fit each, up to 2 threads"
    assert texts[2] == (
        "Not shown: SVM (RBF), MLP (did not finish in 60 s).\na machine"
    )  # fmt: skip


def test_a_comparison_without_results_is_a_picture_too(make_comparison: Callable[..., Comparison]) -> None:
    figure = picture(make_comparison(gone=("svm",)))
    assert [text.get_text() for text in figure.axes[0].texts] == ["No method finished."]
