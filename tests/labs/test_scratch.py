"""What the lab of the network from scratch must find."""

from __future__ import annotations

import numpy as np
import pytest

from glyphnet.errors import SettingsError
from glyphnet.labs import load_lab, run_lab
from glyphnet.labs.scratch import EVERY, KNOWN
from glyphnet.scratch import NeuralNetMLP
from glyphnet.scratch.network import cross_entropy, forward


def test_the_known_settings_are_those_of_the_known_run(numbers):
    known = {"l2": 0.1, "l1": 0.0, "learning_rate": 0.001, "momentum": 0.001, "decay": 0.00001, "minibatches": 50}
    assert {name: KNOWN[name] for name in known} == known
    assert {name: numbers["known"][name] for name in known} == known
    assert numbers["hidden"] == 50
    assert load_lab("scratch").settings().passes(full=1000, quick=120) == 1000
    assert EVERY == 50


def test_the_known_run_learns_and_its_figures_agree(numbers):
    known = numbers["known"]
    assert known["steps"] == 50 * known["epochs"]
    assert known["last_cost"] < known["first_cost"] / 3
    assert known["test_accuracy"] == pytest.approx(1 - known["wrong"] / known["test_images"])
    assert known["low"] < known["test_accuracy"] < known["high"]
    assert known["test_accuracy"] > 0.9
    assert known["train_accuracy"] > known["test_accuracy"]
    assert known["looks"][-1] == {"epoch": known["epochs"], "test_accuracy": known["test_accuracy"]}


def test_pixels_as_they_are_saturate_the_hidden_units(numbers):
    assert numbers["saturated"]["as_they_are"] > 0.9
    assert numbers["saturated"]["divided_by_255"] < 0.3


def test_the_gradient_is_right_and_each_planted_slip_is_found_where_it_is(numbers):
    wrong = {
        what: {matrix for matrix, error in errors.items() if error >= 1e-7}
        for what, errors in numbers["gradient"].items()
    }
    assert wrong == {
        "as written here": set(),
        "slope of the L1 penalty twice too large": {"W1", "W2"},
        "slope of the sigmoid forgotten": {"W1", "b1"},
    }


def test_curvature_helps_from_the_same_weights(numbers):
    solvers = numbers["solvers"]
    assert solvers["sgd"]["weights"] == solvers["lbfgs"]["weights"] == 64 * 50 + 50 + 50 * 10 + 10
    assert solvers["lbfgs"]["loss"] < solvers["sgd"]["loss"]
    assert solvers["small bfgs"]["accuracy"] > 0.9
    assert solvers["small bfgs"]["weights"] == solvers["small lbfgs"]["weights"]
    for solver in solvers.values():
        assert len(solver["losses"]) == solver["passes"]


def test_fewer_images_over_fit_more(numbers):
    fits = numbers["by_size"]
    assert [fit["images"] for fit in fits] == sorted(fit["images"] for fit in fits)
    assert fits[0]["test_loss"]["mean"] > 2 * fits[-1]["test_loss"]["mean"]
    assert all(fit["train_loss"]["mean"] < 0.01 < fit["test_loss"]["mean"] for fit in fits)


def test_some_penalty_helps_too_much_harms_and_l1_clears_away_more_weights(numbers):
    for name, fits in numbers["by_penalty"].items():
        losses = [fit["test_loss"]["mean"] for fit in fits]
        assert min(losses) < losses[0] / 2, f"{name} helps"
        assert losses[-1] > 2 * min(losses), f"too much {name} harms"
        assert fits[-1]["train_loss"]["mean"] > 1 > fits[0]["train_loss"]["mean"]
    l2, l1 = (numbers["by_penalty"][name][1]["gone"]["mean"] for name in ("l2", "l1"))
    assert l1 > 2 * l2


def test_the_loss_of_the_lab_is_the_one_the_network_trains_by():
    generator = np.random.default_rng(0)
    inputs, labels = generator.random((40, 6)), generator.integers(0, 3, 40)
    net = NeuralNetMLP(4, solver="lbfgs", epochs=10, random_state=0).fit(inputs, labels)
    logits = forward(net.weights_, inputs)[1]
    assert cross_entropy(logits, np.eye(3)[labels]).sum() / 40 == pytest.approx(net.train_loss_[-1])


def test_quick_means_the_embedded_digits(tmp_path):
    with pytest.raises(SettingsError, match="quick uses the bundled digits"):
        run_lab("scratch", {"quick": True, "data": "mnist"}, out=tmp_path)


def test_its_text_is_made_of_its_numbers(quick_lab, numbers):
    page = quick_lab("scratch").page.read_text(encoding="utf-8")
    assert f"{numbers['known']['wrong']} test images are misclassified" in page
    assert "bundled 8×8 digits" in page
