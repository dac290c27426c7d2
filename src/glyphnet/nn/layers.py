"""The table of layer types: what each is to the exports and to a picture of its weights.

For the exports a trained network is a list of plain layers with NumPy weights: dropout is dropped, and batch
normalisation is folded into the layer before it. How a plain layer is written stands in a table of each format
(``export/onnx.py``, ``export/webpage.py``, ``pages/js/engine/layers.js``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..errors import ExportError
from ..plugins import Table
from .kinds import LastState, ResidualBlock, Rows
from .networks import SideBySide as SideBySideModule
from .prototypes import parts_of
from .spec import ACTIVATIONS
from .spec import Flatten as FlattenModule

Float32Array = npt.NDArray[np.float32]

# Plain layers


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


class Graph(Protocol):
    """What a `Custom` layer writes its ONNX with: ``export.onnx.Builder``."""

    def node(self, operator: str, *inputs: str, **settings: Any) -> str:
        """Add a node of an operator; returns the name of its output."""

    def constant(self, name: str, values: npt.ArrayLike, dtype: type = np.float32) -> str:
        """Add a constant; returns its name."""


@dataclass(frozen=True)
class Value:
    """A result in an ONNX graph: its name, and whether it is an image in the layout (N, C, H, W), not (N, H, W, C)."""

    name: str
    channels_first: bool = False


class Custom(ABC):
    """A plain layer that none of the others can express: a frozen dataclass of numbers and arrays, with its ONNX.

    A page cannot hold it: HTML is refused with its name.
    """

    @abstractmethod
    def onnx(self, graph: Graph, value: Value) -> Value:
        """Write the layer into a graph of opset 17, with operators that ``_onnxwire`` lets through."""


Layer: TypeAlias = (
    Convolution
    | Dense
    | Affine
    | MaxPool
    | MeanPixel
    | Flatten
    | Activation
    | Residual
    | SideBySide
    | Recurrent
    | Custom
)

# From a network to plain layers


def layers_of(network: nn.Module) -> tuple[Layer, ...]:
    """The layers of a trained network as they compute in evaluation mode, from pixels to logits.

    Raises:
        ExportError: a layer has a type that is not in the table.
    """
    return tuple(_folded(plain_layers(network)))


@dataclass(frozen=True, eq=False)
class Parted:
    """The layers of a network: the body up to the features that prototypes are compared with (see
    `nn.prototypes.parts_of`), and the rest, their activation and the last layer."""

    body: tuple[Layer, ...]
    rest: tuple[Layer, ...]


def parted_layers(network: nn.Module) -> Parted:
    """The same as `layers_of`, in two parts."""
    parts = parts_of(network)
    return Parted(layers_of(parts.body), (*plain_layers(parts.activation), *plain_layers(parts.head)))


def plain_layers(module: nn.Module) -> list[Layer]:
    """The plain layers of a layer or network, before batch normalisation is folded.

    Raises:
        ExportError: a layer has a type that is not in the table.
    """
    row = layer_type(module)
    if row is None:
        raise ExportError(
            f"A layer of type {type(module).__name__} cannot be exported. Supported types: {', '.join(LAYERS)}. "
            "Export to .pt2, which takes every network, or add a row for it (docs/extending.md)."
        )
    return row.plain(module)


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
    branch = _folded(layer for part in parts for layer in plain_layers(part))
    shortcut = _folded(plain_layers(block.shortcut))
    return [Residual(tuple(branch), tuple(shortcut)), *plain_layers(block.activation2)]


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


# The weights of a first layer as images: float (U, h, w, C) and U names

_Shape = tuple[int, int, int]
_GATES = ("input gate", "forget gate", "cell", "output gate")  # in the order of torch's rows


@dataclass(frozen=True)
class WeightImages:
    """How the weights of a first layer are shown.

    Attributes:
        meaning: what one image is.
        images: from the layer and the (H, W, C) of the network's input to the images, (U, h, w, C), and U names.
    """

    meaning: str
    images: Callable[[Any, _Shape], tuple[Tensor, tuple[str, ...]]]


def _unit_images(layer: Any, shape: _Shape) -> tuple[Tensor, tuple[str, ...]]:
    # In the order of Flatten. An ensemble of linear networks reads the image several times: its weights are summed.
    weights = layer.weight.reshape(len(layer.weight), -1, *shape).sum(dim=1)
    return weights, _numbered("unit", len(layer.weight))


def _kernel_images(layer: Any, shape: _Shape) -> tuple[Tensor, tuple[str, ...]]:
    return layer.weight.permute(0, 2, 3, 1), _numbered("kernel", len(layer.weight))


def _gate_images(layer: Any, shape: _Shape) -> tuple[Tensor, tuple[str, ...]]:
    downwards = layer.weight_ih_l0.reshape(4, layer.hidden_size, *shape[1:])
    if not layer.bidirectional:
        return downwards, _GATES
    upwards = layer.weight_ih_l0_reverse.reshape(4, layer.hidden_size, *shape[1:])
    return torch.cat([downwards, upwards]), (*_GATES, *(f"{gate}, from below" for gate in _GATES))


def _numbered(what: str, count: int) -> tuple[str, ...]:
    return tuple(f"{what} {number}" for number in range(count))


# The table


@dataclass(frozen=True)
class LayerType:
    """A row of the table.

    Attributes:
        module: the class of the layer.
        plain: from a trained layer to the plain layers that compute the same in evaluation mode.
        weights: how its weights are shown where it is a network's first layer; None if they cannot be.
        picture: how its output is shown in a picture of a network at work: "its own"; "with the layer before", in whose
            place it stands, as that of an activation; or "none", where it changes no number.
    """

    module: type[nn.Module]
    plain: Callable[[Any], list[Layer]]
    weights: WeightImages | None = None
    picture: Literal["its own", "with the layer before", "none"] = "its own"


def layer_type(layer: nn.Module) -> LayerType | None:
    """The row of a layer; None if its class has none."""
    row = LAYERS.get(type(layer).__name__)
    return row if row is not None and row.module is type(layer) else None


def _fault(name: str, row: object) -> str:
    if not isinstance(row, LayerType):
        return f"{row!r:.80} is no glyphnet.nn.layers.LayerType"
    return "" if row.module.__name__ == name else f"its class is {row.module.__name__}; the row must be called so"


_ROWS = (
    LayerType(nn.Sequential, lambda layers: [layer for module in layers for layer in plain_layers(module)]),
    LayerType(nn.Conv2d, _convolution, WeightImages("a kernel", _kernel_images)),
    LayerType(
        nn.Linear,
        lambda layer: [Dense(_array(layer.weight), _bias(layer))],
        WeightImages("a unit's weights over the image", _unit_images),
    ),
    LayerType(nn.BatchNorm1d, _norm, picture="with the layer before"),
    LayerType(nn.BatchNorm2d, _norm, picture="with the layer before"),
    LayerType(nn.MaxPool2d, lambda layer: [MaxPool(int(layer.kernel_size))]),
    LayerType(nn.AdaptiveAvgPool2d, lambda _: [MeanPixel()]),
    LayerType(nn.Dropout, _dropped, picture="none"),
    LayerType(
        nn.LSTM,
        _recurrent,
        WeightImages("a gate's weights: a row for each unit, over the pixels of a row", _gate_images),
    ),
    LayerType(Rows, _dropped, picture="none"),  # Recurrent includes the rows
    LayerType(LastState, _dropped, picture="with the layer before"),  # and the last state
    LayerType(FlattenModule, lambda _: [Flatten()], picture="none"),
    LayerType(ResidualBlock, _residual),
    LayerType(
        SideBySideModule, lambda members: [SideBySide(tuple(tuple(_folded(plain_layers(each))) for each in members))]
    ),
    LayerType(nn.Identity, _dropped, picture="none"),
    *(
        LayerType(type(make()), _named(name), picture="with the layer before")
        for name, make in ACTIVATIONS.items()
        if name != "identity"
    ),
)
LAYERS: Table[LayerType] = Table("layers", {row.module.__name__: row for row in _ROWS}, _fault)
"""Each layer type by the name of its class."""
