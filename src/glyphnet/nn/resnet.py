"""The residual network: deep, batch-normalised, and the most accurate here."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from .activations import Activation, activation
from .spec import BaseSpec, Dropout, InputShape, Width
from .stack import Stack


class ResNetSpec(BaseSpec):
    """A residual network (He et al., 2015, https://arxiv.org/abs/1512.03385) for small images.

    Attributes:
        channels: channels of each stage; every stage after the first halves the image.
        blocks: residual blocks in each stage, of two 3×3 convolutions each.
        stem_stride: stride of the first convolution; 2 quarters the cost, for large images.
        dropout: share of the head's inputs that training drops.
        activation: after every normalisation.
    """

    kind: Literal["resnet"] = "resnet"
    # Eight stages halve 128 pixels down to one: more could only cost.
    channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=8)] = (32, 64, 128)
    blocks: Annotated[int, Field(strict=True, ge=1, le=16)] = 1
    stem_stride: Annotated[int, Field(strict=True, ge=1, le=8)] = 1
    dropout: Dropout = 0.0
    activation: Activation = "relu"

    def network(self, input_shape: InputShape, classes: int) -> nn.Sequential:
        """stem, stem_norm, stem_activation, blocks, pool (the mean pixel), flatten, [dropout], head."""
        stack = Stack(self.kind, input_shape)
        stack.convolution("stem", self.channels[0], 3, stride=self.stem_stride, padding=1, bias=False)
        stack.add("stem_norm", nn.BatchNorm2d(self.channels[0]))
        stack.activation("stem_activation", self.activation)
        for stage, channels in enumerate(self.channels, start=1):
            for repeat in range(1, self.blocks + 1):
                stride = 2 if stage > 1 and repeat == 1 else 1
                stack.height, stack.width = -(-stack.height // stride), -(-stack.width // stride)
                inputs = 9 * (stack.channels + channels) + stack.channels  # two 3×3 convolutions and the shortcut
                stack.count(inputs, stack.height * stack.width * channels)
                block = ResidualBlock(stack.channels, channels, stride, self.activation)
                stack.add(f"stage{stage}_block{repeat}", block)
                stack.channels = channels
        stack.add("pool", nn.AdaptiveAvgPool2d(1))
        stack.height = stack.width = 1
        stack.flatten()
        stack.dropout("dropout", self.dropout)
        network = stack.network(classes)
        for layer in network.modules():
            # On the meta device there is nothing to set, and PyTorch would load its compiler for it.
            if isinstance(layer, nn.Conv2d) and not layer.weight.is_meta:
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        return network


class ResidualBlock(nn.Module):
    """Two normalised 3×3 convolutions, and the input added to what they give.

    The second normalisation starts with weight 0, so that a new block passes its input on and a deep stack
    trains from the first step (Goyal et al., 2017, https://arxiv.org/abs/1706.02677, §5.1).

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        stride: 1, or 2 to halve the image (rounded up).
        activation_name: a name of ``ACTIVATIONS``.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, activation_name: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.activation1 = activation(activation_name)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.activation2 = activation(activation_name)
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float (N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        branch = self.activation1(self.norm1(self.conv1(x)))
        branch = self.norm2(self.conv2(branch))
        output: torch.Tensor = self.activation2(branch + self.shortcut(x))
        return output
