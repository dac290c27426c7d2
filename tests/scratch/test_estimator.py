"""The estimator: what scikit-learn demands, what it records, how it trains, what it says to wrong input."""

from __future__ import annotations

import doctest
import json
import os
import pickle
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info, threadpool_limits

from glyphnet.scratch import NeuralNetMLP

DIGITS, LABELS = load_digits(return_X_y=True)
X, Y, X_TEST, Y_TEST = DIGITS[:1400], LABELS[:1400], DIGITS[1400:], LABELS[1400:]
SHORT: dict[str, Any] = {"epochs": 5, "minibatches": 20, "learning_rate": 0.01, "random_state": 0}

CHECKS = """
import json, sys, warnings
from sklearn.utils.estimator_checks import check_estimator
from glyphnet.scratch import NeuralNetMLP
warnings.simplefilter("error")
results = check_estimator(NeuralNetMLP(**json.loads(sys.argv[1])), on_fail=None, on_skip=None)
print(json.dumps([(row["check_name"], row["status"], repr(row["exception"])) for row in results]))
"""


def in_a_process_of_its_own(code: str, *arguments: str, **variables: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"solver": "lbfgs"},
        {"dtype": "float32", "epochs": 100, "learning_rate": 0.01, "momentum": 0.5},
    ],
    ids=str,
)
def test_scikit_learns_own_checks_pass_and_none_is_skipped(parameters: dict[str, Any]):
    # SciPy looks at this variable once, and without it a check is skipped.
    results = json.loads(in_a_process_of_its_own(CHECKS, json.dumps(parameters), SCIPY_ARRAY_API="1"))
    assert len(results) > 50
    assert [row for row in results if row[1] != "passed"] == []


def test_it_needs_neither_torch_nor_any_other_part_of_ours():
    code = (
        "import sys; from glyphnet.scratch import NeuralNetMLP\n"
        "NeuralNetMLP(2, epochs=1).fit([[0, 1], [1, 0]], ['a', 'b'])\n"
        "print(*sorted(name for name in sys.modules if name.startswith(('torch', 'glyphnet'))))"
    )
    ours = "glyphnet glyphnet._version glyphnet.scratch glyphnet.scratch.estimator glyphnet.scratch.network"
    assert in_a_process_of_its_own(code).strip() == ours


def test_the_example_in_the_documentation_runs():
    from glyphnet.scratch import estimator

    assert doctest.testmod(estimator) == (0, 5)


def test_the_records_of_a_training_agree_with_one_another():
    seen = []
    net = NeuralNetMLP(**SHORT, l2=0.1).fit(X, Y, (X_TEST, Y_TEST), lambda net: seen.append(net.n_iter_))
    assert seen == [1, 2, 3, 4, 5]
    assert (net.n_iter_, len(net.cost_), net.stopped_) == (5, 100, "5 epochs done")
    np.testing.assert_allclose(net.epoch_cost_, np.reshape(net.cost_, (5, 20)).mean(axis=1))
    assert net.train_accuracy_[0] < net.train_accuracy_[-1] <= 1
    assert net.train_loss_[-1] * len(X) < sum(net.cost_[-20:])  # the cost has the penalty, too
    assert net.validation_accuracy_[-1] == net.score(X_TEST, Y_TEST)
    outputs = expit(net._logits(X_TEST))
    one_hot = np.eye(10)[Y_TEST]
    loss = -(one_hot * np.log(outputs) + (1 - one_hot) * np.log1p(-outputs)).sum() / len(X_TEST)
    assert net.validation_loss_[-1] == pytest.approx(loss)
    assert not hasattr(net.fit(X, Y), "validation_loss_")


def test_without_penalty_or_batches_the_training_loss_is_the_cost_a_row():
    net = NeuralNetMLP(epochs=3).fit(X, Y)
    np.testing.assert_allclose(np.array(net.train_loss_) * len(X), net.cost_)


def test_probabilities_are_the_odds_of_the_outputs_shared_out():
    net = NeuralNetMLP(**SHORT).fit(X, Y)
    outputs = expit(net._logits(X_TEST))
    odds = outputs / (1 - outputs)
    np.testing.assert_allclose(net.predict_proba(X_TEST), odds / odds.sum(axis=1, keepdims=True))
    assert (net.predict(X_TEST) == outputs.argmax(axis=1)).all()


def test_the_same_seed_gives_the_same_bits_and_bytes_those_of_their_floats():
    first, second = (NeuralNetMLP(**SHORT, l1=0.01).fit(data, Y) for data in (X, X.astype(np.uint8)))
    assert [part.tobytes() for part in first.weights_] == [part.tobytes() for part in second.weights_]
    assert first.cost_ == second.cost_
    other = NeuralNetMLP(**{**SHORT, "random_state": 1}, l1=0.01).fit(X, Y)
    assert first.cost_ != other.cost_


def test_no_global_random_state_is_used_or_changed():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    NeuralNetMLP(epochs=1).fit(X, Y)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_float32_learns_the_same_in_half_the_bits():
    gently = {**SHORT, "learning_rate": 0.001}
    nets = {dtype: NeuralNetMLP(**gently, dtype=dtype).fit(X, Y) for dtype in ("float64", "float32")}
    assert {dtype: str(net.weights_.W1.dtype) for dtype, net in nets.items()} == {name: name for name in nets}
    np.testing.assert_allclose(nets["float32"].epoch_cost_, nets["float64"].epoch_cost_, rtol=1e-3)


@pytest.mark.parametrize("solver", ["lbfgs", "bfgs"])
def test_scipys_solvers_go_down_and_learn(solver: str):
    net = NeuralNetMLP(8, solver=solver, l2=0.1, epochs=60, random_state=0).fit(X / 16, Y)
    assert len(net.cost_) == net.n_iter_ == 60
    assert (np.diff(net.cost_) <= 0).all()
    assert net.score(X / 16, Y) == net.train_accuracy_[-1] > 0.95
    assert "iterations" in net.stopped_.lower()


@pytest.mark.parametrize("solver", ["lbfgs", "bfgs"])
def test_the_libraries_of_numpy_and_scipy_do_not_wait_for_each_other(solver: str):
    """Each has threads of its own, which are busy while they wait: several of both are slower than one."""

    def threads() -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    seen: list[set[int]] = []
    with threadpool_limits(2, user_api="blas"):
        net = NeuralNetMLP(5, solver=solver, epochs=3, random_state=0)
        net.fit(X[:50], Y[:50], on_epoch=lambda _: seen.append(threads()))
        assert seen[0] == {1}
        assert threads() == {2}


def test_lbfgs_ends_where_there_is_no_slope_left():
    net = NeuralNetMLP(2, solver="lbfgs", l2=1.0, random_state=0).fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0])
    assert net.n_iter_ < 500
    assert net.stopped_.startswith("CONVERGENCE")


def test_labels_of_any_kind_and_columns_with_names():
    names = np.array(["zero", "one", "two"])
    few = Y < 3
    frame = pd.DataFrame(X[few], columns=[f"pixel{n}" for n in range(64)])
    net = NeuralNetMLP(**SHORT).fit(frame, names[Y[few]])
    assert net.classes_.tolist() == ["one", "two", "zero"]
    assert net.score(frame, names[Y[few]]) > 0.9
    assert net.feature_names_in_[1] == "pixel1"
    assert net.n_features_in_ == 64


def test_it_can_be_pickled_and_searched():
    search = GridSearchCV(NeuralNetMLP(**SHORT), {"n_hidden": [2, 20]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"n_hidden": 20}
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert (again.predict_proba(X_TEST) == search.predict_proba(X_TEST)).all()


def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]):
    NeuralNetMLP(**{**SHORT, "epochs": 4}, verbose=2).fit(X, Y, validation=(X_TEST, Y_TEST))
    out, err = capsys.readouterr()
    assert out == ""
    form = r"Epoch {}/4: cost [\d.]+, training accuracy [\d.]+ %, validation accuracy [\d.]+ %"
    lines = err.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(form.format(2), lines[0])
    assert re.fullmatch(form.format(4), lines[1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (X[0], "got 1D array instead: X of shape (64,). Reshape your data: X.reshape(1, -1) is 1 row of 64 features."),
        (X[:3].ravel(), "Reshape your data: X.reshape(3, -1) is 3 rows of 64 features."),
        (X[0, :5], "X.reshape(1, -1) if it is one row, X.reshape(-1, 1) if it is one feature of many rows."),
        (X[:3].reshape(3, 8, 8), "X of shape (3, 8, 8). Reshape your data, a row an image: X.reshape(len(X), -1)."),
        (X[:, :60], "X has 60 features, but NeuralNetMLP is expecting 64 features as input. Give rows of the 64"),
        (np.where(X == 16, np.nan, X), "values, the first in row 1, column 12. Write X = np.nan_to_num(X)"),
        (np.where(X == 16, np.inf, X), "keep = np.isfinite(X).all(axis=1), then X[keep] and y[keep]."),
    ],
    ids=["one row", "three rows", "1-D", "images", "width", "NaN", "infinity"],
)
def test_a_wrong_x_is_answered_by_what_to_write(given: Any, message: str):
    net = NeuralNetMLP(**SHORT).fit(X, Y)
    with pytest.raises(ValueError, match=re.escape(message)):
        net.predict(given)


def test_wrong_x_in_training_too():
    with pytest.raises(ValueError, match=re.escape("X.reshape(len(X), -1)")):
        NeuralNetMLP().fit(X.reshape(-1, 8, 8), Y)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        NeuralNetMLP().fit([[np.nan], [1.0]], [0, 1])
    with pytest.raises(NotFittedError, match="not fitted yet"):
        NeuralNetMLP().predict(X)


def test_all_wrong_parameters_are_named_at_once():
    wrong = {"n_hidden": 0, "l2": -1, "momentum": 1, "solver": "adam", "minibatches": 2.5, "verbose": -1}
    message = (
        "NeuralNetMLP: n_hidden=0 must be a whole number, 1 or more; l2=-1 must be a number, 0 or more; "
        "momentum=1 must be a number from 0 to below 1; minibatches=2.5 must be a whole number, 1 or more; "
        "solver='adam' must be one of ('sgd', 'lbfgs', 'bfgs'); "
        "verbose=-1 must be True, False or every how many epochs."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        NeuralNetMLP(**wrong).fit(X, Y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"minibatches": 1401}, "minibatches=1401 must be at most the number of rows, 1400."),
        ({"solver": "bfgs", "n_hidden": 100}, "0.5 GB for 7,510 weights. Write solver=\"lbfgs\", or use fewer"),
    ],
    ids=["minibatches", "bfgs"],
)  # fmt: skip
def test_parameters_that_do_not_suit_the_data(parameters: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        NeuralNetMLP(**parameters).fit(X, Y)


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (0.1, "validation must be a pair, (X, y), not float."),
        ((X_TEST, Y_TEST + 5), "The validation labels [10, 11, 12, 13, 14] are not in the training labels"),
        ((X_TEST[:, :3], Y_TEST), "X has 3 features"),
    ],
    ids=["no pair", "labels", "width"],
)
def test_wrong_validation_data(validation: Any, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        NeuralNetMLP(**SHORT).fit(X, Y, validation)


def test_parameters_without_effect_are_named():
    message = 'NeuralNetMLP: momentum=0.5, minibatches=7 without effect: solver="lbfgs" takes all rows'
    with pytest.warns(UserWarning, match=re.escape(message)):
        NeuralNetMLP(solver="lbfgs", epochs=1, momentum=0.5, minibatches=7).fit(X, Y)


def test_steps_that_are_too_long_are_named():
    message = r"The cost became (inf|nan) in epoch \d+. Lower learning_rate \(=10\), l1 \(=0.0\) or l2 \(=1\)."
    with pytest.raises(FloatingPointError, match=message):
        NeuralNetMLP(learning_rate=10, l2=1, random_state=0).fit(X, Y)
