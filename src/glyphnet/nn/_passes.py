"""Hand-written forward and backward for the layers of fully connected networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from .flatten import Flatten
from .products import product


class Pass(Protocol):
    """One layer, there and back."""

    learns: bool
    """Whether it has parameters."""

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output; keeps what `backward` needs."""

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor:
        """From the derivatives by the output to those by the input, which may be anything if not ``wanted``."""


class _Flat:
    """An image as a vector. It is the first layer, so nobody asks for derivatives by its input."""

    learns = False

    def __init__(self, layer: Flatten) -> None:
        self._layer = layer

    def forward(self, x: Tensor) -> Tensor:
        flat: Tensor = self._layer(x)
        return flat

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor:
        return gradient


class _Dense:
    """y = x·Wᵀ + b."""

    learns = True

    def __init__(self, layer: nn.Linear) -> None:
        self._weight, self._bias = layer.weight, layer.bias
        self._x = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        self._x = x
        return product(x, self._weight.t(), self._bias)

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor:
        by_row = self._weight.is_contiguous()
        self._weight.grad = product(gradient.t(), self._x) if by_row else product(self._x.t(), gradient).t()
        if self._bias is not None:
            self._bias.grad = gradient.sum(0)
        return product(gradient, self._weight) if wanted else gradient


class _Activation:
    """An activation whose derivative is known from its output."""

    learns = False

    def __init__(self, apply: Callable[[Tensor], Tensor], back: Callable[[Tensor, Tensor], Tensor]) -> None:
        self._apply, self._back = apply, back
        self._y = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        self._y = self._apply(x)
        return self._y

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor:
        return self._back(gradient, self._y)


class _Dropout:
    """Each number is kept with probability 1 − p, and then divided by it."""

    learns = False

    def __init__(self, layer: nn.Dropout) -> None:
        self._kept = torch.tensor(1.0 - layer.p)  # a number would be made a tensor of at each step
        self._mask = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        # Half the time of bernoulli_.
        self._mask = torch.rand_like(x).lt_(self._kept).div_(self._kept)
        return x * self._mask

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor:
        return gradient.mul_(self._mask)


def _relu(layer: nn.Module) -> Pass:
    return _Activation(torch.relu_, lambda gradient, y: torch.ops.aten.threshold_backward(gradient, y, 0.0))


def _sigmoid(layer: nn.Module) -> Pass:
    return _Activation(torch.sigmoid_, torch.ops.aten.sigmoid_backward)


def _tanh(layer: nn.Module) -> Pass:
    return _Activation(torch.tanh_, torch.ops.aten.tanh_backward)


PASSES: dict[type[nn.Module], Callable[..., Pass]] = {
    Flatten: _Flat,
    nn.Linear: _Dense,
    nn.Dropout: _Dropout,
    nn.ReLU: _relu,
    nn.Sigmoid: _sigmoid,
    nn.Tanh: _tanh,
}
"""Layer type → its rules. A network with any other type is left to autograd."""
