"""Plain layers: what the exports make of a trained network, as NumPy weights, and how each type of layer becomes some.

Dropout is dropped, and batch normalisation is folded into the layer before it. How a plain layer is written stands in
a table of each format (``export/onnx.py``, ``export/webpage.py``, ``pages/js/engine``); ``forward.py``
computes it. Nothing here loads torch: layers are torch's modules, or described ones with their tensors (`Loaded`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from .described import ACTIVATIONS, Described

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

    def channels_first(self, value: Value) -> str:
        """The name of an image as (N, C, H, W)."""


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


@dataclass(frozen=True, eq=False)
class Depthwise(Custom):
    """Square convolution of each channel by itself: weight float32 (C, 1, kernel, kernel), bias float32 (C,)."""

    weight: Float32Array
    bias: Float32Array
    kernel: int
    stride: int
    padding: int

    def onnx(self, graph: Graph, value: Value) -> Value:
        """A convolution with as many groups as channels."""
        weight, bias = graph.constant("weight", self.weight), graph.constant("bias", self.bias)
        result = graph.node(
            "Conv", graph.channels_first(value), weight, bias, group=len(self.bias),
            kernel_shape=[self.kernel] * 2, strides=[self.stride] * 2, pads=[self.padding] * 4,
        )  # fmt: skip
        return Value(result, channels_first=True)


@dataclass(frozen=True)
class Relu6(Custom):
    """The value within 0 and 6."""

    def onnx(self, graph: Graph, value: Value) -> Value:
        """Two nodes."""
        return replace(value, name=graph.node("Min", graph.node("Relu", value.name), graph.constant("six", 6)))


@dataclass(frozen=True, eq=False)
class Interpolation(Custom):
    """An image whose rows and columns are weighted sums of its own: float32 (H, height) and (W, width)."""

    rows: Float32Array
    columns: Float32Array

    def onnx(self, graph: Graph, value: Value) -> Value:
        """A product for each axis; the operator for it would need the size of the batch, or round sides down."""
        wide = graph.node("MatMul", graph.channels_first(value), graph.constant("columns", self.columns))
        turned = graph.node("Transpose", wide, perm=[0, 1, 3, 2])
        tall = graph.node("MatMul", turned, graph.constant("rows", self.rows))
        return Value(graph.node("Transpose", tall, perm=[0, 1, 3, 2]), channels_first=True)


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

# Folding, and each type of layer


def folded(layers: Iterable[Layer]) -> list[Layer]:
    """Fold each Affine into the convolution or fully connected layer before it."""
    result: list[Layer] = []
    for layer in layers:
        before = result[-1] if result else None
        if isinstance(layer, Affine) and isinstance(before, (Convolution, Dense, Depthwise)):
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


def _array(tensor: Any, dtype: type = np.float32) -> npt.NDArray[Any]:
    """Torch's tensor, or an array."""
    array = tensor if isinstance(tensor, np.ndarray) else tensor.detach().cpu().numpy()
    return np.ascontiguousarray(array, dtype=dtype)


def _bias(layer: Any) -> Float32Array:
    return np.zeros(len(layer.weight), dtype=np.float32) if layer.bias is None else _array(layer.bias)


def _side(value: Any) -> int:
    """Of a square: torch has it for both directions, a description once."""
    return int(value[0] if isinstance(value, tuple) else value)


def _convolution(layer: Any, _: Plain) -> list[Layer]:
    # Our builders make square ones without dilation, of all channels together or of each by itself.
    kernel, stride, padding = map(_side, (layer.kernel_size, layer.stride, layer.padding))
    made = Convolution if getattr(layer, "groups", 1) == 1 else Depthwise
    return [made(_array(layer.weight), _bias(layer), kernel, stride, padding)]


def _norm(layer: Any, _: Plain) -> list[Layer]:
    mean, variance, weight, bias = (
        _array(each, np.float64) for each in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    )
    scale = weight / np.sqrt(variance + layer.eps)
    return [Affine(scale.astype(np.float32), (bias - mean * scale).astype(np.float32))]


def _residual(block: Any, plain: Plain) -> list[Layer]:
    parts = (block.conv1, block.norm1, block.activation1, block.conv2, block.norm2)
    branch = folded(layer for part in parts for layer in plain(part))
    shortcut = folded(plain(block.shortcut))
    return [Residual(tuple(branch), tuple(shortcut)), *plain(block.activation2)]


def _inverted_residual(block: Any, plain: Plain) -> list[Layer]:
    branch = folded(layer for part in (block.expand, block.depthwise, block.project) for layer in plain(part))
    return [Residual(tuple(branch), ())] if block.adds_input else branch


def _enlarged(layer: Any, _: Plain) -> list[Layer]:
    return [Interpolation(*map(_array, layer.matrices()))] if layer.enlarges else []


def _recurrent(lstm: Any, _: Plain) -> list[Layer]:
    def reading(level: int, suffix: str) -> Reading:
        inputs, states, bias, more = (
            _array(getattr(lstm, f"{name}_l{level}{suffix}"))
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return Reading(inputs, states, bias + more)

    suffixes = ("", "_reverse") if lstm.bidirectional else ("",)
    return [Recurrent(tuple(tuple(reading(level, s) for s in suffixes) for level in range(lstm.num_layers)))]


def _activation(name: str) -> Callable[[Any, Plain], list[Layer]]:
    return lambda layer, _: [] if name == "identity" else [Activation(name)]


Plain: TypeAlias = Callable[[Any], list[Layer]]
"""From a layer in a compound one to its plain layers."""

TYPES: dict[str, Callable[[Any, Plain], list[Layer]]] = {
    "Sequential": lambda layers, plain: [layer for part in layers for layer in plain(part)],
    "Conv2d": _convolution,
    "Linear": lambda layer, _: [Dense(_array(layer.weight), _bias(layer))],
    "BatchNorm1d": _norm,
    "BatchNorm2d": _norm,
    "MaxPool2d": lambda layer, _: [MaxPool(_side(layer.kernel_size))],
    "AdaptiveAvgPool2d": lambda layer, _: [MeanPixel()],
    "Dropout": lambda layer, _: [],
    "LSTM": _recurrent,
    "Rows": lambda layer, _: [],  # Recurrent includes the rows
    "LastState": lambda layer, _: [],  # and the last state
    "Flatten": lambda layer, _: [Flatten()],
    "ResidualBlock": _residual,
    "InvertedResidual": _inverted_residual,
    "Enlarge": _enlarged,
    "ReLU6": lambda layer, _: [Relu6()],
    "SideBySide": lambda members, plain: [SideBySide(tuple(tuple(folded(plain(each))) for each in members))],
    **{made: _activation(name) for name, made in ACTIVATIONS.items()},
}
"""Each type of layer, by the name of its class → the plain layers that compute the same in evaluation mode."""


# Of a network that is described, with the tensors of its file


class Loaded:
    """A described layer with its tensors: it has the attributes of torch's module that the functions above ask for."""

    eps = 1e-5  # torch's, of batch normalisation
    bias: Float32Array | None = None
    stride: int

    def __init__(self, layer: Described, tensors: Mapping[str, npt.NDArray[Any]], prefix: str = "") -> None:
        self.layer = layer
        self.parts = {name: Loaded(part, tensors, f"{prefix}{name}.") for name, part in layer.parts.items()}
        values = {name: value for name, value in layer.settings.items() if name != "bias"}
        self.__dict__ |= values | {name: tensors[prefix + name] for name in layer.shapes} | self.parts

    def __iter__(self) -> Iterator[Loaded]:
        return iter(self.parts.values())

    def plain(self) -> list[Layer]:
        """Its plain layers."""
        return TYPES[self.layer.type](self, Loaded.plain)


@dataclass(frozen=True, eq=False)
class Parted:
    """The layers of a network: the body up to the features that prototypes are compared with (see
    `nn.scoring.parts_of`), and the rest, their activation and the last layer."""

    body: tuple[Layer, ...]
    rest: tuple[Layer, ...]


def parted(network: Loaded) -> Parted:
    """The two parts of a described network, as `layers.parted_layers` has them of a module."""
    *layers, head = folded(network.plain())
    if layers and isinstance(layers[0], SideBySide):
        ends = [_end(part) for part in layers[0].parts]
        bodies = tuple(part[: len(part) - len(end)] for part, end in zip(layers[0].parts, ends, strict=True))
        return Parted((SideBySide(bodies),), (*ends[0], head))
    end = _end(layers)
    return Parted(tuple(layers[: len(layers) - len(end)]), (*end, head))


def _end(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The activation that layers end in, if they do."""
    return (layers[-1],) if layers and isinstance(layers[-1], Activation) else ()
