"""The scikit-learn classifier: what scikit-learn demands of it, and what it promises beyond that."""

from __future__ import annotations

import copy
import doctest
import json
import os
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from glyphnet.classifier import load_model
from glyphnet.errors import DivergedError, SettingsError
from glyphnet.sklearn import GlyphClassifier
from glyphnet.sklearn.rows import MOST_COPIES, Rows

# Most trainings here are short on purpose; the test of convergence asks for the warning.
pytestmark = pytest.mark.filterwarnings("ignore:Not converged:sklearn.exceptions.ConvergenceWarning")

FEATURES, LABELS = load_digits(n_class=4, return_X_y=True)
FEATURES, LABELS = FEATURES[:200], LABELS[:200]
IMAGES = (FEATURES.reshape(-1, 8, 8) * 15.9375).astype(np.uint8)
SHORT: dict[str, Any] = {"max_iter": 3, "hidden_layer_sizes": (16,), "random_state": 0}

CHECKS = """
import json, sys, warnings
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator
from glyphnet.sklearn import GlyphClassifier
warnings.simplefilter("error")
warnings.simplefilter("ignore", ConvergenceWarning)
for parameters in json.loads(sys.argv[1]):
    results = check_estimator(GlyphClassifier(**parameters), on_fail=None, on_skip=None)
    print(json.dumps([(row["check_name"], row["status"], repr(row["exception"]), parameters) for row in results]))
"""


CHECKED: tuple[dict[str, Any], ...] = (
    {"max_iter": 40},
    {"solver": "lbfgs", "max_iter": 15},
    {"solver": "sgd", "learning_rate_init": 0.1, "max_iter": 10, "dropout": 0.1, "early_stopping": True},
)


@pytest.mark.slow
def test_scikit_learns_own_checks_pass_and_none_is_skipped():
    # A process of its own: SciPy looks at this variable once, and without it a check is skipped.
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    run = subprocess.run(
        [sys.executable, "-c", CHECKS, json.dumps(CHECKED)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) == len(CHECKED)
    for results in map(json.loads, run.stdout.splitlines()):
        assert len(results) > 50
        assert [row for row in results if row[1] != "passed"] == []


def test_the_example_in_the_documentation_runs():
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner()
    for test in finder.find(GlyphClassifier, "GlyphClassifier", globs={}):
        runner.run(test)
    assert runner.summarize(verbose=False) == (0, 8)


def test_it_works_inside_what_scikit_learn_composes():
    estimator = GlyphClassifier(max_iter=30, learning_rate_init=0.01, random_state=0)
    pipeline = make_pipeline(StandardScaler(), estimator)
    assert cross_val_score(pipeline, FEATURES, LABELS, cv=3).min() > 0.85
    for composed in (
        CalibratedClassifierCV(estimator, cv=2),
        VotingClassifier([("net", estimator), ("linear", make_pipeline(StandardScaler(), LogisticRegression()))]),
    ):
        assert composed.fit(FEATURES, LABELS).score(FEATURES, LABELS) > 0.9


def test_a_search_runs_in_other_processes():
    grid = {"hidden_layer_sizes": [(4,), np.array([16, 8])], "l2": np.logspace(-4, -3, 2)}
    search = GridSearchCV(GlyphClassifier(max_iter=2, random_state=0), grid, cv=2, n_jobs=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(FEATURES, LABELS)
        here = GridSearchCV(search.estimator, grid, cv=2).fit(FEATURES, LABELS)
    assert search.cv_results_["mean_test_score"].tolist() == here.cv_results_["mean_test_score"].tolist()


def test_the_same_random_state_gives_the_same_bits_and_leaves_the_users_alone():
    np.random.seed(3)  # noqa: NPY002  # this is the state that must not change
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    threads = torch.get_num_threads()
    first = GlyphClassifier(**SHORT, dropout=0.2).fit(FEATURES, LABELS)
    second = GlyphClassifier(**SHORT, dropout=0.2).fit(FEATURES, LABELS)
    assert first.loss_curve_ == second.loss_curve_
    assert np.array_equal(first.predict_proba(FEATURES), second.predict_proba(FEATURES))
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert torch.get_num_threads() == threads
    state = np.random.RandomState(0)
    one = GlyphClassifier(**{**SHORT, "random_state": state}).fit(FEATURES, LABELS)
    assert one.loss_curve_ != one.fit(FEATURES, LABELS).loss_curve_, "a RandomState goes on"


def test_the_order_of_the_rows_does_not_matter():
    order = np.random.default_rng(0).permutation(len(LABELS))
    one = GlyphClassifier(**SHORT, early_stopping=True).fit(FEATURES, LABELS)
    other = GlyphClassifier(**SHORT, early_stopping=True).fit(FEATURES[order], LABELS[order])
    assert np.array_equal(one.predict_proba(FEATURES), other.predict_proba(FEATURES))


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw", "muon"])
@pytest.mark.parametrize("how", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_predicts_the_same_and_learns_on_the_same(solver: str, how: Any):
    network = {"kind": "cnn", "stem_stride": 1, "stem": 8, "channels": [8], "dense": [16]}
    one = GlyphClassifier(solver=solver, network=network, random_state=0)
    one.partial_fit(IMAGES, LABELS, classes=range(4)).partial_fit(IMAGES, LABELS)
    other = how(one)
    assert np.array_equal(one.predict_proba(IMAGES), other.predict_proba(IMAGES))
    for estimator in (one, other):
        estimator.partial_fit(IMAGES[:100], LABELS[:100]).partial_fit(IMAGES, LABELS)
    assert one.n_iter_ == other.n_iter_ == 4
    assert one.loss_curve_ == other.loss_curve_
    assert np.array_equal(one.predict_proba(IMAGES), other.predict_proba(IMAGES))


def test_it_is_kept_by_joblib_without_the_training_data(tmp_path: Path):
    wide = np.tile(FEATURES, (1, 20))
    one = GlyphClassifier(**SHORT).partial_fit(wide, LABELS, classes=range(4))
    joblib.dump(one, tmp_path / "one.joblib")
    assert np.array_equal(joblib.load(tmp_path / "one.joblib").predict(wide), one.predict(wide))
    assert (tmp_path / "one.joblib").stat().st_size < wide.astype(np.float32).nbytes
    assert clone(one).get_params() == one.get_params()
    with pytest.raises(NotFittedError, match="not fitted"):
        clone(one).predict(wide)


@pytest.mark.parametrize(
    "images", [IMAGES, IMAGES[..., None], np.stack([IMAGES] * 3, axis=-1)], ids=["grey", "one", "rgb"]
)
def test_images_train_and_become_a_model_file(images: np.ndarray, tmp_path: Path):
    network = {"kind": "cnn", "stem_stride": 1, "stem": 8, "channels": [8], "dense": [16]}
    estimator = GlyphClassifier(
        network=network, augment={"shift": 1}, learning_rate_init=0.01, max_iter=15, random_state=0
    )
    estimator.fit(images, LABELS)
    assert estimator.score(images, LABELS) > 0.9
    assert estimator.input_shape_ == (8, 8, images.shape[3] if images.ndim == 4 else 1)
    assert estimator.n_features_in_ == np.prod(estimator.input_shape_)
    estimator.to_classifier().save(tmp_path / "model.safetensors")
    model = load_model(tmp_path / "model.safetensors")
    assert model.predict(images[:20]) == [str(label) for label in estimator.predict(images[:20])]
    np.testing.assert_allclose(model.predict_proba(images[:20]), estimator.predict_proba(images[:20]), atol=1e-5)


def test_wrong_inputs_are_refused():
    of_images = GlyphClassifier(**SHORT).fit(IMAGES, LABELS)
    with pytest.raises(ValueError, match=r"uint8, \(N, H, W\) or \(N, H, W, C\), not float64 of \(200, 8, 8\)"):
        clone(of_images).fit(IMAGES / 255, LABELS)
    with pytest.raises(ValueError, match=r"shape \(8, 7, 1\), but training had \(8, 8, 1\)"):
        of_images.predict(IMAGES[:, :, :7])
    with pytest.raises(ValueError, match=r"shape \(64,\), but training had \(8, 8, 1\)"):
        of_images.predict(FEATURES)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clone(of_images).fit(IMAGES, LABELS[1:])
    with pytest.raises(ValueError, match=r"X of shape \(0, 8, 8\) has no pixels"):
        of_images.predict(IMAGES[:0])
    of_features = GlyphClassifier(**SHORT).fit(FEATURES, LABELS)
    with pytest.raises(ValueError, match=r"X holds 1e\+60, too large for float32"):
        of_features.predict(np.full((1, 64), 1e60))
    with pytest.raises(ValueError, match="trained on vectors of 64 features; a Classifier needs images"):
        of_features.to_classifier()
    with pytest.raises(SettingsError, match='network "cnn" reads images'):
        GlyphClassifier(network="cnn").fit(FEATURES, LABELS)


@pytest.mark.parametrize(
    "names",
    [["nought", "one", "two", "three"], [10, -3, 7, 2], [2.0, 1.0, 5.0, 3.0], [True, False, True, False], ["only"] * 4],
    ids=["str", "int", "float", "bool", "one class"],
)
@pytest.mark.parametrize("kind", [None, object])
def test_labels_may_be_of_any_type(names: list[Any], kind: Any):
    labels = np.array(names, dtype=kind)[LABELS]
    if kind is object and not isinstance(names[0], str):
        labels = np.array(names)[LABELS]
    estimator = GlyphClassifier(learning_rate_init=0.02, max_iter=20, random_state=0).fit(FEATURES, labels)
    assert estimator.classes_.tolist() == sorted(set(names))
    assert estimator.predict(FEATURES).dtype == labels.dtype
    assert estimator.score(FEATURES, labels) > 0.95
    assert estimator.predict_proba(FEATURES).shape == (200, len(set(names)))


def test_every_wrong_parameter_is_named_at_once():
    wrong = {
        "hidden_layer_sizes": (8, 0), "activation": "rellu", "solver": "adm", "l2": -1, "batch_size": 0, "max_iter": 0,
        "learning_rate_init": -0.5, "momentum": 1, "nesterovs_momentum": 1, "tol": -1, "n_iter_no_change": 1.5,
        "early_stopping": "yes", "validation_fraction": 1, "dropout": 1, "network": "ccn", "augment": {"shft": 1},
        "class_weight": "blanced", "random_state": "x", "warm_start": None, "device": "gpu", "verbose": "no",
    }  # fmt: skip
    estimator = GlyphClassifier(**wrong)
    assert set(wrong) == set(estimator.get_params())
    with pytest.raises(SettingsError) as caught:
        estimator.fit(FEATURES, LABELS)
    assert isinstance(caught.value, ValueError)
    message = str(caught.value)
    assert message.startswith("GlyphClassifier: hidden_layer_sizes[1]=0 must be greater than or equal to 1; ")
    assert all(re.search(rf"\b{name}\b", message) for name in wrong)
    assert 'unknown activation "rellu"; did you mean "relu"?' in message
    assert "solver='adm' must be 'adam', 'sgd', 'lbfgs', 'adamw' or 'muon'" in message
    assert "learning_rate_init=-0.5 must be greater than 0" in message
    assert "class_weight: must be None, \"balanced\" or a weight of 0 or more by label, not 'blanced'" in message


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (
            {"solver": "lbfgs", "learning_rate_init": 0.1, "momentum": 0, "nesterovs_momentum": False, "batch_size": 9},
            'learning_rate_init=0.1 (solver="lbfgs"); momentum=0.0 (solver="lbfgs"); '
            'nesterovs_momentum=False (solver="lbfgs"); batch_size=9 (solver="lbfgs")',
        ),
        ({"momentum": 0.5, "solver": "adam"}, 'momentum=0.5 (solver="adam")'),
        ({"validation_fraction": 0.2}, "validation_fraction=0.2 (early_stopping=False)"),
        (
            {"network": "linear", "hidden_layer_sizes": (9,), "activation": "tanh", "dropout": 0.5},
            "hidden_layer_sizes=(9,) (network is given); activation='tanh' (network is given); "
            "dropout=0.5 (network is given)",
        ),
        ({"hidden_layer_sizes": (), "dropout": 0.5}, "dropout=0.5 (hidden_layer_sizes is empty)"),
    ],
)  # fmt: skip
def test_parameters_without_effect_are_named(parameters: dict[str, Any], said: str):
    with pytest.warns(UserWarning, match=re.escape(f"has parameters without effect: {said}.") + "$"):
        GlyphClassifier(**parameters, max_iter=2).fit(FEATURES, LABELS)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "adamw", "muon"])
def test_defaults_and_parameters_with_an_effect_are_not_warned_of(solver: str):
    GlyphClassifier(solver=solver, early_stopping=True, validation_fraction=0.2, max_iter=2).fit(FEATURES, LABELS)
    GlyphClassifier(solver="sgd", momentum=0.0, max_iter=2).fit(FEATURES, LABELS)


def test_training_ends_when_the_loss_gains_no_more():
    estimator = GlyphClassifier(tol=10.0, n_iter_no_change=4).fit(FEATURES, LABELS)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 5
    assert estimator.loss_ == estimator.loss_curve_[-1]
    assert estimator.best_loss_ == min(estimator.loss_curve_)
    assert estimator.validation_scores_ is estimator.best_validation_score_ is None
    with pytest.warns(ConvergenceWarning, match="Not converged in max_iter=3 epochs. Raise max_iter or tol."):
        GlyphClassifier(**SHORT).fit(FEATURES, LABELS)


def test_early_stopping_keeps_the_weights_that_were_best_on_what_it_held_out():
    # A rate this high makes the accuracy go up and down, so the best epoch is not the last.
    estimator = GlyphClassifier(
        early_stopping=True, validation_fraction=0.5, learning_rate_init=0.3, n_iter_no_change=6, random_state=1
    ).fit(FEATURES, LABELS)
    scores = estimator.validation_scores_
    assert len(scores) == estimator.n_iter_
    assert estimator.best_loss_ is None
    best = int(np.argmax(scores))
    assert estimator.best_validation_score_ == scores[best] > scores[-1]
    assert estimator.n_iter_ - best >= 6
    seed = estimator.recipe_.seed
    rows = Rows.of(FEATURES.astype(np.float32), LABELS, np.ones(200))
    train, held = rows.hold_out(LABELS, 0.5, seed)
    assert sorted([*train.index, *held.index]) == list(range(200))
    assert np.bincount(LABELS[held.index]).tolist() == pytest.approx(np.bincount(LABELS) / 2, abs=1)
    assert estimator.score(FEATURES[held.index], LABELS[held.index]) == estimator.best_validation_score_
    with pytest.raises(ValueError, match=r"validation_fraction=0\.1 can hold out none of n_samples=2: no class has"):
        GlyphClassifier(early_stopping=True).fit(FEATURES[:2], LABELS[:2])


def test_copies_of_a_row_are_not_on_both_sides_of_the_held_out_part():
    doubled = np.repeat(FEATURES[:50], 2, axis=0).astype(np.float32)
    labels = np.repeat(LABELS[:50], 2)
    train, held = Rows.of(doubled, labels, np.ones(100)).hold_out(labels, 0.2, seed=0)
    assert len(held.index) > 10
    assert not set(train.group) & set(held.group)


def test_partial_fit_is_an_epoch():
    # max_iter epochs at once, and one by one.
    whole = GlyphClassifier(**SHORT, dropout=0.2).fit(FEATURES, LABELS)
    parts = GlyphClassifier(**SHORT, dropout=0.2)
    for _ in range(3):
        parts.partial_fit(FEATURES, LABELS, classes=[3, 2, 1, 0])
    assert parts.loss_curve_ == whole.loss_curve_
    assert np.array_equal(parts.predict_proba(FEATURES), whole.predict_proba(FEATURES))
    # `fit` hands its weights on; other parameters begin another optimizer with the same weights.
    before = whole.loss_
    assert whole.partial_fit(FEATURES, LABELS).n_iter_ == 1
    assert whole.loss_ < before
    parts.fit(FEATURES, LABELS)
    assert parts.partial_fit(FEATURES, LABELS).n_iter_ == 1
    before = parts.loss_
    assert parts.set_params(learning_rate_init=1e-9).partial_fit(FEATURES, LABELS).n_iter_ == 1
    assert parts.loss_ == pytest.approx(before, rel=0.1)


def test_partial_fit_refuses_what_it_cannot_do():
    estimator = GlyphClassifier(**SHORT)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        estimator.partial_fit(FEATURES, LABELS)
    with pytest.raises(ValueError, match=r"labels that are not in classes: \[3\]"):
        estimator.partial_fit(FEATURES, LABELS, classes=[0, 1, 2])
    estimator.partial_fit(FEATURES, LABELS, classes=[0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"classes=\[0, 1\] are not those of the last call, \[0, 1, 2, 3\]"):
        estimator.partial_fit(FEATURES, LABELS, classes=[0, 1])
    with pytest.raises(ValueError, match=r'class_weight="balanced" is not possible in partial_fit'):
        clone(estimator).set_params(class_weight="balanced").partial_fit(FEATURES, LABELS, classes=range(4))
    with pytest.raises(ValueError, match="The network is now MLPSpec"):
        estimator.set_params(hidden_layer_sizes=3).partial_fit(FEATURES, LABELS)
    for parameters in ({"solver": "lbfgs"}, {"early_stopping": True}):
        assert not hasattr(GlyphClassifier(**parameters), "partial_fit")


def test_inputs_are_standardised_as_the_weights_learnt_them():
    estimator = GlyphClassifier(**SHORT, warm_start=True).partial_fit(FEATURES, LABELS, classes=range(4))
    measured = estimator.preprocessing_
    assert estimator.partial_fit(FEATURES + 1, LABELS).preprocessing_ == measured
    assert estimator.fit(FEATURES + 1, LABELS).preprocessing_ == measured
    assert estimator.set_params(warm_start=False).fit(FEATURES + 1, LABELS).preprocessing_ != measured


def test_warm_start_goes_on_from_the_last_weights():
    estimator = GlyphClassifier(**SHORT, warm_start=True).fit(FEATURES, LABELS)
    first = estimator.loss_curve_
    estimator.fit(FEATURES, LABELS)
    assert estimator.loss_curve_[:3] == first
    assert estimator.loss_curve_[3] < first[2]
    assert estimator.n_iter_ == 3
    with pytest.raises(ValueError, match=r"classes of the last fit, \[0, 1, 2, 3\], but y has \[1, 2, 3, 4\]"):
        estimator.fit(FEATURES, LABELS + 1)


def test_whole_weights_are_copies_and_fractions_count_by_their_ratios():
    random = np.random.default_rng(0)
    weights = random.integers(0, 4, 200)
    weighted = GlyphClassifier(**SHORT, early_stopping=True).fit(FEATURES, LABELS, sample_weight=weights)
    repeated = clone(weighted).fit(FEATURES.repeat(weights, axis=0), LABELS.repeat(weights))
    assert np.array_equal(weighted.predict_proba(FEATURES), repeated.predict_proba(FEATURES))
    small = random.uniform(0.1, 0.9, 200)
    one = GlyphClassifier(**SHORT).fit(FEATURES, LABELS, sample_weight=small)
    half = clone(one).fit(FEATURES, LABELS, sample_weight=small / 2)
    none = clone(one).fit(FEATURES, LABELS)
    np.testing.assert_allclose(one.predict_proba(FEATURES), half.predict_proba(FEATURES), rtol=1e-3)
    assert one.loss_ != none.loss_
    assert len(Rows.of(FEATURES.astype(np.float32), LABELS, np.full(200, 1e6)).index) == MOST_COPIES * 200


def test_class_weights_move_the_decision():
    features, labels = FEATURES[:, 20:22], LABELS % 2
    plain = GlyphClassifier(max_iter=20, learning_rate_init=0.01, random_state=0).fit(features, labels)
    ones = [
        clone(plain).set_params(class_weight=weight).fit(features, labels).predict(features).mean()
        for weight in ({0: 100.0, 1: 1.0}, {0: 1.0, 1: 100.0})
    ]
    assert ones[0] < 0.1 < 0.9 < ones[1]
    rare = np.r_[np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:10]]
    balanced = clone(plain).set_params(class_weight="balanced").fit(features[rare], labels[rare])
    by_hand = clone(plain).set_params(class_weight={0: 10, 1: np.sum(labels == 0)}).fit(features[rare], labels[rare])
    np.testing.assert_allclose(balanced.predict_proba(features), by_hand.predict_proba(features), rtol=1e-3)
    with pytest.raises(ValueError, match="class_weight is 0 for every class in y"):
        clone(plain).set_params(class_weight={0: 0, 1: 0}).fit(features, labels)
    # In parts a class may be missing from the rows at hand, and its weight is not.
    parts = clone(plain).set_params(class_weight={0: 2.0, 1: 1.0})
    assert parts.partial_fit(features, labels + 1, classes=[0, 1, 2]).classes_.tolist() == [0, 1, 2]


def test_a_diverging_loss_is_told_in_the_estimators_words():
    with pytest.raises(DivergedError, match=r"too high: try learning_rate_init=1e\+37"):
        GlyphClassifier(solver="sgd", learning_rate_init=1e38).fit(FEATURES, LABELS)


def test_verbose_prints_a_line_an_epoch(capsys: pytest.CaptureFixture[str]):
    GlyphClassifier(**SHORT, early_stopping=True, verbose=True).fit(FEATURES, LABELS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert re.fullmatch(r"Epoch 3: loss \d\.\d{6}, validation accuracy \d\.\d{4}", lines[2])


def test_it_is_as_good_as_scikit_learns_own_on_digits():
    features, labels = load_digits(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(features, labels, stratify=labels, random_state=0)
    estimator = GlyphClassifier(early_stopping=True, random_state=0).fit(train, train_labels)
    assert estimator.score(test, test_labels) > 0.96
