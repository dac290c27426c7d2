"""``glyphnet.compare``: the same data for all, the table, the files, and what does not finish stays in it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

import glyphnet
from glyphnet.data import Splits, load
from glyphnet.errors import DataError, SettingsError
from glyphnet.evaluation.intervals import holm, paired
from glyphnet.studies.comparison.comparing import Comparison, ComparisonCallback, FitProgress, Row
from glyphnet.studies.comparison.methods import METHODS, Method, RowEstimator
from glyphnet.studies.comparison.picture import write_comparison

from ...photos import as_photos

pytestmark = pytest.mark.usefixtures("forked_children")


class Recorder(ComparisonCallback):
    def __init__(self) -> None:
        self.progress: list[FitProgress] = []
        self.rows: list[Row] = []

    def running(self, progress: FitProgress) -> None:
        self.progress.append(progress)

    def finished(self, row: Row) -> None:
        self.rows.append(row)


@pytest.fixture(scope="module")
def splits() -> Splits:
    return as_photos(load("digits"))


@pytest.fixture(scope="module")
def digits(splits: Splits) -> Comparison:
    return glyphnet.compare(splits, methods=["kmeans", "fast", "knn"], threads=1, seed=3)


def test_each_method_is_judged_on_the_test_images(digits: Comparison, splits: Splits) -> None:
    test = splits.test
    assert [row.status for row in digits.rows] == ["finished"] * 3
    for row in digits.rows:
        assert row.evaluation is not None
        assert np.array_equal(row.evaluation.labels, test.labels)
        assert np.array_equal(row.evaluation.images, test.images)
        assert list(row.evaluation.names) == list(test.names)
        assert row.evaluation.data == digits.data == "digits, test part"
        assert row.fit_seconds is not None
        assert row.seconds_per_image is not None
        assert row.size is not None
        assert row.fit_seconds > row.seconds_per_image > 0
        assert row.size > 1000


def test_a_classical_method_answers_as_scikit_learn_does_on_train_and_validation(
    digits: Comparison, splits: Splits
) -> None:
    images = np.concatenate([splits.train.images, splits.validation.images]).reshape(-1, 64)
    labels = np.concatenate([splits.train.labels, splits.validation.labels])
    direct = KNeighborsClassifier().fit(images, labels)  # distances need no scaling
    row = next(row for row in digits.rows if row.name == "knn")
    assert row.evaluation is not None
    assert np.array_equal(row.evaluation.predictions, direct.predict(splits.test.images.reshape(-1, 64)))


def test_a_preset_answers_as_glyphnet_train_does(digits: Comparison, splits: Splits) -> None:
    run = glyphnet.train(splits, preset="fast", changes={"seed": 3}, device="cpu")
    row = next(row for row in digits.rows if row.name == "fast")
    assert row.evaluation is not None
    assert run.evaluation is not None
    assert np.array_equal(row.evaluation.predictions, run.evaluation.predictions)


def test_the_rows_are_ranked_and_tested_against_the_best(digits: Comparison) -> None:
    accuracies = [row.evaluation.accuracy for row in digits.rows if row.evaluation]
    assert accuracies == sorted(accuracies, reverse=True)
    best, *others = digits.rows
    assert digits.best is best
    assert list(digits.against_best) == [row.name for row in others]
    assert best.evaluation is not None
    pairs = [paired(best.evaluation.correct, row.evaluation.correct) for row in others if row.evaluation]
    assert list(digits.against_best.values()) == pairs
    assert list(digits.p_values.values()) == holm([pair.p_value for pair in pairs])


def test_the_table_says_how_it_was_measured(digits: Comparison) -> None:
    lines = str(digits).splitlines()
    assert lines[0] == "digits, test part"
    assert lines[1].split("  ")[0] == "method"
    assert [line.split("  ")[0] for line in lines[2:5]] == [row.method.title for row in digits.rows]
    assert lines[2].endswith("  best")
    assert "359 test images, looked at once. Presets learn from 1,294 images and choose their epoch by 144 more; the "\
        "other methods, which choose nothing, learn from both." in lines  # fmt: skip
    assert "One method at a time, each in 60 s at most and on up to 1 thread; seed 3. Against the best: McNemar's "\
        "exact test, p-values by Holm's method." in lines  # fmt: skip


def test_the_files_hold_it_all(digits: Comparison, tmp_path: Path) -> None:
    write_comparison(digits, tmp_path / "a" / "b")
    found = json.loads(
        (tmp_path / "a" / "b" / "comparison.json").read_text(encoding="utf-8"), parse_constant=pytest.fail
    )
    assert found["best"] == found["methods"][0]["method"] == digits.rows[0].name
    assert found["images"] == {"train": 1294, "validation": 144, "test": 359}
    assert {"hardware", "versions", "threads", "seed", "budget_seconds", "learns_from"} <= found.keys()
    for row, told in zip(digits.rows, found["methods"], strict=True):
        assert row.evaluation is not None
        assert told["accuracy"]["value"] == pytest.approx(row.evaluation.accuracy, abs=1e-6)
        assert told["accuracy"]["n"] == 359
        assert told["settings"] == METHODS[row.name].settings
    pair = digits.against_best[digits.rows[1].name]
    against = found["methods"][1]["against_best"]
    assert (against["only_best_right"], against["only_this_right"]) == (pair.only_a, pair.only_b)
    with Image.open(tmp_path / "a" / "b" / "comparison.png") as picture:
        picture.load()
        assert picture.format == "PNG"


def test_decision_values_are_not_passed_off_as_probabilities(splits: Splits) -> None:
    assert [name for name, method in METHODS.items() if not method.probabilistic] == ["svm"]
    small = Splits("few", splits.train.subset(slice(0, 200)), splits.validation, splits.test)
    [told] = glyphnet.compare(small, methods=["svm"], threads=1).to_dict()["methods"]  # type: ignore[attr-defined]
    assert "log_loss" not in told
    assert "accuracy" in told


def test_what_fails_stays_in_the_table_and_the_others_go_on(
    small: Splits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = {
        "endless": lambda given: MLPClassifier(max_iter=10**9, tol=0.0, n_iter_no_change=10**9),
        "wrong": lambda given: KNeighborsClassifier(n_neighbors=-1),
    }
    for name, make in rows.items():
        method = Method(name.title(), "test", "", lambda given, make=make: RowEstimator(make(given)))  # type: ignore[misc]
        monkeypatch.setitem(METHODS, name, method)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    callback = Recorder()
    found = glyphnet.compare(small, methods=["endless", "wrong", "knn"], budget=0.5, threads=1, callback=callback)
    assert [(row.name, row.status) for row in found.rows] == [
        ("knn", "finished"), ("endless", "out of time"), ("wrong", "failed")
    ]  # fmt: skip
    lines = str(found).splitlines()
    assert "Endless: did not finish in 0.5 s." in lines
    assert any(line.startswith("Wrong: InvalidParameterError: The 'n_neighbors' parameter") for line in lines)
    assert "K-nearest" not in found.verdict
    assert found.verdict == "nearest neighbours is the most accurate here."
    assert [row.name for row in callback.rows] == ["endless", "wrong", "knn"], "in the order in which they were run"
    assert {each.phase for each in callback.progress if each.title == "Endless"} == {"starting", "fitting"}
    assert callback.progress[-1].number == callback.progress[-1].count == 3
    assert list(tmp_path.iterdir()) == [], "the temporary folder is removed"


def test_nan_of_a_method_is_a_failure_of_that_method(
    small: Splits, monkeypatch: pytest.MonkeyPatch, stubborn: Callable[..., Any]
) -> None:
    method = Method("Not a number", "test", "", lambda given: RowEstimator(stubborn("nan")))
    monkeypatch.setitem(METHODS, "nan", method)
    found = glyphnet.compare(small, methods=["nan"], threads=1)
    assert found.rows[0].status == "failed"
    assert found.rows[0].reason.startswith("The probabilities hold NaN or infinity")
    assert found.best is None
    assert found.verdict == "No method finished."
    assert "No method finished." in str(found)


def test_data_without_a_test_part_and_wrong_numbers_are_refused(small: Splits) -> None:
    without = Splits("mine", small.train, small.validation, small.test.subset([False] * len(small.test)))
    with pytest.raises(DataError) as nothing:
        glyphnet.compare(without)
    assert str(nothing.value) == "mine: there is no test part to judge by. Divide the data with a test_fraction."
    with pytest.raises(SettingsError) as wrong:
        glyphnet.compare(small, budget=0.0, threads=0)
    assert str(wrong.value) == "budget (=0 s) must be above 0, and threads (=0) 1 or more."
