"""Layers as values, without torch: `modules` builds them; `plain` makes of them what NumPy and the exports compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ACTIVATIONS = {
    "relu": "ReLU",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "gelu": "GELU",
    "silu": "SiLU",
    "leaky_relu": "LeakyReLU",
    "identity": "Identity",
}
"""Each activation with torch's class for it."""


@dataclass(frozen=True)
class Described:
    """A layer before it is built.

    Attributes:
        type: the name of its class: torch's, or one of `modules`.
        settings: what the class takes.
        shapes: its tensors with their shapes.
        parts: the layers in it.
    """

    type: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    parts: Mapping[str, Described] = field(default_factory=dict)

    @property
    def modules(self) -> int:
        """How many layers it is, itself counted too."""
        return 1 + sum(part.modules for part in self.parts.values())

    def tensors(self, prefix: str = "") -> Iterator[tuple[str, tuple[int, ...]]]:
        """The names and shapes of all tensors, as in torch's ``state_dict``."""
        yield from ((f"{prefix}{name}", shape) for name, shape in self.shapes.items())
        for name, part in self.parts.items():
            yield from part.tensors(f"{prefix}{name}.")


def convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0, bias: bool = True
) -> Described:
    """A square convolution."""
    settings = {"in_channels": inputs, "out_channels": outputs, "kernel_size": kernel, "stride": stride}
    shapes = {"weight": (outputs, inputs, kernel, kernel), **({"bias": (outputs,)} if bias else {})}
    return Described("Conv2d", {**settings, "padding": padding, "bias": bias}, shapes)


def dense(inputs: int, outputs: int, *, bias: bool = True) -> Described:
    """A fully connected layer."""
    shapes = {"weight": (outputs, inputs), **({"bias": (outputs,)} if bias else {})}
    return Described("Linear", {"in_features": inputs, "out_features": outputs, "bias": bias}, shapes)


def batch_norm(values: int, *, of_image: bool) -> Described:
    """Batch normalisation of the channels of an image, or of features."""
    shapes = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (values,))
    return Described(
        "BatchNorm2d" if of_image else "BatchNorm1d", {"num_features": values}, {**shapes, "num_batches_tracked": ()}
    )


def activation(which: str) -> Described:
    """An activation by its name in :data:`ACTIVATIONS`."""
    return Described(ACTIVATIONS[which])


def residual_block(inputs: int, outputs: int, stride: int, which: str) -> Described:
    """A `modules.ResidualBlock`, which takes the same."""
    parts = {
        "conv1": convolution(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        "norm1": batch_norm(outputs, of_image=True),
        "activation1": activation(which),
        "conv2": convolution(outputs, outputs, 3, padding=1, bias=False),
        "norm2": batch_norm(outputs, of_image=True),
        "shortcut": Described("Identity"),
        "activation2": activation(which),
    }
    if stride != 1 or inputs != outputs:
        shortcut = convolution(inputs, outputs, 1, stride=stride, bias=False), batch_norm(outputs, of_image=True)
        parts["shortcut"] = Described("Sequential", parts=dict(zip("01", shortcut, strict=True)))
    settings = {"inputs": inputs, "outputs": outputs, "stride": stride, "activation_name": which}
    return Described("ResidualBlock", settings, parts=parts)
