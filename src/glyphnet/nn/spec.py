"""The parts of network descriptions: bounds, activations, and a stack of layers that follows the shape."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from ..errors import SettingsError
from ..settings import MOST_MULTIPLICATIONS, MOST_VALUES, Settings, default_batch_size, suggestion
from .described import ACTIVATIONS as ACTIVATIONS
from .described import Described, activation, batch_norm, convolution, dense

if TYPE_CHECKING:
    from torch import nn

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
    name, adds its settings, each with a default and bounds, and has `stack`, or `network` where that cannot say it.
    """

    kind: str

    takes_vectors: ClassVar[bool] = False
    """Whether feature vectors (D,) will do as input; images always do."""

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if "network" in vars(cls) and "stack" not in vars(cls):
            cls.stack = BaseSpec.stack  # type: ignore[method-assign]  # the inherited one describes another network

    def network(self, input_shape: InputShape, classes: int) -> nn.Module:
        """The untrained network; called by :func:`glyphnet.nn.build`, which has checked the arguments.

        Its last layer is a Linear called ``head``. Initial weights come from torch's default generator, on
        torch's default device.

        Raises:
            SettingsError: the settings do not go with ``input_shape``.
        """
        stack = self.stack(input_shape, classes)
        if stack is None:
            raise NotImplementedError(f"{type(self).__name__} has neither `stack` nor `network`.")
        return stack.build()

    def stack(self, input_shape: InputShape, classes: int) -> Stack | None:
        """The network's layers up to and with the head, described without torch; None if only `network` knows them.

        Raises:
            SettingsError: see `network`.
        """
        return None

    def without_effect(self) -> tuple[str, ...]:
        """A sentence for every setting that was given and cannot have an effect with the others."""
        return ()


# Activations


def _known(name: str) -> str:
    if name not in ACTIVATIONS:
        raise ValueError(f'unknown activation "{name:.60}"{suggestion(name, ACTIVATIONS)}')
    return name


Activation = Annotated[str, AfterValidator(_known)]
"""The name of one of :data:`ACTIVATIONS`."""


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
        self._layers: dict[str, Described | nn.Module] = {}
        self.height, self.width, self.channels = input_shape if len(input_shape) == 3 else (1, 1, 0)
        self.features = input_shape[0] if len(input_shape) == 1 else 0
        self.multiplications = 0
        self._batch = default_batch_size(input_shape)

    def add(self, name: str, layer: Described | nn.Module) -> None:
        """Put on a layer that changes no shape."""
        self._layers[name] = layer

    def convolution(
        self, name: str, channels: int, kernel: int, *, stride: int = 1, padding: int, bias: bool = True
    ) -> None:
        """Put on a square convolution; raises SettingsError if the kernel is larger than the padded image."""
        self._shrink(name, kernel, stride, padding)
        self.count(kernel * kernel * self.channels, self.height * self.width * channels)
        self.add(name, convolution(self.channels, channels, kernel, stride=stride, padding=padding, bias=bias))
        self.channels = channels

    def pool(self, name: str, size: int = 2) -> None:
        """Add a max-pooling over squares, incomplete ones at the border dropped. Raises SettingsError if none fits."""
        self._shrink(name, size, size, 0)
        self.add(name, Described("MaxPool2d", {"kernel_size": size}))

    def mean_pixel(self) -> None:
        """Put on the mean of each channel over the image, as ``pool``."""
        self.add("pool", Described("AdaptiveAvgPool2d", {"output_size": 1}))
        self.height = self.width = 1

    def flatten(self) -> None:
        """Lay the image out as one vector, in the order (row, column, channel); a vector stays as it is."""
        if self.channels:
            self.features = self.height * self.width * self.channels
        self.add("flatten", Described("Flatten"))

    def dense(self, name: str, width: int, *, bias: bool = True) -> None:
        """Put on a fully connected layer."""
        self.count(self.features, width)
        self.add(name, dense(self.features, width, bias=bias))
        self.features = width

    def batch_norm(self, name: str) -> None:
        """Normalise the channels of the image, or the features."""
        self.add(name, batch_norm(self.features or self.channels, of_image=not self.features))

    def activation(self, name: str, which: str) -> None:
        """Put on an activation by its name in :data:`ACTIVATIONS`."""
        self.add(name, activation(which))

    def dropout(self, name: str, probability: float) -> None:
        """Add dropout, or nothing if the probability is 0."""
        if probability:
            self.add(name, Described("Dropout", {"p": probability}))

    def flat(self, dense: Iterable[int], which: str, dropout: float, classes: int) -> Stack:
        """The layers so far, then flatten, [dense, activation] for each width, [dropout] and head."""
        self.flatten()
        for index, width in enumerate(dense, start=1):
            self.dense(f"dense{index}", width)
            self.activation(f"dense{index}_activation", which)
        self.dropout("dropout", dropout)
        return self.closed(classes)

    def closed(self, classes: int) -> Stack:
        """The layers so far, closed by the head that gives the logits."""
        self.dense("head", classes)
        return self

    def network(self, classes: int) -> nn.Sequential:
        """The network of the layers so far and the head."""
        return self.closed(classes).build()

    def build(self) -> nn.Sequential:
        """The network of the layers so far."""
        from .modules import sequential

        network = sequential(self._layers)
        network.multiplications = self.multiplications  # type: ignore[assignment]
        return network

    def described(self) -> Described | None:
        """The network of the layers so far as one layer; None if one of them is torch's own."""
        layers = {name: layer for name, layer in self._layers.items() if isinstance(layer, Described)}
        return Described("Sequential", parts=layers) if len(layers) == len(self._layers) else None

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
