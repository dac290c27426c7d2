"""The classical convolutional network: convolutions and pooling, then dropout and the head."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from .activations import Activation
from .spec import BaseSpec, Dropout, Flag, InputShape, Width, Widths
from .stack import Stack


class ClassicCNNSpec(BaseSpec):
    """Stages of 3×3 convolutions, each closed by a 2×2 max-pooling (after LeCun et al., 1998).

    The defaults are the network of Keras' MNIST example: 32 and 64 channels, dropout 0.5.

    Attributes:
        channels: channels of each stage.
        convs_per_stage: convolutions before each pooling.
        dense: width of each fully connected layer before the head.
        dropout: share of the head's inputs that training drops.
        batch_norm: normalise after every convolution.
        padding: pad each convolution by one pixel, so that only pooling shrinks the image; the
            defaults need it below 10×10 pixels.
        activation: after every convolution and fully connected layer.
    """

    kind: Literal["cnn-classic"] = "cnn-classic"
    channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=64)] = (32, 64)
    convs_per_stage: Annotated[int, Field(strict=True, ge=1, le=8)] = 1
    dense: Widths = ()
    dropout: Dropout = 0.5
    batch_norm: Flag = False
    padding: Flag = False
    activation: Activation = "relu"

    def network(self, input_shape: InputShape, classes: int) -> nn.Sequential:
        """Stages of (conv, [norm], activation) × convs_per_stage, pool; flatten, [dense], [dropout], head."""
        remedy = "Set network.padding to true, give channels fewer entries, or make the images larger (size)."
        stack = Stack(self.kind, input_shape, remedy)
        for stage, channels in enumerate(self.channels, start=1):
            for repeat in range(1, self.convs_per_stage + 1):
                suffix = f"{stage}" if self.convs_per_stage == 1 else f"{stage}_{repeat}"
                stack.convolution(f"conv{suffix}", channels, 3, padding=int(self.padding), bias=not self.batch_norm)
                if self.batch_norm:
                    stack.add(f"norm{suffix}", nn.BatchNorm2d(channels))
                stack.activation(f"activation{suffix}", self.activation)
            stack.pool(f"pool{stage}")
        stack.flatten()
        for index, width in enumerate(self.dense, start=1):
            stack.dense(f"dense{index}", width)
            stack.activation(f"dense{index}_activation", self.activation)
        stack.dropout("dropout", self.dropout)
        return stack.network(classes)
