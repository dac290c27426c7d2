"""Grad-CAM: which places of the last feature maps speak for a class."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..nn.ensemble import summands
from ..nn.spec import ACTIVATIONS
from ._method import Method, logits_of

_ACTIVATIONS = tuple({type(make()) for make in ACTIVATIONS.values()})


class GradCam(Method):
    """Selvaraju et al. (2016), https://arxiv.org/abs/1610.02391, equations 1 and 2.

    The channels of the last convolution, after its activation, each weighted by the mean gradient of the logit,
    summed, and enlarged to the image's size. The paper's last step, which drops what is negative, is left out:
    a map here tells what speaks against a class as well. Its unit is no pixel's share: only places compare. The map
    of an ensemble is the sum of its members' maps, as its logit is the sum of theirs.
    """

    doc: ClassVar[str] = "which places of the last feature maps speak for the class; convolutional networks only"

    @classmethod
    def unsuited(cls, network: nn.Module) -> str:
        """A network without convolutions has no feature maps."""
        return "" if _holds_convolution(network) else "needs convolutional layers, and this network has none"

    def maps(self, network: nn.Module, x: Tensor, targets: Tensor, at_once: int) -> Tensor:
        """See `Method.maps`."""
        maps = [_weighed(part, x, targets) for part in summands(network)]
        size = (x.shape[2], x.shape[3])
        return torch.stack([functional.interpolate(each, size, mode="bilinear") for each in maps]).sum(dim=0)[:, 0]


def _weighed(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
    """The last feature maps, each weighted by its mean gradient, and summed: (n, 1, h, w)."""
    kept: list[Tensor] = []
    handle = last_feature_maps(network).register_forward_hook(lambda _, __, output: kept.append(output))
    try:
        logits = logits_of(network, x, targets)
    finally:
        handle.remove()
    (slopes,) = torch.autograd.grad(logits.sum(), kept[0])
    return (slopes.mean(dim=(2, 3), keepdim=True) * kept[0].detach()).sum(dim=1, keepdim=True)


def last_feature_maps(network: nn.Module) -> nn.Module:
    """The layer whose output Grad-CAM weighs: the last convolution's activation, or itself where it has none.

    A pooling behind it only makes the map coarser. A residual block counts as one layer, and ends in its activation.
    """
    layers = list(network.children())
    last = max(place for place, layer in enumerate(layers) if _holds_convolution(layer))
    for layer in layers[last + 1 :]:
        if isinstance(layer, _ACTIVATIONS):
            return layer
        if not isinstance(layer, (nn.BatchNorm2d, nn.MaxPool2d)):
            break
    return layers[last]


def _holds_convolution(module: nn.Module) -> bool:
    return any(isinstance(part, nn.Conv2d) for part in module.modules())
