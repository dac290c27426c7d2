"""The lab of the classical methods: what its quick version finds, on the embedded digits."""

from __future__ import annotations

import json

import pytest

from glyphnet.errors import SettingsError
from glyphnet.labs import classical, run_lab
from glyphnet.studies.comparison.methods import METHODS


def test_each_method_is_ranked_with_its_interval(numbers):
    rows = numbers["methods"]
    assert {row["name"] for row in rows} == {"fast", "kmeans", "knn", "svm"}
    assert [row["status"] for row in rows] == ["finished"] * 4
    accuracies = [row["accuracy"] for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert min(accuracies) > 0.9
    for row in rows:
        assert row["low"] < row["accuracy"] < row["high"]
        assert row["fit_seconds"] > 0
        assert row["seconds_per_image"] > 0


def test_all_usual_methods_are_compared_at_full_size():
    chosen = classical.ClassicalSettings().chosen
    assert set(chosen) == set(METHODS) - {"best"}
    assert set(METHODS) == set(classical._HOW), "each method is told of in a line"


def test_the_frontier_holds_what_no_other_beats_in_both(numbers):
    titles = {row["title"]: row for row in numbers["methods"]}
    kept = numbers["frontier"]
    assert kept
    for title, row in titles.items():
        beaten = any(
            other["fit_seconds"] < row["fit_seconds"] and other["accuracy"] >= row["accuracy"]
            for other in titles.values()
        )
        assert beaten == (title not in kept), title


def test_a_budget_that_nobody_keeps_is_told(tmp_path):
    folder = run_lab("classical", {"quick": True, "methods": ["mlp"], "budget": 0.05}, out=tmp_path)
    numbers = json.loads(folder.numbers.read_text(encoding="utf-8"))["numbers"]
    assert [row["status"] for row in numbers["methods"]] == ["out of time"]
    page = folder.page.read_text(encoding="utf-8")
    assert "No method finished in its time" in page
    assert page.count("No method finished within 0.05 s: give it a larger budget.") == 3


def test_seeds_repeat_the_comparison(tmp_path):
    folder = run_lab("classical", {"quick": True, "methods": ["knn"], "seeds": 2}, out=tmp_path)
    numbers = json.loads(folder.numbers.read_text(encoding="utf-8"))["numbers"]
    assert numbers["seeds"] == 2
    assert len(numbers["methods"][0]["accuracies"]) == 2


def test_an_unknown_method_is_told(tmp_path):
    with pytest.raises(SettingsError, match='unknown method "kmean"; did you mean "kmeans"'):
        run_lab("classical", {"quick": True, "methods": ["kmean"]}, out=tmp_path)
