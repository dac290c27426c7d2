"""The parts of network descriptions: bounds, activations, and a stack of layers that follows the shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field
from torch import Tensor, nn

from ..errors import SettingsError
from ..settings import MOST_MULTIPLICATIONS, MOST_VALUES, Settings, batch_size, suggestion

InputShape = tuple[int, int, int] | tuple[int]
"""(height, width, channels) of an image, or (features,) of a vector."""

# A description may come out of a stranger's file, so nothing in it is without bound.
Width = Annotated[int, Field(strict=True, ge=1, le=65_536)]
Widths = Annotated[tuple[Width, ...], Field(max_length=64)]
Dropout = Annotated[float, Field(strict=True, ge=0.0, lt=1.0)]
Flag = Annotated[bool, Field(strict=True)]


class BaseSpec(Settings, ABC):
    """The description of one kind of network: closed, serialisable, compared by value.

    A new kind is a subclass, and one row in ``networks.py``. The subclass narrows ``kind`` to a Literal with the kind's
    name and adds its settings, each with a default and bounds.
    """

    kind: str

    takes_vectors: ClassVar[bool] = False
    """Whether feature vectors (D,) will do as input; images always do."""

    @abstractmethod
    def network(self, input_shape: InputShape, classes: int) -> nn.Module:
        """The untrained network; called by :func:`glyphnet.nn.build`, which has checked the arguments.

        Its last layer is a Linear called ``head``. Initial weights come from torch's default generator, on
        torch's default device.

        Raises:
            SettingsError: the settings do not go with ``input_shape``.
        """

    def without_effect(self) -> tuple[str, ...]:
        """A sentence for every setting that was given and cannot have an effect with the others."""
        return ()


# Activations

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "identity": nn.Identity,
}


def _known(name: str) -> str:
    if name not in ACTIVATIONS:
        raise ValueError(f'unknown activation "{name:.60}"{suggestion(name, ACTIVATIONS)}')
    return name


Activation = Annotated[str, AfterValidator(_known)]
"""The name of one of :data:`ACTIVATIONS`."""


_RISING = (nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh)


def pooled_first(layers: Iterable[nn.Module]) -> list[nn.Module]:
    """The same layers, with each max-pooling in front of the activation before it, which then sees a quarter of the
    pixels: of an activation that rises the largest stays the largest.
    """
    ordered = list(layers)
    for index in range(1, len(ordered)):
        first, second = ordered[index - 1 : index + 1]
        if isinstance(first, _RISING) and isinstance(second, nn.MaxPool2d):
            ordered[index - 1 : index + 1] = second, first
    return ordered


ACTIVATION_TYPES = frozenset(type(make()) for make in ACTIVATIONS.values())


class Flatten(nn.Module):
    """Lays images (N, C, H, W) out as vectors (N, H·W·C), in the order (row, column, channel); vectors stay.

    ``nn.Flatten`` has the order (channel, row, column). Images lie in memory channels last: it would copy them, forward
    and backward, and leave the pooling before it a gradient in the wrong order. That cost as much as the rest of a
    small network.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The vectors; of channels-last images a view."""
        return x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x


class Stack:
    """A growing list of named layers that knows the shape of its last output.

    ``kind`` and ``remedy``, what to do when the image becomes too small for a layer, are for error messages.

    Attributes:
        height, width, channels: of the last output while it is an image.
        features: of the last output once it is flat.
        multiplications: of all layers so far, for one image.
    """

    def __init__(self, kind: str, input_shape: InputShape, remedy: str = "") -> None:
        self._kind = kind
        self._input_shape = input_shape
        self._remedy = remedy
        self._layers: OrderedDict[str, nn.Module] = OrderedDict()
        self.height, self.width, self.channels = input_shape if len(input_shape) == 3 else (1, 1, 0)
        self.features = input_shape[0] if len(input_shape) == 1 else 0
        self.multiplications = 0
        self._batch = batch_size(input_shape)

    def add(self, name: str, layer: nn.Module) -> None:
        """Put on a layer that changes no shape."""
        self._layers[name] = layer

    def convolution(
        self, name: str, channels: int, kernel: int, *, stride: int = 1, padding: int, bias: bool = True
    ) -> None:
        """Put on a square convolution; raises SettingsError if the kernel is larger than the padded image."""
        self._shrink(name, kernel, stride, padding)
        self.count(kernel * kernel * self.channels, self.height * self.width * channels)
        layer = nn.Conv2d(self.channels, channels, kernel, stride=stride, padding=padding, bias=bias)
        self.channels = channels
        self.add(name, layer)

    def pool(self, name: str, size: int = 2) -> None:
        """Add a max-pooling over squares, incomplete ones at the border dropped. Raises SettingsError if none fits."""
        self._shrink(name, size, size, 0)
        self.add(name, nn.MaxPool2d(size))

    def flatten(self) -> None:
        """Lay the image out as one vector, in the order (row, column, channel); a vector stays as it is."""
        if self.channels:
            self.features = self.height * self.width * self.channels
        self.add("flatten", Flatten())

    def dense(self, name: str, width: int, *, bias: bool = True) -> None:
        """Put on a fully connected layer."""
        self.count(self.features, width)
        self.add(name, nn.Linear(self.features, width, bias=bias))
        self.features = width

    def activation(self, name: str, which: str) -> None:
        """Put on an activation by its name in :data:`ACTIVATIONS`."""
        self.add(name, ACTIVATIONS[which]())

    def dropout(self, name: str, probability: float) -> None:
        """Add dropout, or nothing if the probability is 0."""
        if probability:
            self.add(name, nn.Dropout(probability))

    def flat_network(self, dense: Iterable[int], which: str, dropout: float, classes: int) -> nn.Sequential:
        """The layers so far, then flatten, [dense, activation] for each width, [dropout] and head."""
        self.flatten()
        for index, width in enumerate(dense, start=1):
            self.dense(f"dense{index}", width)
            self.activation(f"dense{index}_activation", which)
        self.dropout("dropout", dropout)
        return self.network(classes)

    def network(self, classes: int) -> nn.Sequential:
        """The layers so far, closed by the head that gives the logits."""
        self.dense("head", classes)
        network = nn.Sequential(self._layers)
        network.multiplications = self.multiplications  # type: ignore[assignment]
        return network

    def count(self, each: int, values: int) -> None:
        """Count the multiplications of a layer before it is built: ``each`` for each output value.

        Raises:
            SettingsError: it is too large, or all layers together take too long.
        """
        self.multiplications += each * values
        if values * self._batch > MOST_VALUES or self.multiplications > MOST_MULTIPLICATIONS:
            raise SettingsError(
                f'network "{self._kind}": {self.multiplications:,} multiplications for an image, or a layer of '
                f"{values:,} values; {MOST_MULTIPLICATIONS:,} and {MOST_VALUES // self._batch:,} are the limits. Make "
                "its layers narrower or the images smaller (size)."
            )

    def _shrink(self, name: str, kernel: int, stride: int, padding: int) -> None:
        """Follow the height and width through a kernel."""
        height = (self.height + 2 * padding - kernel) // stride + 1
        width = (self.width + 2 * padding - kernel) // stride + 1
        if height < 1 or width < 1:
            size = "×".join(map(str, self._input_shape[:2]))
            raise SettingsError(
                f'network "{self._kind}": on images of {size} only {self.height}×{self.width} pixels '
                f"are left before {name}, too few for its {kernel}×{kernel} window. {self._remedy}"
            )
        self.height, self.width = height, width
