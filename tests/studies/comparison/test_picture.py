"""The picture: every method is named, and no name covers another name, a dot or an interval."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from matplotlib.text import Annotation, Text

from glyphnet.studies.comparison.comparing import Comparison
from glyphnet.studies.comparison.methods import METHODS
from glyphnet.studies.comparison.picture import picture

CROWD = (
    ("fast", 0.98, 5.0), ("balanced", 0.981, 5.2), ("svm", 0.979, 5.1), ("forest", 0.98, 4.9), ("mlp", 0.97, 5.0),
    ("knn", 0.96, 0.01), ("kmeans", 0.8, 0.01), ("logistic", 0.92, 300.0), ("xgboost", 0.975, 310.0),
)  # fmt: skip


@pytest.mark.parametrize("results", [CROWD, CROWD[:1], CROWD[5:]])
def test_no_name_covers_anything(
    results: tuple[tuple[str, float, float], ...], make_comparison: Callable[..., Comparison]
) -> None:
    found = make_comparison(*results)
    figure = picture(found)
    [axes] = figure.axes
    renderer = figure.canvas.get_renderer()
    names = {
        text.get_text(): Text.get_window_extent(text, renderer) for text in axes.texts if isinstance(text, Annotation)
    }
    assert set(names) == {METHODS[name].title for name, _, _ in results}
    for (one, box), (other, second) in itertools.combinations(names.items(), 2):
        assert not box.overlaps(second), f"{one} covers {other}"
    frame = axes.get_window_extent(renderer)
    for name, box in names.items():
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1, f"{name} leaves the frame"
        for row in found.rows:
            assert row.evaluation is not None
            interval = row.evaluation.accuracy_interval
            ends = [(row.fit_seconds, 100 * interval.low), (row.fit_seconds, 100 * interval.high)]
            (x, low), (_, high) = axes.transData.transform(ends)
            assert not (box.x0 < x < box.x1 and box.y0 < high and low < box.y1), f"{name} covers {row.name}"


def test_what_did_not_finish_is_named_below(make_comparison: Callable[..., Comparison]) -> None:
    figure = picture(make_comparison(CROWD[0], gone=("svm", "mlp")))
    texts = [text.get_text() for text in figure.texts]
    assert texts[0] == "things, test part: accuracy against time"
    assert texts[1] == "1,000 test images, 95 % intervals (Wilson); one fit each, up to 2 threads"
    assert texts[2] == (
        "Not shown: SVM (RBF), MLP (did not finish in 60 s).\na machine"
    )  # fmt: skip


def test_a_comparison_without_results_is_a_picture_too(make_comparison: Callable[..., Comparison]) -> None:
    figure = picture(make_comparison(gone=("svm",)))
    assert [text.get_text() for text in figure.axes[0].texts] == ["No method finished."]
