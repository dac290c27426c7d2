"""Penalties on large weights: each with its value, for autograd, and its gradient, for the hand-written step.

A new one is a row here and a field of the same name in ``recipe.py``, its strength.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Regularizer(NamedTuple):
    """A penalty that is a sum over the weights.

    Attributes:
        value: from a weight tensor to its penalty at strength 1: float32 ().
        gradient: from a weight tensor to the derivatives of `value`, of the weight's shape.
    """

    value: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor], Tensor]


REGULARIZERS: dict[str, Regularizer] = {
    "l1": Regularizer(lambda weight: weight.abs().sum(), lambda weight: weight.sign()),
    "l2": Regularizer(lambda weight: 0.5 * weight.square().sum(), lambda weight: weight),
}
"""Each regularizer by the name of its strength in a recipe."""
