"""The activation functions that a network may name."""

from __future__ import annotations

from collections.abc import Callable
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


def activation(name: str) -> nn.Module:
    """A new activation layer by its name in :data:`ACTIVATIONS`."""
    return ACTIVATIONS[name]()
