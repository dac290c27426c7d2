"""What the lab must find: the known figures again, and what they did not show."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from glyphnet.labs import load_lab
from glyphnet.labs.digits import METHODS, START, WAYS, fitted, make_valley, read_digits, stopping_curve, walk
from glyphnet.labs.lab import page_of


@pytest.fixture(scope="module")
def digits():
    return read_digits()


def test_the_digits_are_scikit_learns_to_the_last_value(digits):
    known = load_digits()
    assert (digits.pixels == known.data).all()
    assert (digits.labels == known.target).all()


def test_all_three_limits_give_the_same_network_which_converged_before(numbers):
    assert [row["max_iter"] for row in numbers["known"]] == [300, 500, 1000]
    assert len({(row["iterations"], row["right"]) for row in numbers["known"]}) == 1
    row = numbers["known"][0]
    # 161 iterations and 404 or 405 of 450 were seen: the last bits of sums differ between machines.
    assert 120 <= row["iterations"] <= 220
    assert row["accuracy"] == pytest.approx(0.8978, abs=0.02)


def test_the_ignored_setting_is_named_and_shown_to_do_nothing(numbers):
    assert numbers["ignored"]["setting"] == "learning_rate_init"
    assert numbers["ignored"]["largest_difference"] == 0
    assert "learning_rate_init=0.1" in numbers["ignored"]["ours_says"]


def test_to_stop_after_k_iterations_is_the_beginning_of_the_whole_course(digits):
    seen = stopping_curve(digits, 0, [5, 10, 20])
    assert seen.iterations[:3].tolist() == [5, 10, 20]
    assert seen.iterations[-1] > 100, "the last is where it converged"
    assert (np.diff(seen.loss) < 0).all()
    train, _ = digits.divide(0)
    with threadpool_limits(1, user_api="blas"):  # sums in another order have other last bits
        again = MLPClassifier((16,), solver="lbfgs", random_state=1, max_iter=1000).fit(
            digits.pixels[train], digits.labels[train]
        )
    ours = fitted(digits.pixels[train], digits.labels[train], 1000)
    assert all((a == b).all() for a, b in zip(again.coefs_, ours.coefs_, strict=True))


def test_the_course_ends_converged_and_its_best_is_its_best(numbers):
    found = numbers["course"]
    assert found["converged_at"] == found["iterations"][-1]
    assert found["best_validation"] == max(found["validation_accuracy"]) >= found["last_validation"]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.001, 0.01, "Here it helps"),
        (-0.012, -0.001, "Here it harms"),
        (-0.01, 0.01, "cannot tell"),
        (None, None, "cannot tell"),
    ],
)
def test_the_verdict_on_stopping_follows_the_interval(quick_lab, low, high, said):
    folder = quick_lab("digits")
    read = json.loads(folder.numbers.read_text(encoding="utf-8"))
    read["numbers"]["stopping"] |= {"low": low, "high": high}
    pngs = {path.stem: b"" for path in folder.path.glob("*.png")}
    assert said in page_of(load_lab("digits"), read["numbers"], pngs, read["made"])


def test_every_method_sees_the_same_splits_and_the_better_ones_are_better(numbers):
    rows = {row["method"]: row for row in numbers["methods"]}
    assert list(rows) == list(METHODS)
    assert len({len(row["accuracies"]) for row in rows.values()}) == 1
    assert rows["mlp"]["accuracies"][0] == numbers["known"][0]["accuracy"], "the known split is the first"
    assert rows["svm"]["mean"] > 0.975 > rows["mlp"]["mean"]
    assert rows["cnn"]["mean"] > 0.97


def test_the_four_ways_end_low_and_lbfgs_is_there_first(numbers):
    ways = {row["name"]: row for row in numbers["valley"]["ways"]}
    assert all(row["left_at_the_end"] < 0.05 for row in ways.values())
    assert ways["L-BFGS"]["arrived"] == min(row["arrived"] for row in ways.values() if row["arrived"] is not None)
    assert numbers["valley"]["across"] > 5 * numbers["valley"]["along"]


def test_gradient_descent_steps_straight_downhill(digits):
    valley = make_valley(digits)
    descent = WAYS[0]
    path, looked = walk(valley, descent, steps=1)
    start, tiny = np.array(START), 1e-6
    slope = [(valley.loss(start + tiny * axis) - valley.loss(start - tiny * axis)) / (2 * tiny) for axis in np.eye(2)]
    np.testing.assert_allclose(path[1] - path[0], -descent.optimizer.lr * np.array(slope), rtol=1e-6)
    assert looked == len(valley.labels)
