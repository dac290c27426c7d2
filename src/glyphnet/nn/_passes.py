"""How each kind of layer is gone through, there and back, written out."""

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
    """An image as a vector, and back."""

    learns = False

    def __init__(self, layer: Flatten) -> None:
        self._layer = layer
        self._shape = torch.Size()

    def forward(self, x: Tensor) -> Tensor:
        self._shape = x.shape
        flat: Tensor = self._layer(x)
        return flat

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor:
        if len(self._shape) == 2:
            return gradient
        count, channels, height, width = self._shape
        return gradient.view(count, height, width, channels).permute(0, 3, 1, 2)


class _Convolution:
    """PyTorch's convolution, of square kernels without dilation or groups."""

    learns = True

    def __init__(self, layer: nn.Conv2d) -> None:
        self._layer, self._weight, self._bias = layer, layer.weight, layer.bias
        self._x = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        self._x = x
        y: Tensor = self._layer(x)
        return y

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor:
        bias = None if self._bias is None else [len(self._bias)]
        by_input, by_weight, by_bias = torch.ops.aten.convolution_backward(
            gradient, self._x, self._weight, bias, self._layer.stride, self._layer.padding, (1, 1), False, (0, 0), 1,
            (wanted, True, self._bias is not None),
        )  # fmt: skip
        _set_gradient(self._weight, by_weight)
        if self._bias is not None:
            _set_gradient(self._bias, by_bias)
        return by_input if wanted else gradient


class _Normalisation:
    """PyTorch's batch normalisation, by the batch's own mean and variance, which the running ones follow."""

    learns = True

    def __init__(self, layer: nn.BatchNorm2d) -> None:
        self._layer, self._momentum = layer, layer.momentum or 0.0
        self._x = self._mean = self._scale = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        layer = self._layer
        assert layer.num_batches_tracked is not None
        layer.num_batches_tracked.add_(1)
        self._x = x
        y, self._mean, self._scale = torch.native_batch_norm(
            x, layer.weight, layer.bias, layer.running_mean, layer.running_var, True, self._momentum, layer.eps
        )
        return y

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor:
        layer = self._layer
        by_input, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, self._x, layer.weight, layer.running_mean, layer.running_var, self._mean, self._scale, True,
            layer.eps, (wanted, True, True),
        )  # fmt: skip
        _set_gradient(layer.weight, by_weight)
        _set_gradient(layer.bias, by_bias)
        return by_input if wanted else gradient


class _MaxPool:
    """PyTorch's max-pooling, of parts that do not overlap."""

    learns = False

    def __init__(self, layer: nn.MaxPool2d) -> None:
        self._size = (layer.kernel_size,) * 2
        self._x = self._places = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        self._x = x
        y: Tensor
        y, self._places = torch.ops.aten.max_pool2d_with_indices(x, self._size, self._size)
        return y

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor:
        by_input: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
            gradient, self._x, self._size, self._size, (0, 0), (1, 1), False, self._places
        )
        return by_input


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


def _set_gradient(parameter: Tensor, gradient: Tensor) -> None:
    """Make it the parameter's, in the same order in memory: so optimizers want it."""
    if gradient.stride() != parameter.stride():
        gradient = torch.empty_like(parameter).copy_(gradient)
    parameter.grad = gradient


def _relu(layer: nn.Module) -> Pass:
    return _Activation(torch.relu_, lambda gradient, y: torch.ops.aten.threshold_backward(gradient, y, 0.0))


def _sigmoid(layer: nn.Module) -> Pass:
    return _Activation(torch.sigmoid_, torch.ops.aten.sigmoid_backward)


def _tanh(layer: nn.Module) -> Pass:
    return _Activation(torch.tanh_, torch.ops.aten.tanh_backward)


PASSES: dict[type[nn.Module], Callable[..., Pass]] = {
    Flatten: _Flat,
    nn.Linear: _Dense,
    nn.Conv2d: _Convolution,
    nn.BatchNorm2d: _Normalisation,
    nn.MaxPool2d: _MaxPool,
    nn.Dropout: _Dropout,
    nn.ReLU: _relu,
    nn.Sigmoid: _sigmoid,
    nn.Tanh: _tanh,
}
"""How each kind of layer is gone through. A network with any other kind is left to autograd."""
