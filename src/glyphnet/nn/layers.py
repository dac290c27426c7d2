"""The table of layer types: what each is to the exports and to a picture of its weights.

For the exports a trained network is a list of plain layers with NumPy weights: see `plain`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..errors import ExportError
from ..plugins import Table
from . import modules
from .described import ACTIVATIONS
from .plain import (
    TYPES,
    Activation,
    Affine,
    Convolution,
    Custom,
    Dense,
    Float32Array,
    Graph,
    Layer,
    MaxPool,
    MeanPixel,
    Parted,
    Reading,
    Recurrent,
    Residual,
    Value,
    folded,
)  # fmt: skip
from .plain import Flatten as Flatten
from .plain import SideBySide as SideBySide
from .scoring import parts_of

__all__ = [
    "LAYERS", "Activation", "Affine", "Convolution", "Custom", "Dense", "Flatten", "Float32Array", "Graph", "Layer",
    "LayerType", "MaxPool", "MeanPixel", "Parted", "Reading", "Recurrent", "Residual", "SideBySide", "Value",
    "WeightImages", "layer_type", "layers_of", "parted_layers", "plain_layers",
]  # fmt: skip

# From a network to plain layers


def layers_of(network: nn.Module) -> tuple[Layer, ...]:
    """The layers of a trained network as they compute in evaluation mode, from pixels to logits.

    Raises:
        ExportError: a layer has a type that is not in the table.
    """
    return tuple(folded(plain_layers(network)))


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

Picture = Literal["its own", "with the layer before", "none"]


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
    picture: Picture = "its own"


def layer_type(layer: nn.Module) -> LayerType | None:
    """The row of a layer; None if its class has none."""
    row = LAYERS.get(type(layer).__name__)
    return row if row is not None and row.module is type(layer) else None


def _fault(name: str, row: object) -> str:
    if not isinstance(row, LayerType):
        return f"{row!r:.80} is no glyphnet.nn.layers.LayerType"
    return "" if row.module.__name__ == name else f"its class is {row.module.__name__}; the row must be called so"


_WEIGHTS = {
    "Conv2d": WeightImages("a kernel", _kernel_images),
    "Linear": WeightImages("a unit's weights over the image", _unit_images),
    "LSTM": WeightImages("a gate's weights: a row for each unit, over the pixels of a row", _gate_images),
}
_UNSEEN = ("Dropout", "Rows", "Flatten", "Identity")
_WITH_BEFORE = ("BatchNorm1d", "BatchNorm2d", "LastState", "ReLU6", *ACTIVATIONS.values())


def _row(name: str) -> LayerType:
    kind = getattr(modules, name, None) or getattr(nn, name)
    picture: Picture = "none" if name in _UNSEEN else "with the layer before" if name in _WITH_BEFORE else "its own"
    return LayerType(kind, lambda layer: TYPES[name](layer, plain_layers), _WEIGHTS.get(name), picture)


LAYERS: Table[LayerType] = Table("layers", {name: _row(name) for name in TYPES}, _fault)
"""Each layer type by the name of its class."""
