"""Hand-written forward and backward pass of fully connected networks.

Autograd records each operation and then walks back through its records. In layers as small as these the records take
as long as the arithmetic. The formulas are the usual ones (Rumelhart, Hinton and Williams, 1986), and are tested
against autograd. Convolutional networks gained only a tenth, so they are left to autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from ...nn.modules import Flatten


class Backpropagation:
    """The passes of one network on the processor, in float32. Its gradients are overwritten, never accumulated.

    Args:
        network: for which `covers` is true.
    """

    def __init__(self, network: nn.Module) -> None:
        self._rules = [RULES[type(layer)](layer) for layer in network.children()]
        # Below the lowest layer that learns nobody asks for derivatives.
        self._lowest = next(index for index, each in enumerate(self._rules) if each.learns)

    @staticmethod
    def covers(network: nn.Module) -> bool:
        """Whether this module has a rule for every layer."""
        return isinstance(network, nn.Sequential) and all(type(layer) in RULES for layer in network)

    @staticmethod
    def lay_out(network: nn.Module) -> None:
        """Lay weights out in memory column by column, where a small batch then takes less time.

        With MKL that is up to half the time; with oneDNN a tenth less if the layer does not narrow, and else no less.
        Whatever else refers to a weight's memory must be made afterwards.
        """
        narrowing_too = not uses_onednn()
        for parameter in network.parameters():
            if parameter.ndim == 2 and (narrowing_too or parameter.shape[0] >= parameter.shape[1]):
                parameter.data = parameter.data.t().contiguous().t()

    def forward(self, x: Tensor) -> Tensor:
        """The logits, float32 (N, K), of inputs float32 (N, C, H, W) or (N, D), with dropout at work."""
        for each in self._rules:
            x = each.forward(x)
        return x

    def backward(self, gradient: Tensor) -> None:
        """Set each parameter's ``grad``, which lies in memory as the parameter does.

        Args:
            gradient: the derivatives by the last `forward`'s logits, float32 (N, K).
        """
        for index in range(len(self._rules) - 1, self._lowest - 1, -1):
            gradient = self._rules[index].backward(gradient, index > self._lowest)


# Each layer type's rules


class LayerRule(Protocol):
    """One layer, there and back; ``learns`` says whether it has parameters."""

    learns: bool

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output; keeps what `backward` needs."""

    def backward(self, gradient: Tensor, wanted: bool) -> Tensor:
        """From the derivatives by the output to those by the input, which may be anything if not ``wanted``."""


class _Flat:
    """An image as a vector. It is the first layer, so derivatives by its input are not needed."""

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
    """Keeps each number with probability 1 − p, divided by it."""

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


_relu_backward = torch.ops.aten.threshold_backward

RULES: dict[type[nn.Module], Callable[..., LayerRule]] = {
    Flatten: _Flat,
    nn.Linear: _Dense,
    nn.Dropout: _Dropout,
    nn.ReLU: lambda _: _Activation(torch.relu_, lambda gradient, y: _relu_backward(gradient, y, 0.0)),
    nn.Sigmoid: lambda _: _Activation(torch.sigmoid_, torch.ops.aten.sigmoid_backward),
    nn.Tanh: lambda _: _Activation(torch.tanh_, torch.ops.aten.tanh_backward),
}
"""Layer type → its rules. A network with any other type is left to autograd."""


# Products of matrices where nobody asks for gradients, by the library that is quickest on this processor


WORTHWHILE = 4e6
"""FLOPs from which a product by oneDNN is the quicker one: to call it takes 9 µs more."""


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a·b + bias, to within rounding.

    Args:
        a: (M, K), in any order; quickest row by row in memory.
        b: (K, N), in any order.
        bias: (N,), added to each row.

    Returns:
        (M, N), row by row.
    """
    if 2 * a.size(0) * b.numel() >= WORTHWHILE and (by_onednn := _linear_for(a)) is not None:
        return by_onednn(a.contiguous(), b.t(), bias)  # it would take twice the time to turn the matrix round itself
    return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)


def uses_onednn() -> bool:
    """Whether large products of float32 go to oneDNN, on this processor."""
    return _linear() is not None


def _linear_for(a: Tensor) -> Callable[[Tensor, Tensor, Tensor | None], Tensor] | None:
    return _linear() if a.dtype == torch.float32 and a.device.type == "cpu" else None


@cache
def _linear() -> Callable[[Tensor, Tensor, Tensor | None], Tensor] | None:
    """oneDNN's x·wᵀ + b, if this processor is faster with it and PyTorch has the call."""
    if "AMD" not in processor("vendor_id") or not torch.cpu.get_capabilities().get("avx512_f"):
        return None
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return None
    call = torch.ops.mkldnn._linear_pointwise.default
    return lambda x, weight, bias: call(x, weight, bias, "none", [], "")


@cache
def processor(what: str) -> str:
    """A fact of the processor as Linux names it ("vendor_id": "AuthenticAMD", "model name"), or ""."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(what)), "")
