"""The layers of a network and their cost: shapes, parameters, FLOPs."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ..units import table
from .networks import build
from .spec import BaseSpec, InputShape

_HEADINGS = ("name", "layer", "output shape", "parameters", "FLOPs")


@dataclass(frozen=True)
class LayerSummary:
    """One layer, in the order of computation.

    Attributes:
        name: where it is in the network ("stage1_block1.conv1").
        layer: its type ("Conv2d").
        output_shape: for one image, as torch lays it out: (C, H, W), (rows, features) or (features,).
        parameters: trainable numbers.
        flops: for one image: see `NetworkSummary`.
    """

    name: str
    layer: str
    output_shape: tuple[int, ...]
    parameters: int
    flops: int


@dataclass(frozen=True)
class NetworkSummary:
    """A network layer by layer; ``print`` it for a table.

    FLOPs are of one image's way through the network. A multiplication and its addition count as 2, as in
    ``torch.utils.flop_counter``; convolutions and matrix products count, not biases, activations, pooling
    or normalisation. Training takes about three times as many.

    Attributes:
        input_shape: (H, W, C) or (D,).
        rows: one a layer.
    """

    input_shape: InputShape
    rows: tuple[LayerSummary, ...]

    @property
    def parameters(self) -> int:
        """Trainable numbers in the whole network."""
        return sum(row.parameters for row in self.rows)

    @property
    def flops(self) -> int:
        """FLOPs of the whole network for one image."""
        return sum(row.flops for row in self.rows)

    def __str__(self) -> str:
        cells = [
            (row.name, row.layer, _by(row.output_shape), f"{row.parameters:,}", f"{row.flops:,}") for row in self.rows
        ]
        total = ("total", "", "", f"{self.parameters:,}", f"{self.flops:,}")
        rows = [_HEADINGS, (), ("input", "", _by(self.input_shape), "", ""), *cells, (), total]
        return "\n".join(table(rows, left=(0, 1, 2)))


def summary(network: nn.Module | BaseSpec, input_shape: InputShape, classes: int) -> NetworkSummary:
    """Count parameters and FLOPs of a network, without changing it, or of what a description builds.

    Raises:
        SettingsError: the description does not go with ``input_shape``.
    """
    if isinstance(network, BaseSpec):
        with torch.device("meta"):
            shadow = build(network, input_shape, classes)
    else:
        shadow = copy.deepcopy(network).to("meta")
    _fill_with_zeros(shadow.eval())
    shapes: dict[str, tuple[int, ...]] = {}
    layers = {name: module for name, module in shadow.named_modules() if not any(module.children())}
    counter = FlopCounter()
    for name, module in layers.items():
        module.register_forward_pre_hook(partial(_mark, counter, name))
        module.register_forward_hook(partial(_record, shapes, name))
    channels_first = input_shape if len(input_shape) == 1 else (input_shape[2], *input_shape[:2])
    with counter, torch.no_grad():
        shadow(torch.zeros(1, *channels_first, dtype=torch.float64))
    rows = (
        LayerSummary(
            name=name,
            layer=type(layers[name]).__name__,
            output_shape=shape,
            parameters=sum(p.numel() for p in layers[name].parameters() if p.requires_grad),
            flops=counter.flops[name],
        )
        for name, shape in shapes.items()
    )
    return NetworkSummary(input_shape, tuple(rows))


def _fill_with_zeros(network: nn.Module) -> None:
    """From the meta device to the CPU: on the meta device PyTorch would load its compiler to follow shapes.

    In float64, in which an LSTM is made of products that are counted; in float32 it may be one call of oneDNN.
    """
    zeros = {
        name: torch.zeros(tensor.shape, dtype=torch.float64 if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in network.state_dict().items()
    }
    network.load_state_dict(zeros, assign=True)


def _mark(counter: FlopCounter, name: str, module: nn.Module, inputs: object) -> None:
    counter.place = name


def _record(shapes: dict[str, tuple[int, ...]], name: str, module: nn.Module, inputs: object, output: Any) -> None:
    first = output[0] if isinstance(output, tuple) else output  # an LSTM gives its states as well
    shapes[name] = tuple(first.shape[1:])


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


# Counting FLOPs as they are computed, by PyTorch's own formulas. Its counter would import its compiler: seconds.


class FlopCounter(TorchDispatchMode):
    """Counts what is computed inside its block: ``flops`` by the name that ``place`` has then."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's has no annotations
        self.place = ""
        self.flops: Counter[str] = Counter()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Else PyTorch would import its compiler, too."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Compute, and count what a formula is known for; what is made of other operations is taken apart."""
        kwargs = kwargs or {}
        formula = flop_registry.get(func._overloadpacket)
        if formula is None and func is not torch.ops.prim.device.default:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if formula is not None:
            self.flops[self.place] += formula(*args, **kwargs, out_val=result)
        return result
