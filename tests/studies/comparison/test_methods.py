"""The methods: each row of the table keeps the contract, and is what scikit-learn gives."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC

from glyphnet.data import Splits, load
from glyphnet.errors import SettingsError
from glyphnet.studies.comparison.methods import (
    DEFAULT_METHODS,
    METHODS,
    FitContext,
    NamedClusters,
    RowEstimator,
    choose,
    rows_of,
)

pytestmark = pytest.mark.usefixtures("little_ink")

GIVEN = FitContext(images=75, seed=0, threads=1, device="cpu")
QUICK = [name for name in METHODS if name not in ("balanced", "best")]  # the same code as fast, with more epochs


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("absent", [None, 1])
def test_every_method_learns_answers_and_has_a_size(
    name: str, absent: int | None, small_splits: Callable[..., Splits]
) -> None:
    """Also where a class has no image to learn from."""
    if name == "xgboost":
        pytest.importorskip("xgboost")
    splits = small_splits(absent=absent)
    estimator_ = pickle.loads(pickle.dumps(METHODS[name].make(GIVEN)))  # as it goes to the child
    estimator_.fit(splits)
    probabilities = estimator_.predict_proba(splits.test.images)
    assert probabilities.shape == (len(splits.test), 3)
    assert probabilities.dtype.kind == "f"
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    known = splits.test.labels != absent
    assert (probabilities.argmax(axis=1) == splits.test.labels)[known].mean() > 0.9
    assert estimator_.size() > 100


@pytest.mark.parametrize("classes", [2, 3])
def test_an_svm_answers_with_the_class_that_scikit_learn_names(
    classes: int, small_splits: Callable[..., Splits]
) -> None:
    splits = small_splits(classes=classes)
    estimator = SVC(C=10, break_ties=classes > 2)
    estimator_ = RowEstimator(estimator)
    estimator_.fit(splits)
    noise = np.random.default_rng(1).integers(0, 256, size=(300, 6, 6, 1), dtype=np.uint8)
    assert np.array_equal(estimator_.predict_proba(noise).argmax(axis=1), estimator.predict(rows_of(noise)))


def test_the_classical_ones_learn_from_validation_images_too() -> None:
    splits = load("digits")
    estimator_ = RowEstimator(RandomForestClassifier(20, random_state=0))
    estimator_.fit(splits)
    images = np.concatenate([splits.train.images, splits.validation.images]).reshape(-1, 64) / np.float32(255)
    labels = np.concatenate([splits.train.labels, splits.validation.labels])
    direct = RandomForestClassifier(20, random_state=0).fit(images, labels)
    expected = direct.predict_proba(splits.test.images.reshape(-1, 64) / np.float32(255))
    assert np.array_equal(estimator_.predict_proba(splits.test.images), expected)
    assert estimator_.size() == len(pickle.dumps(estimator_.estimator, protocol=pickle.HIGHEST_PROTOCOL))


def test_clusters_are_named_by_the_majority_of_their_images() -> None:
    """Two heaps, the first with five images of class 7 and one of class 3."""
    heap = np.repeat([[0.0, 0.0], [9.0, 9.0]], [6, 4], axis=0).astype(np.float32)
    rows = heap + np.random.default_rng(0).normal(0, 0.1, size=(10, 2)).astype(np.float32)
    labels = np.array([7, 7, 7, 3, 7, 7, 3, 3, 3, 3])
    clusters = NamedClusters(clusters_per_class=1, random_state=0).fit(rows, labels)
    assert clusters.predict_proba(heap).argmax(axis=1).tolist() == [1] * 6 + [0] * 4
    assert clusters.predict_proba(heap[:1]).tolist() == [pytest.approx([1 / 6, 5 / 6])]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["fast", "forrest"], 'unknown method "forrest"; did you mean "forest"?'),
        (["qqq"], f'unknown method "qqq" (known: {", ".join(METHODS)})'),
        (["knn", "svm", "knn"], 'the method "knn" is named twice: name each once.'),
        ([], f"no method is named: choose among {', '.join(METHODS)}."),
    ],
)
def test_wrong_names_are_told(names: list[str], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        choose(names)
    assert str(caught.value) == message


def test_all_but_the_slowest_are_usual() -> None:
    assert list(choose(None)) == list(DEFAULT_METHODS)
    assert set(METHODS) - set(DEFAULT_METHODS) == {"best"}
    assert list(choose(["svm", "best"])) == ["svm", "best"]
