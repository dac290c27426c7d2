"""A network layer by layer, in any order: what a network that was built in a page is."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from ..errors import SettingsError
from ..settings import Settings
from .described import Described
from .kinds import Kernel, Stride
from .spec import Activation, BaseSpec, Dropout, Flag, InputShape, Stack, Width

Padding = Annotated[int, Field(strict=True, ge=0, le=7)]
PoolSize = Annotated[int, Field(strict=True, ge=2, le=16)]


class ConvolutionPart(Settings):
    """A square convolution."""

    type: Literal["convolution"]
    outputs: Width
    kernel: Kernel = 3
    stride: Stride = 1
    padding: Padding = 1
    bias: Flag = True


class DensePart(Settings):
    """A fully connected layer."""

    type: Literal["dense"]
    outputs: Width
    bias: Flag = True


class PoolPart(Settings):
    """Max-pooling over squares of ``size`` pixels."""

    type: Literal["maxPool"]
    size: PoolSize = 2


class ActivationPart(Settings):
    """An activation."""

    type: Literal["activation"]
    name: Activation = "relu"


class DropoutPart(Settings):
    """Dropout of a share of the inputs."""

    type: Literal["dropout"]
    rate: Dropout = 0.5


class PlainPart(Settings):
    """A layer without settings: the image as a vector, or batch normalisation."""

    type: Literal["flatten", "batchNorm"]


Part: TypeAlias = ConvolutionPart | DensePart | PoolPart | ActivationPart | DropoutPart | PlainPart


class ChainSpec(BaseSpec):
    """Layers one after the other, as they are listed; the head with an output for each class follows.

    Attributes:
        layers: at most 64, each by its ``type``: convolution (``outputs``, ``kernel`` 3, ``stride`` 1, ``padding`` 1,
            ``bias``), dense (``outputs``, ``bias``), maxPool (``size`` 2), activation (``name``), dropout (``rate``),
            batchNorm, flatten. Convolutions and pooling come before dense layers; the image becomes a vector before the
            first dense layer or the head.
    """

    kind: Literal["chain"] = "chain"
    layers: Annotated[tuple[Annotated[Part, Field(discriminator="type")], ...], Field(strict=False, max_length=64)] = ()

    def stack(self, input_shape: InputShape, classes: int) -> Stack:
        """layer1, layer2, …, head.

        Raises:
            SettingsError: a layer does not fit what comes before it.
        """
        stack = Stack(self.kind, input_shape, "Remove a pooling, or make the images larger (size).")
        for number, part in enumerate(self.layers, start=1):
            if stack.features and isinstance(part, (ConvolutionPart, PoolPart)):
                raise SettingsError(
                    f'network "chain": layer {number} ({part.type}) needs an image, and a vector comes before it. '
                    "Put convolutions and pooling before dense layers."
                )
            _put(stack, f"layer{number}", part)
        if not stack.features:
            stack.flatten()
        return stack.closed(classes)


def _put(stack: Stack, name: str, part: Part) -> None:
    match part:
        case ConvolutionPart():
            stack.convolution(name, part.outputs, part.kernel, stride=part.stride, padding=part.padding, bias=part.bias)
        case DensePart():
            if not stack.features:
                stack.flatten()
            stack.dense(name, part.outputs, bias=part.bias)
        case PoolPart():
            stack.pool(name, part.size)
        case ActivationPart():
            stack.activation(name, part.name)
        case DropoutPart():
            stack.add(name, Described("Dropout", {"p": part.rate}))
        case PlainPart(type="flatten"):
            stack.flatten()
        case PlainPart():
            stack.batch_norm(name)
