"""Penalties on large weights: each with its value, for autograd, and its gradient, for the hand-written step.

A new one is a row here; a recipe sets its strength by ``regularizers.NAME``, those of L1 and L2 by ``l1`` and ``l2``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from ..plugins import Table


class Regularizer(NamedTuple):
    """A penalty that is a sum over the weights.

    Attributes:
        value: from a weight tensor to its penalty at strength 1: float32 ().
        gradient: from a weight tensor to the derivatives of `value`, of the weight's shape.
    """

    value: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor], Tensor]


def _fault(name: str, row: object) -> str:
    return "" if isinstance(row, Regularizer) else f"{row!r:.80} is no glyphnet.training.regularizers.Regularizer"


REGULARIZERS: Table[Regularizer] = Table(
    "regularizers",
    {
        "l1": Regularizer(lambda weight: weight.abs().sum(), lambda weight: weight.sign()),
        "l2": Regularizer(lambda weight: 0.5 * weight.square().sum(), lambda weight: weight),
    },
    _fault,
)
"""Each regularizer by the name of its strength in a recipe."""
