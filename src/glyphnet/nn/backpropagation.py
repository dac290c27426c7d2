"""Forward and backward pass of networks that are a stack of layers, written out.

Autograd notes down each operation and afterwards walks back through its notes. In layers as small as these the notes
take as long as the arithmetic. The formulas are the usual ones (Rumelhart, Hinton and Williams, 1986); those of
convolution, pooling and batch normalisation are PyTorch's own kernels, called straight. Autograd is what all are tested
against.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from .flatten import Flatten


class _Pass(Protocol):
    """One layer, there and back."""

    learns: bool
    """Whether it has parameters."""

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output; keeps what `backward` needs."""

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor:
        """From the derivatives by the output to those by the input, which may be anything if not ``wanted``."""


class Backpropagation:
    """The passes of one network on the processor, in float32. Its gradients are overwritten, never added up.

    Args:
        network: for which `covers` is true.
    """

    def __init__(self, network: nn.Module) -> None:
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        self._passes = [_PASSES[type(layer)](layer) for layer in network.children()]
        # Below the lowest layer that learns nobody asks for derivatives.
        self._lowest = next(index for index, each in enumerate(self._passes) if each.learns)

    @staticmethod
    def covers(network: nn.Module) -> bool:
        """Whether all layers are of kinds that are written out here."""
        return isinstance(network, nn.Sequential) and all(type(layer) in _PASSES for layer in network)

    @staticmethod
    def lay_out(network: nn.Module) -> None:
        """Lay the weights out anew in memory, column by column: a small batch then takes up to half the time.

        Whatever else refers to a weight's memory must be made afterwards.
        """
        for parameter in network.parameters():
            if parameter.ndim == 2:
                parameter.data = parameter.data.t().contiguous().t()

    def forward(self, x: Tensor) -> Tensor:
        """The logits, float32 (N, K), of inputs float32 (N, C, H, W) or (N, D), with dropout at work."""
        for each in self._passes:
            x = each.forward(x)
        return x

    def backward(self, gradient: Tensor) -> None:
        """Write each parameter's ``grad``, from the derivatives by the last `forward`'s logits: float32 (N, K)."""
        for index in range(len(self._passes) - 1, self._lowest - 1, -1):
            gradient = self._passes[index].backward(gradient, index > self._lowest)


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
        _write_gradient(self._weight, by_weight)
        if self._bias is not None:
            _write_gradient(self._bias, by_bias)
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
        _write_gradient(layer.weight, by_weight)
        _write_gradient(layer.bias, by_bias)
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
        return torch.nn.functional.linear(x, self._weight, self._bias)

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor:
        torch.mm(gradient.t(), self._x, out=self._weight.grad)
        if self._bias is not None:
            torch.sum(gradient, 0, out=self._bias.grad)
        return gradient.mm(self._weight) if wanted else gradient


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
        self._kept = 1.0 - layer.p
        self._mask = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        # Half the time of bernoulli_.
        self._mask = torch.rand_like(x).lt_(self._kept).div_(self._kept)
        return x * self._mask

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor:
        return gradient.mul_(self._mask)


def _write_gradient(parameter: Tensor, gradient: Tensor) -> None:
    assert parameter.grad is not None
    parameter.grad.copy_(gradient)


def _relu(layer: nn.Module) -> _Pass:
    return _Activation(torch.relu_, lambda gradient, y: torch.ops.aten.threshold_backward(gradient, y, 0.0))


def _sigmoid(layer: nn.Module) -> _Pass:
    return _Activation(torch.sigmoid_, torch.ops.aten.sigmoid_backward)


def _tanh(layer: nn.Module) -> _Pass:
    return _Activation(torch.tanh_, torch.ops.aten.tanh_backward)


_PASSES: dict[type[nn.Module], Callable[..., _Pass]] = {
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
