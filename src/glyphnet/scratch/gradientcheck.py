# ruff: noqa: N803, N806  # X, Y: the names of the formulas
"""The gradient check: is the gradient that backpropagation computes the slope of the cost that is printed?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .network import Array, Labels, Sizes, Weights, backpropagate, cross_entropy, forward, penalty, split

Gradient = Callable[[Weights, Array, Array, Array, Array, float, float], Array]
STEP = 3e-5  # longer, the curve between the two points shows; shorter, rounding does


@dataclass(frozen=True, eq=False)
class GradientCheck:
    """Backpropagation beside central differences, by matrix: "W1", "b1", "W2", "b2".

    Attributes:
        backpropagated, differences: the slope of the weights looked at, float64 (M,).
        tolerance: the relative error that passes.
    """

    backpropagated: dict[str, Array]
    differences: dict[str, Array]
    tolerance: float = 1e-7

    @property
    def relative_errors(self) -> dict[str, float]:
        """‖a − b‖ / (‖a‖ + ‖b‖) of each matrix: 0 where they agree, 1 where they have nothing in common."""
        errors = {}
        for name, a in self.backpropagated.items():
            b = self.differences[name]
            size = np.linalg.norm(a) + np.linalg.norm(b)
            errors[name] = float(np.linalg.norm(a - b) / size) if size else 0.0
        return errors

    @property
    def passed(self) -> bool:
        """Whether every matrix has a relative error below the tolerance."""
        return all(error < self.tolerance for error in self.relative_errors.values())

    def __str__(self) -> str:
        return "\n".join(
            f"{name}: relative error {error:.1e} over {len(self.differences[name])} weights, "
            f"{'right' if error < self.tolerance else 'WRONG'}"
            for name, error in self.relative_errors.items()
        )


def check_gradient(
    flat: Array,
    sizes: Sizes,
    X: Array,
    labels: Labels,
    generator: np.random.Generator,
    *,
    l1: float,
    l2: float,
    most: int,
    gradient: Gradient = backpropagate,
) -> GradientCheck:
    """The slope of J along single weights: move each a little up and down, and see what that does to the cost.

    The difference is taken of each output's cost, and then summed: that of two large sums would keep few digits.

    Args:
        most: weights of each matrix to look at, drawn by ``generator`` where there are more.
        gradient: what to check; it has the arguments of `backpropagate`.
    """
    X, Y, flat = X.astype(np.float64), np.eye(sizes[2])[labels], flat.astype(np.float64)
    weights = split(flat, sizes)
    slopes = split(gradient(weights, X, Y, *forward(weights, X), l1, l2), sizes)
    # What should be small is how far a unit's sum moves: in the first layer, the weight's step times the feature.
    first = STEP / max(1.0, float(np.abs(X).max()))
    backpropagated, differences = {}, {}
    for name, values, slope in zip(Weights._fields, weights, slopes, strict=True):
        step = first if name == "W1" else STEP
        # Within a step of 0 there is the corner of |w|, where two sides have no one slope.
        usable = np.flatnonzero(np.abs(values) > step) if l1 else np.arange(values.size)
        chosen = np.sort(generator.choice(usable, size=min(most, usable.size), replace=False))
        found = []
        for where in zip(*np.unravel_index(chosen, values.shape), strict=True):
            middle = values[where]
            values[where] = above = middle + step
            costs = cross_entropy(forward(weights, X)[1], Y)
            values[where] = below = middle - step
            costs -= cross_entropy(forward(weights, X)[1], Y)
            values[where] = middle
            penalties = penalty(_alone(name, above), l1, l2) - penalty(_alone(name, below), l1, l2)
            found.append((costs.sum() + penalties) / (above - below))
        backpropagated[name], differences[name] = slope.ravel()[chosen], np.array(found)
    return GradientCheck(backpropagated, differences)


def _alone(name: str, value: float) -> Weights:
    """One weight and nothing else: the penalty is a sum over weights, and only this one has moved."""
    return Weights(**{field: np.full(1, value if field == name else 0.0) for field in Weights._fields})
