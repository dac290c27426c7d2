"""The activation functions that a network may name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

from pydantic import AfterValidator
from torch import nn

from ..settings import suggestion

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "identity": nn.Identity,
}


def _known(name: str) -> str:
    if name not in ACTIVATIONS:
        raise ValueError(f'unknown activation "{name:.60}"{suggestion(name, ACTIVATIONS)}')
    return name


Activation = Annotated[str, AfterValidator(_known)]
"""The name of one of :data:`ACTIVATIONS`."""


_RISING = (nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh)


def pooled_first(layers: Iterable[nn.Module]) -> list[nn.Module]:
    """The same layers, with each max-pooling in front of the activation before it, which then sees a quarter of the
    pixels: of an activation that rises the largest stays the largest.
    """
    ordered = list(layers)
    for index in range(1, len(ordered)):
        first, second = ordered[index - 1 : index + 1]
        if isinstance(first, _RISING) and isinstance(second, nn.MaxPool2d):
            ordered[index - 1 : index + 1] = second, first
    return ordered


def activation(name: str) -> nn.Module:
    """A new activation layer by its name in :data:`ACTIVATIONS`."""
    return ACTIVATIONS[name]()


def is_activation(layer: nn.Module) -> bool:
    """Whether a layer is one of :data:`ACTIVATIONS`."""
    return type(layer) in _TYPES


_TYPES = frozenset(type(make()) for make in ACTIVATIONS.values())
