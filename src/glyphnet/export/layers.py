"""A trained network as a plain list of layers with NumPy weights, which the exporters write.

Dropout is dropped and batch normalisation is folded into the layer before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..errors import ExportError
from ..nn.convolutional import ResidualBlock
from ..nn.ensemble import SideBySide as SideBySideModule
from ..nn.prototypes import parts_of
from ..nn.recurrent import LastState, Rows
from ..nn.spec import ACTIVATIONS
from ..nn.spec import Flatten as FlattenModule

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Convolution:
    """Square convolution: weight float32 (O, I, kernel, kernel), bias float32 (O,)."""

    weight: Float32Array
    bias: Float32Array
    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True, eq=False)
class Dense:
    """Fully connected: weight float32 (O, I), bias float32 (O,)."""

    weight: Float32Array
    bias: Float32Array


@dataclass(frozen=True, eq=False)
class Affine:
    """Each channel (or feature) times its scale plus its shift: float32 (C,) both."""

    scale: Float32Array
    shift: Float32Array


@dataclass(frozen=True)
class MaxPool:
    """The maximum of each size × size pixels; incomplete windows at the border are dropped."""

    size: int


@dataclass(frozen=True)
class MeanPixel:
    """The mean of all pixels per channel: an image of one pixel."""


@dataclass(frozen=True)
class Flatten:
    """An image as a vector, in the order (row, column, channel); a vector stays as it is."""


@dataclass(frozen=True)
class Activation:
    """An activation by its name in `glyphnet.nn.spec.ACTIVATIONS`."""

    name: str


@dataclass(frozen=True)
class Residual:
    """The sum of two branches over the same image; an empty tuple is the identity."""

    branch: tuple[Layer, ...]
    shortcut: tuple[Layer, ...]


@dataclass(frozen=True)
class SideBySide:
    """Several branches over the same image, their output vectors concatenated."""

    parts: tuple[tuple[Layer, ...], ...]


@dataclass(frozen=True, eq=False)
class Reading:
    """One LSTM in one direction, its gates in torch's order: input, forget, cell, output.

    ``inputs`` float32 (4·hidden, I), ``states`` float32 (4·hidden, hidden), ``bias`` float32 (4·hidden,).
    """

    inputs: Float32Array
    states: Float32Array
    bias: Float32Array


@dataclass(frozen=True, eq=False)
class Recurrent:
    """Stacked LSTMs over the rows of an image; the output is the last state of the top one, directions concatenated.

    ``levels``: for each LSTM from the bottom up, its readings: downwards and, if bidirectional, upwards.
    """

    levels: tuple[tuple[Reading, ...], ...]


Layer: TypeAlias = (
    Convolution | Dense | Affine | MaxPool | MeanPixel | Flatten | Activation | Residual | SideBySide | Recurrent
)


def layers_of(network: nn.Module) -> tuple[Layer, ...]:
    """The layers of a trained network as they compute in evaluation mode, from pixels to logits.

    Raises:
        ExportError: a layer has a type that is not in the table.
    """
    return tuple(_folded(_plain(network)))


@dataclass(frozen=True, eq=False)
class Parted:
    """The layers of a network in two parts, in order.

    Attributes:
        body: up to the features that prototypes are compared with: see `nn.prototypes.parts_of`.
        rest: their activation and the last layer.
    """

    body: tuple[Layer, ...]
    rest: tuple[Layer, ...]


def parted_layers(network: nn.Module) -> Parted:
    """The layers of a trained network as they compute in evaluation mode, from pixels to logits.

    Raises:
        ExportError: a layer has a type that is not in the table.
    """
    parts = parts_of(network)
    return Parted(layers_of(parts.body), (*_plain(parts.activation), *_plain(parts.head)))


def _plain(module: nn.Module) -> list[Layer]:
    read = _READERS.get(type(module))
    if read is None:
        raise ExportError(
            f"A layer of type {type(module).__name__} cannot be exported. "
            f"Supported types: {', '.join(known.__name__ for known in _READERS)}."
        )
    return read(module)


def _folded(layers: Iterable[Layer]) -> list[Layer]:
    """Fold each Affine into the convolution or fully connected layer before it."""
    result: list[Layer] = []
    for layer in layers:
        before = result[-1] if result else None
        if isinstance(layer, Affine) and isinstance(before, (Convolution, Dense)):
            weight, bias = _scaled(before.weight, before.bias, layer)
            result[-1] = replace(before, weight=weight, bias=bias)
        else:
            result.append(layer)
    return result


def _scaled(weight: Float32Array, bias: Float32Array, affine: Affine) -> tuple[Float32Array, Float32Array]:
    # In float64, so that the product is rounded once.
    scale = affine.scale.astype(np.float64)
    weights = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return weights.astype(np.float32), (bias * scale + affine.shift).astype(np.float32)


def _array(tensor: torch.Tensor) -> Float32Array:
    array: Float32Array = np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype=np.float32)
    return array


def _bias(layer: nn.Conv2d | nn.Linear) -> Float32Array:
    return np.zeros(len(layer.weight), dtype=np.float32) if layer.bias is None else _array(layer.bias)


def _convolution(layer: nn.Conv2d) -> list[Layer]:
    # Our builders make square ones without dilation or groups.
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    return [Convolution(_array(layer.weight), _bias(layer), kernel, stride, padding)]


def _norm(layer: nn.BatchNorm1d | nn.BatchNorm2d) -> list[Layer]:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    variance = layer.running_var.detach().cpu().double()
    scale = layer.weight.detach().cpu().double() / torch.sqrt(variance + layer.eps)
    shift = layer.bias.detach().cpu().double() - layer.running_mean.detach().cpu().double() * scale
    return [Affine(_array(scale), _array(shift))]


def _residual(block: ResidualBlock) -> list[Layer]:
    parts = (block.conv1, block.norm1, block.activation1, block.conv2, block.norm2)
    branch = _folded(layer for part in parts for layer in _plain(part))
    shortcut = _folded(_plain(block.shortcut))
    return [Residual(tuple(branch), tuple(shortcut)), *_plain(block.activation2)]


def _recurrent(lstm: nn.LSTM) -> list[Layer]:
    def reading(level: int, suffix: str) -> Reading:
        inputs, states, bias, more = (
            _array(getattr(lstm, f"{name}_l{level}{suffix}"))
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return Reading(inputs, states, bias + more)

    suffixes = ("", "_reverse") if lstm.bidirectional else ("",)
    return [Recurrent(tuple(tuple(reading(level, s) for s in suffixes) for level in range(lstm.num_layers)))]


def _dropped(_: nn.Module) -> list[Layer]:
    return []


def _named(activation: str) -> Callable[[nn.Module], list[Layer]]:
    return lambda _: [Activation(activation)]


_READERS: dict[type[nn.Module], Callable[[Any], list[Layer]]] = {
    nn.Sequential: lambda layers: [layer for module in layers for layer in _plain(module)],
    nn.Conv2d: _convolution,
    nn.Linear: lambda layer: [Dense(_array(layer.weight), _bias(layer))],
    nn.BatchNorm1d: _norm,
    nn.BatchNorm2d: _norm,
    nn.MaxPool2d: lambda layer: [MaxPool(int(layer.kernel_size))],
    nn.AdaptiveAvgPool2d: lambda _: [MeanPixel()],
    nn.Dropout: _dropped,
    nn.LSTM: _recurrent,
    Rows: _dropped,  # Recurrent includes the rows
    LastState: _dropped,  # and the last state
    FlattenModule: lambda _: [Flatten()],
    ResidualBlock: _residual,
    SideBySideModule: lambda members: [SideBySide(tuple(tuple(_folded(_plain(each))) for each in members))],
    **{type(make()): _dropped if name == "identity" else _named(name) for name, make in ACTIVATIONS.items()},
}
