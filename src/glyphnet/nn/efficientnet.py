"""EfficientNet-Lite0: a network for photographs whose weights others have trained on ImageNet.

Tan and Le, 2019 (https://arxiv.org/abs/1905.11946); the Lite variant (Google, 2020) has no squeeze-and-excitation, and
ReLU6 for swish. 3.4 million weights before the head, 0.4 billion multiplications for 225×225 pixels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from .described import Described
from .spec import BaseSpec, Dropout, InputShape, Stack

if TYPE_CHECKING:
    from torch import Tensor, nn

# (repeats, kernel, stride of the first, expansion, channels) of each stage: table 1 of the paper.
_STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
_STEM, _TOP = 32, 1280
_SHRINKS = 32  # by so much all strides together

SIDE = 129
"""A side that does for most pictures; that of the weights' training, 225, takes three times as long."""

SCALE = (127 / 255, 128 / 255)
"""Mean and standard deviation of the inputs for which the published weights were trained."""


class EfficientNetLiteSpec(BaseSpec):
    """EfficientNet-Lite0, best with pretrained weights (``backbone``).

    Attributes:
        side: pixels to which the shorter side of smaller images is enlarged within the network: of small pictures
            published weights see the more the larger they are, to about 129. Sides become the next
            multiple of 32, plus 1: then padding is the same on both sides of an image, and yet that of TensorFlow, with
            which the published weights were trained.
        dropout: share of the head's inputs that training drops.
    """

    kind: Literal["efficientnet-lite0"] = "efficientnet-lite0"
    side: Annotated[int, Field(strict=True, ge=1, le=449)] = 33
    dropout: Dropout = 0.2

    def network(self, input_shape: InputShape, classes: int) -> nn.Sequential:
        """enlarge, stem, stem_norm, stem_activation, block1 to block16, top, top_norm, top_activation, pool, flatten,
        [dropout], head."""
        from .modules import Enlarge, InvertedResidual, initialise_convolutions, published_norm

        stack = Stack(self.kind, input_shape)
        larger = max(1.0, self.side / min(stack.height, stack.width))
        given = stack.height, stack.width
        stack.height, stack.width = (_fitting(side * larger) for side in given)
        stack.add("enlarge", Enlarge(given, (stack.height, stack.width)))
        stack.convolution("stem", _STEM, 3, stride=2, padding=1, bias=False)
        stack.add("stem_norm", published_norm(stack.channels))
        stack.add("stem_activation", Described("ReLU6"))
        number = 0
        for repeats, kernel, first_stride, expansion, channels in _STAGES:
            for repeat in range(repeats):
                number, stride = number + 1, first_stride if repeat == 0 else 1
                inner, before = stack.channels * expansion, stack.height * stack.width
                stack.height, stack.width = -(-stack.height // stride), -(-stack.width // stride)
                stack.count(stack.channels, before * inner)
                stack.count(kernel * kernel + channels, stack.height * stack.width * inner)
                stack.add(f"block{number}", InvertedResidual(stack.channels, channels, kernel, stride, expansion))
                stack.channels = channels
        stack.convolution("top", _TOP, 1, padding=0, bias=False)
        stack.add("top_norm", published_norm(stack.channels))
        stack.add("top_activation", Described("ReLU6"))
        stack.add("pool", Described("AdaptiveAvgPool2d", {"output_size": 1}))
        stack.height = stack.width = 1
        network = stack.flat((), "relu", self.dropout, classes).build()
        initialise_convolutions(network)
        return network


def _fitting(side: float) -> int:
    """The next multiple of 32, plus 1."""
    return -(-int(side + 0.5 - 1) // _SHRINKS) * _SHRINKS + 1


# Published weights, by the names that others give them

_PARTS = {
    # efficientnet_lite_pytorch: blocks are numbered through, and batch norms by their place in a block
    "_conv_stem": "stem", "_bn0": "stem_norm", "_conv_head": "top", "_bn1": "top_norm",
    # timm
    "conv_stem": "stem", "bn1": "stem_norm", "conv_head": "top", "bn2": "top_norm",
}  # fmt: skip
_OF_A_BLOCK = {
    "_expand_conv": "expand.0", "_bn0": "expand.1", "_depthwise_conv": "depthwise.0", "_bn1": "depthwise.1",
    "_project_conv": "project.0", "_bn2": "project.1",
}  # fmt: skip
_OF_TIMM = {
    "conv_pw": "expand.0", "bn1": "expand.1", "conv_dw": "depthwise.0", "bn2": "depthwise.1", "conv_pwl": "project.0",
    "bn3": "project.1",
}  # fmt: skip
_OF_TIMM_WITHOUT_EXPANSION = {
    "conv_dw": "depthwise.0", "bn1": "depthwise.1", "conv_pw": "project.0", "bn2": "project.1",
}  # fmt: skip
_FIRST_BLOCKS = [1 + sum(stage[0] for stage in _STAGES[:number]) for number in range(len(_STAGES))]


def published_weights(weights: Mapping[str, Tensor], channels: int) -> dict[str, Tensor]:
    """Weights of others under this network's names, without those of the head.

    Args:
        weights: as the package efficientnet_lite_pytorch or as timm names them.
        channels: of the images; grey ones count for red, green and blue.

    Raises:
        ValueError: a name that is none of theirs.
    """
    named = {}
    for name, tensor in weights.items():
        own = _own_name(name)
        if own is None:
            raise ValueError(f"{name!r:.80} is no weight of EfficientNet-Lite0")
        if own:
            named[own] = tensor
    stem = named.get("stem.weight")
    if channels == 1 and stem is not None and stem.shape[1:2] == (3,):
        named["stem.weight"] = stem.sum(dim=1, keepdim=True)
    return named


def _own_name(name: str) -> str | None:
    """The name here of another's weight; "" of the head, which goes; None: not theirs."""
    part, _, kind = name.rpartition(".")
    if part in ("_fc", "classifier"):
        return ""
    if part in _PARTS:
        return f"{_PARTS[part]}.{kind}"
    if found := re.fullmatch(r"_blocks\.(\d{1,2})\.(\w+)", part):
        number, inner = int(found[1]) + 1, _OF_A_BLOCK.get(found[2])
    elif found := re.fullmatch(r"blocks\.([0-6])\.(\d)\.(\w+)", part):
        number = _FIRST_BLOCKS[int(found[1])] + int(found[2])
        inner = (_OF_TIMM if number > 1 else _OF_TIMM_WITHOUT_EXPANSION).get(found[3])
    else:
        return None
    return None if inner is None else f"block{number}.{inner}.{kind}"
