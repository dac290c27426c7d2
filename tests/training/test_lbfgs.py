"""L-BFGS against the formulas it abbreviates, and on functions whose lowest point is known."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from glyphnet.training.lbfgs import FLATTER, LBFGS, SUFFICIENT, Point, search


def optimizer_of(*weights: nn.Parameter, **settings: float) -> LBFGS:
    return LBFGS(weights, **{"lr": 1.0, "history_size": 10, "tolerance": 0.0, **settings})


def weight(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def rosenbrock(x: torch.Tensor) -> torch.Tensor:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def minimise(optimizer: LBFGS, function, weights: list[nn.Parameter], iterations: int) -> int:
    """How often the function was looked at."""
    looks = 0

    def closure() -> torch.Tensor:
        nonlocal looks
        looks += 1
        optimizer.zero_grad()
        loss = function(*weights)
        loss.backward()
        return loss

    for _ in range(iterations):
        optimizer.step(closure)
    return looks


def test_it_finds_the_end_of_a_bent_valley() -> None:
    x = weight(-1.2, 1.0, -1.2, 1.0, 0.5)
    looks = minimise(optimizer_of(x), rosenbrock, [x], 60)
    assert torch.allclose(x, torch.ones(5, dtype=torch.float64), atol=1e-9)
    assert looks < 180


def test_weights_of_any_shapes_are_one_vector() -> None:
    a, b = nn.Parameter(torch.randn(3, 4, dtype=torch.float64)), weight(1.0, -1.0)
    goal = torch.arange(12.0, dtype=torch.float64).view(3, 4)
    minimise(optimizer_of(a, b), lambda a, b: ((a - goal) ** 2).sum() + ((a.sum() - b) ** 2).sum(), [a, b], 40)
    assert torch.allclose(a, goal)
    assert torch.allclose(b, goal.sum().expand(2))


@pytest.mark.parametrize("steps", [1, 2, 4, 7])
def test_the_direction_is_that_of_the_inverse_hessian_written_out(steps: int) -> None:
    """Nocedal and Wright, formula 7.16, over the last four steps."""
    x = weight(-1.2, 1.0, 0.3, 2.0)
    optimizer = optimizer_of(x, history_size=4)
    places = [x.detach().clone()]
    for _ in range(steps):
        minimise(optimizer, rosenbrock, [x], 1)
        places.append(x.detach().clone())
    slopes = [torch.func.grad(rosenbrock)(place) for place in places]
    pairs = [(b - a, d - c) for a, b, c, d in zip(places, places[1:], slopes, slopes[1:], strict=False)][-4:]
    inverse = torch.eye(4, dtype=torch.float64) * (pairs[-1][0] @ pairs[-1][1]) / (pairs[-1][1] @ pairs[-1][1])
    for s, y in pairs:
        left = torch.eye(4, dtype=torch.float64) - torch.outer(s, y) / (s @ y)
        inverse = left @ inverse @ left.T + torch.outer(s, s) / (s @ y)
    expected = -inverse @ slopes[-1]

    minimise(optimizer, rosenbrock, [x], 1)
    went = x.detach() - places[-1]
    assert torch.allclose(went / went.norm(), expected / expected.norm(), atol=1e-9)


HILLS = {
    "a bowl": (lambda t: (t - 3) ** 2, lambda t: 2 * (t - 3)),
    "a far bowl": (lambda t: (t / 500 - 3) ** 2, lambda t: (t / 500 - 3) / 250),
    "waves": (lambda t: math.cos(3 * t) - 0.3 * t, lambda t: -3 * math.sin(3 * t) - 0.3),
    "a narrow dip": (lambda t: -t / (t * t + 1e-3), lambda t: (t * t - 1e-3) / (t * t + 1e-3) ** 2),
    "no number from 0.4 on": (
        lambda t: (t - 0.2) ** 2 if t < 0.4 else math.nan,
        lambda t: 2 * (t - 0.2) if t < 0.4 else math.nan,
    ),
}


@pytest.mark.parametrize("name", HILLS)
@pytest.mark.parametrize("first", [0.01, 1.0, 50.0])
def test_a_step_is_as_long_as_the_strong_wolfe_conditions_ask(name: str, first: float) -> None:
    loss, slope = HILLS[name]

    def look(length: float) -> Point:
        return Point(length, loss(length), slope(length), torch.empty(0))

    found, _ = search(look, look(0.0), first)
    assert found.loss <= loss(0) + SUFFICIENT * found.length * slope(0)
    assert abs(found.slope) <= -FLATTER * slope(0)


def test_where_nothing_is_lower_the_start_is_given_back() -> None:
    begin = Point(0.0, 1.0, -1e-12, torch.empty(0))
    found, _ = search(lambda length: Point(length, 1.0 + length, 1.0, torch.empty(0)), begin, 1.0)
    assert found is begin


def test_at_the_lowest_point_the_weights_stay() -> None:
    x = weight(3.0)
    optimizer = optimizer_of(x, tolerance=1e-6)
    assert minimise(optimizer, lambda x: ((x - 3) ** 2).sum(), [x], 3) == 3
    assert x.item() == 3.0
    x.grad = torch.zeros(1, dtype=torch.float64)
    assert not optimizer.step(lambda: torch.zeros(()))


def test_what_it_has_seen_where_it_stands_need_not_be_looked_at_again() -> None:
    def walk(*, again: bool) -> tuple[list[float], int]:
        x = weight(-1.2, 1.0, -1.2, 1.0, 0.5)
        optimizer, looks, seen = optimizer_of(x), 0, torch.empty(0)

        def closure() -> torch.Tensor:
            nonlocal looks, seen
            if again or not optimizer.looked_here:
                looks += 1
                optimizer.zero_grad()
                seen = rosenbrock(x)
                seen.backward()
            return seen

        assert all(optimizer.step(closure) for _ in range(30))
        return x.tolist(), looks

    (where, looks), (same, fewer) = walk(again=True), walk(again=False)
    assert where == same
    assert fewer < looks - 20


def test_other_weights_are_to_be_looked_at() -> None:
    x = weight(3.0, 1.0)
    optimizer = optimizer_of(x)
    assert not optimizer.looked_here
    minimise(optimizer, rosenbrock, [x], 1)
    assert optimizer.looked_here
    optimizer.load_state_dict(optimizer.state_dict())
    assert not optimizer.looked_here


def test_where_the_gradient_lies_the_weights_come_back() -> None:
    x = weight(0.5, -2.0)

    def uphill() -> torch.Tensor:
        x.grad = -2 * x.detach()
        return (x.detach() ** 2).sum()

    optimizer_of(x).step(uphill)
    assert x.tolist() == [0.5, -2.0]


def test_a_past_that_misleads_is_forgotten() -> None:
    x = weight(-1.2, 1.0)
    optimizer = optimizer_of(x)
    minimise(optimizer, rosenbrock, [x], 5)
    rows = optimizer.state[x]["rows"]
    rows[:20] = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 2)))  # of another function
    before = rosenbrock(x).item()
    minimise(optimizer, rosenbrock, [x], 3)
    assert rosenbrock(x).item() < before


def test_its_state_goes_on_where_it_was() -> None:
    x = weight(-1.2, 1.0, 0.5)
    first = optimizer_of(x)
    minimise(first, rosenbrock, [x], 13)
    y = nn.Parameter(x.detach().clone())
    second = optimizer_of(y)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    minimise(first, rosenbrock, [x], 5)
    minimise(second, rosenbrock, [y], 5)
    assert torch.equal(x, y)
