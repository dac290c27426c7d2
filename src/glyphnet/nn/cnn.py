"""The small strided convolutional network: the quick one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from .activations import Activation
from .spec import BaseSpec, Dropout, Flag, InputShape, Width, Widths
from .stack import Stack

Kernel = Annotated[int, Field(strict=True, ge=1, le=15)]
Stride = Annotated[int, Field(strict=True, ge=1, le=8)]


class CNNSpec(BaseSpec):
    """A strided stem, then 3×3 convolutions that each halve the image, then dense layers.

    Stride and pooling come early, so that the wide layers see few pixels: on 28×28 grey images the defaults
    take 1.2 million multiplications, half of what the classical network takes.

    Attributes:
        stem: channels of the first convolution.
        stem_kernel: its side, in pixels (odd); padded so that only the stride shrinks the image.
        stem_stride: its stride; 1 for tiny images (8×8).
        channels: channels of each following 3×3 convolution; each halves the image.
        downsample: how it is halved: by a "stride" of 2 in the convolution, or by a 2×2 max-"pool" after it, which
            sees four times as many pixels, takes about twice as long and errs a little less.
        dense: width of each fully connected layer before the head.
        dropout: share of the head's inputs that training drops.
        batch_norm: normalise after every convolution.
        activation: after every convolution and fully connected layer.
    """

    kind: Literal["cnn"] = "cnn"
    stem: Width = 16
    stem_kernel: Kernel = 5
    stem_stride: Stride = 2
    channels: Widths = (32,)
    downsample: Literal["stride", "pool"] = "stride"
    dense: Widths = (128,)
    dropout: Dropout = 0.0
    batch_norm: Flag = False
    activation: Activation = "relu"

    def network(self, input_shape: InputShape, classes: int) -> nn.Sequential:
        """Stem; for each of channels conv, [pool], [norm], activation; flatten, [dense], [dropout], head."""
        remedy = "Give channels fewer entries, set stem_stride to 1, or make the images larger (size)."
        stack = Stack(self.kind, input_shape, remedy)
        kernel, bias = self.stem_kernel, not self.batch_norm
        stack.convolution("stem", self.stem, kernel, stride=self.stem_stride, padding=kernel // 2, bias=bias)
        self._after(stack, "stem_norm", "stem_activation")
        for index, channels in enumerate(self.channels, start=1):
            stride = 2 if self.downsample == "stride" else 1
            stack.convolution(f"conv{index}", channels, 3, stride=stride, padding=1, bias=bias)
            if self.downsample == "pool":
                # Before norm and activation, which then see a quarter of the pixels. For the rising activations
                # (ReLU, tanh, …) the order makes no difference to the result.
                stack.pool(f"pool{index}")
            self._after(stack, f"norm{index}", f"activation{index}")
        stack.flatten()
        for index, width in enumerate(self.dense, start=1):
            stack.dense(f"dense{index}", width)
            stack.activation(f"dense{index}_activation", self.activation)
        stack.dropout("dropout", self.dropout)
        return stack.network(classes)

    def _after(self, stack: Stack, norm: str, activation: str) -> None:
        if self.batch_norm:
            stack.add(norm, nn.BatchNorm2d(stack.channels))
        stack.activation(activation, self.activation)
