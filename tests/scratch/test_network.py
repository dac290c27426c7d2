# ruff: noqa: N803, N806  # X, Y, W1: the names of the formulas
"""The formulas, held against PyTorch's autograd, central differences and the definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.datasets import load_digits

from glyphnet.scratch import NeuralNetMLP
from glyphnet.scratch.network import (
    Weights,
    backpropagate,
    cross_entropy,
    descend,
    forward,
    penalty,
    random_weights,
    sigmoid,
    split,
)

DIGITS, LABELS = load_digits(return_X_y=True)
SIZES = (64, 12, 10)
SETTINGS: dict[str, Any] = {"l1": 0.03, "l2": 0.2, "learning_rate": 0.002, "momentum": 0.7, "decay": 0.3}


def torch_run(X: Any, labels: Any, seed: int, *, epochs: int, minibatches: int) -> tuple[list[float], list[Any]]:
    """The same training with the cost written down once more, in PyTorch, and its gradient by autograd."""
    generator = np.random.default_rng(seed)
    start = split(random_weights(SIZES, generator), SIZES)
    parameters = [torch.tensor(part, dtype=torch.float64, requires_grad=True) for part in start]
    W1, b1, W2, b2 = parameters
    previous = [torch.zeros_like(part) for part in parameters]
    costs = []
    for epoch in range(epochs):
        rate = SETTINGS["learning_rate"] / (1 + epoch * SETTINGS["decay"])
        for rows in np.array_split(generator.permutation(len(X)), minibatches):
            x = torch.tensor(X[rows], dtype=torch.float64)
            y = torch.nn.functional.one_hot(torch.tensor(labels[rows]), 10).double()
            z3 = torch.sigmoid(x @ W1.T + b1) @ W2.T + b2
            cost = torch.nn.functional.binary_cross_entropy_with_logits(z3, y, reduction="sum")
            cost = cost + SETTINGS["l2"] / 2 * ((W1**2).sum() + (W2**2).sum())
            cost = cost + SETTINGS["l1"] / 2 * (W1.abs().sum() + W2.abs().sum())
            costs.append(cost.item())
            gradients = torch.autograd.grad(cost, parameters)
            with torch.no_grad():
                for place, (part, gradient) in enumerate(zip(parameters, gradients, strict=True)):
                    previous[place] = -rate * gradient + SETTINGS["momentum"] * previous[place]
                    part += previous[place]
    return costs, [part.detach().numpy() for part in parameters]


def test_twenty_steps_are_those_of_pytorch():
    # 5 epochs of 4 steps: momentum, decay, both penalties and the orders all count.
    costs, weights = torch_run(DIGITS, LABELS, 3, epochs=5, minibatches=4)
    net = NeuralNetMLP(12, epochs=5, minibatches=4, random_state=3, **SETTINGS).fit(DIGITS, LABELS)
    assert len(net.cost_) == 20
    np.testing.assert_allclose(net.cost_, costs, rtol=1e-10)
    for name, ours, theirs in zip(Weights._fields, net.weights_, weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12, err_msg=name)
    assert net.cost_[-1] < net.cost_[0]


def test_the_cost_is_its_definition_where_that_can_be_computed():
    logits = np.random.default_rng(0).normal(size=(50, 4)) * 3
    Y = np.eye(4)[np.arange(50) % 4]
    a3 = expit(logits)
    np.testing.assert_allclose(cross_entropy(logits, Y), -Y * np.log(a3) - (1 - Y) * np.log(1 - a3), rtol=1e-12)
    weights = split(random_weights((3, 2, 2), np.random.default_rng(1)), (3, 2, 2))
    w = np.concatenate([weights.W1.ravel(), weights.W2.ravel()])
    assert penalty(weights, 0.3, 0.7) == pytest.approx(0.7 / 2 * (w**2).sum() + 0.3 / 2 * np.abs(w).sum(), rel=1e-14)


def test_outputs_rounded_to_0_and_1_have_a_finite_cost_and_no_warning():
    logits = np.array([[1000.0, -1000.0, 0.0]])
    assert sigmoid(logits).tolist() == [[1.0, 0.0, 0.5]]
    assert cross_entropy(logits, np.array([[0.0, 1.0, 1.0]])).tolist() == [[1000.0, 1000.0, np.log(2)]]
    assert cross_entropy(logits, np.array([[1.0, 0.0, 0.0]])).tolist() == [[0.0, 0.0, np.log(2)]]


@pytest.mark.parametrize("pixels", [DIGITS, DIGITS / 16, DIGITS.astype(np.uint8) * 15], ids=["0-16", "0-1", "bytes"])
def test_backpropagation_passes_the_gradient_check(pixels: Any):
    check = NeuralNetMLP(12, l1=0.1, l2=0.1, random_state=0).gradient_check(pixels[:100], LABELS[:100])
    assert set(check.relative_errors) == {"W1", "b1", "W2", "b2"}
    assert max(check.relative_errors.values()) < 1e-7
    assert check.passed
    assert [len(values) for values in check.differences.values()] == [100, 12, 100, 10]
    assert str(check).count("right") == 4


def known_l1(weights: Weights, X: Any, Y: Any, a2: Any, logits: Any, l1: float, l2: float) -> Any:
    return backpropagate(weights, X, Y, a2, logits, 2 * l1, l2)  # l1·sign(w) for a cost of l1/2·|w|


def no_slope_of_sigmoid(weights: Weights, X: Any, Y: Any, a2: Any, logits: Any, l1: float, l2: float) -> Any:
    flat = backpropagate(weights, X, Y, a2, logits, l1, l2)
    delta2 = (expit(logits) - Y) @ weights.W2
    split(flat, SIZES).W1[:] = delta2.T @ X + l2 * weights.W1 + l1 / 2 * np.sign(weights.W1)
    return flat


def penalised_biases(weights: Weights, X: Any, Y: Any, a2: Any, logits: Any, l1: float, l2: float) -> Any:
    flat = backpropagate(weights, X, Y, a2, logits, l1, l2)
    split(flat, SIZES).b2[:] += l2 * weights.b2
    return flat


@pytest.mark.parametrize(
    ("planted", "wrong"),
    [(known_l1, {"W1", "W2"}), (no_slope_of_sigmoid, {"W1"}), (penalised_biases, {"b2"})],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_planted_error_is_found_in_its_matrix(planted: Any, wrong: set[str]):
    net = NeuralNetMLP(12, l1=0.1, l2=0.1, random_state=0)
    check = net.gradient_check(DIGITS[:100], LABELS[:100], gradient=planted)
    assert {name for name, error in check.relative_errors.items() if error >= check.tolerance} == wrong
    assert not check.passed
    assert str(check).count("WRONG") == len(wrong)


def test_the_check_leaves_no_trace_and_looks_at_the_same_weights_each_time():
    net = NeuralNetMLP(12, l1=0.1, random_state=0)
    first, second = (net.gradient_check(DIGITS[:20], LABELS[:20], most=5) for _ in range(2))
    assert first.differences["W1"].tolist() == second.differences["W1"].tolist()
    assert not [name for name in vars(net) if name.endswith("_")]


def test_the_weights_begin_uniform_between_minus_1_and_1():
    drawn = random_weights((784, 50, 10), np.random.default_rng(0))
    assert drawn.shape == (784 * 50 + 50 + 50 * 10 + 10,)
    assert -1 <= drawn.min() < -0.999 < 0.999 < drawn.max() < 1
    assert abs(drawn.mean()) < 0.01


@pytest.mark.parametrize(("cumulative", "divisors"), [(False, [1, 2, 3, 4]), (True, [1, 2, 6, 24])])
def test_momentum_adds_the_whole_previous_step_and_the_rate_decays(cumulative: bool, divisors: list[int]):
    # A single row seen over and over without penalties: step k+1 is −rate·gradient + momentum·step k.
    X, labels = DIGITS[:1], LABELS[:1].astype(np.intp)
    flat = random_weights(SIZES, np.random.default_rng(0))
    seen = [flat.copy()]
    descend(
        flat, SIZES, X, labels, np.random.default_rng(0), lambda steps: seen.append(flat.copy()),
        l1=0, l2=0, epochs=4, learning_rate=0.1, momentum=0.5, decay=1.0, cumulative_decay=cumulative,
        shuffle=False, minibatches=1,
    )  # fmt: skip
    steps = np.diff(seen, axis=0)
    Y = np.eye(10)[labels]
    for epoch, divisor in enumerate(divisors):
        weights = split(seen[epoch].copy(), SIZES)
        gradient = backpropagate(weights, X, Y, *forward(weights, X), 0, 0)
        before = steps[epoch - 1] if epoch else 0.0
        np.testing.assert_allclose(steps[epoch], -0.1 / divisor * gradient + 0.5 * before, atol=1e-12)
