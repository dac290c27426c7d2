"""Saliency methods: integrated gradients, Grad-CAM, occlusion, and the table of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..errors import SettingsError
from ..nn.modules import ACTIVATION_TYPES, summands
from ..settings import Settings


class Method(Settings, ABC):
    """A saliency method: how much each pixel contributes to the logit of a class. Its fields are its settings.

    Every method is deterministic.
    """

    doc: ClassVar[str]
    """One line for help."""

    @classmethod
    def unsuited(cls, network: nn.Module) -> str:
        """What the method needs and the network lacks ("needs convolutions, …"); empty if it works."""
        return ""

    @abstractmethod
    def maps(self, network: nn.Module, x: Tensor, targets: Tensor, at_once: int) -> Tensor:
        """Saliency (n, H, W) of some images: positive where a pixel supports the class, negative where it opposes it.

        Args:
            network: in evaluation mode; a shallow copy, so hooks on it have no other effect.
            x: preprocessed images, float32 (n, C, H, W), n at most ``at_once``, on the network's device.
            targets: int64 (n,), label of the class to explain.
            at_once: upper bound of the network's batch.
        """


def logits_of(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
    """Logit of each image's target, (n,), for images (n, C, H, W) and labels int64 (n,)."""
    logits: Tensor = network(x).gather(1, targets[:, None])[:, 0]
    return logits


Baseline = Literal["background", "mean"]


def baseline_of(x: Tensor, which: Baseline) -> Tensor:
    """The baseline of each preprocessed image, float32 (n, C, H, W): one colour that pixels are compared with.

    - ``background``: the median colour of the image's border. For ink on black it is black, for ink on paper the
      paper colour: then only the strokes can contribute.
    - ``mean``: zero in the network's input space; after ``standardize`` the mean colour of the training images.
      Then missing strokes contribute too, such as the one that would turn a 4 into a 9.
    """
    return _BASELINES[which](x)


def _background(x: Tensor) -> Tensor:
    sides = (x[:, :, 0], x[:, :, -1], x[:, :, :, 0], x[:, :, :, -1])
    colour = torch.cat(sides, dim=2).median(dim=2).values
    return colour[:, :, None, None].expand_as(x)


_BASELINES: dict[Baseline, Callable[[Tensor], Tensor]] = {"background": _background, "mean": torch.zeros_like}


class IntegratedGradients(Method):
    """Sundararajan, Taly and Yan (2017), https://arxiv.org/abs/1703.01365, equation 1.

    The gradient of the logit, averaged over the straight path from the baseline to the image, times the pixel's
    difference. The sum over all pixels is the difference of the two logits, for ReLU networks within about 2 % at
    16 steps and 5 % at 8, because a Gauss-Legendre sum approximates the integral.

    Attributes:
        steps: points on the path; the time is proportional.
        baseline: see `baseline_of`.
    """

    doc: ClassVar[str] = "each pixel's share in the class's logit; for every network"
    steps: Annotated[int, Field(strict=True, ge=1, le=1000)] = 16
    baseline: Baseline = "background"

    def maps(self, network: nn.Module, x: Tensor, targets: Tensor, at_once: int) -> Tensor:
        """See `Method.maps`. Colours are summed."""
        points, weights = np.polynomial.legendre.leggauss(self.steps)  # on [-1, 1]
        path = torch.from_numpy((points + 1) / 2).to(x)
        weight = torch.from_numpy(weights / 2).to(x)
        images = max(1, at_once // self.steps)
        parts = [
            _integral(network, part, baseline_of(part, self.baseline), target, path, weight, at_once)
            for part, target in zip(x.split(images), targets.split(images), strict=True)
        ]
        return torch.cat(parts).sum(dim=1)


def _integral(
    network: nn.Module, x: Tensor, baseline: Tensor, targets: Tensor, path: Tensor, weight: Tensor, at_once: int
) -> Tensor:
    """Shares of the pixels, shaped like ``x`` (n, C, H, W); ``path`` and ``weight`` (S,) are points and weights.

    The images of all steps go through the network together, ``at_once`` of them in a batch.
    """
    shape = (len(path), *(1 for _ in x.shape))
    between = (baseline + path.view(shape) * (x - baseline)).flatten(0, 1)
    wanted = targets.repeat(len(path))
    slopes = torch.cat(
        [
            torch.autograd.grad(logits_of(network, part.requires_grad_(), target).sum(), part)[0]
            for part, target in zip(between.split(at_once), wanted.split(at_once), strict=True)
        ]
    )
    mean = (slopes.view(len(path), *x.shape) * weight.view(shape)).sum(dim=0)
    return mean * (x - baseline)


_ACTIVATIONS = tuple(ACTIVATION_TYPES.values())


class GradCam(Method):
    """Selvaraju et al. (2016), https://arxiv.org/abs/1610.02391, equations 1 and 2.

    The channels of the last convolution, after its activation, each weighted by the mean gradient of the logit,
    summed, and enlarged to the image's size. The paper's last step, which drops negative values, is left out: a map
    here also shows what opposes a class. The unit is arbitrary: only positions can be compared. The map of an
    ensemble is the sum of its members' maps, as its logit is the sum of theirs.
    """

    doc: ClassVar[str] = "which parts of the last feature maps support the class; convolutional networks only"

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
    """Sum of the last feature maps, each weighted by its mean gradient: (n, 1, h, w)."""
    kept: list[Tensor] = []
    handle = last_feature_maps(network).register_forward_hook(lambda _, __, output: kept.append(output))
    try:
        logits = logits_of(network, x, targets)
    finally:
        handle.remove()
    (slopes,) = torch.autograd.grad(logits.sum(), kept[0])
    return (slopes.mean(dim=(2, 3), keepdim=True) * kept[0].detach()).sum(dim=1, keepdim=True)


def last_feature_maps(network: nn.Module) -> nn.Module:
    """The layer whose output Grad-CAM weights: the last convolution's activation, or the convolution if it has none.

    Pooling after it would only make the map coarser. A residual block counts as one layer.
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


_Side = Annotated[int, Field(strict=True, ge=1, le=4096)]


class Occlusion(Method):
    """Zeiler and Fergus (2013), https://arxiv.org/abs/1311.2901, section 4.2.

    A square in the baseline's colour covers a part of the image; the covered pixels get the loss of the logit. A pixel
    covered by several squares gets their mean.

    Attributes:
        window: side of the square in pixels; a fifth of the image's shorter side unless given.
        stride: pixels from one square to the next; a third of the window unless given.
        baseline: see `baseline_of`.
    """

    doc: ClassVar[str] = "loss of the logit when a square is covered; for every network, slow"
    window: _Side | None = None
    stride: _Side | None = None
    baseline: Baseline = "background"

    @torch.no_grad()
    def maps(self, network: nn.Module, x: Tensor, targets: Tensor, at_once: int) -> Tensor:
        """See `Method.maps`. All colours are covered together."""
        height, width = x.shape[2:]
        window = self.window or max(1, round(min(height, width) / 5))
        stride = self.stride or max(1, window // 3)
        if window > min(height, width):
            raise SettingsError(f"window (={window}) must be at most {min(height, width)}, the image's shorter side.")
        if stride > window:
            raise SettingsError(f"stride (={stride}) must be at most window (={window}), or pixels would be skipped.")
        tops, lefts = _starts(height, window, stride), _starts(width, window, stride)
        empty, whole = baseline_of(x, self.baseline), logits_of(network, x, targets)
        losses, times = torch.zeros_like(x[:, 0]), torch.zeros_like(x[0, 0])
        squares = [np.s_[top : top + window, left : left + window] for top in tops for left in lefts]
        together = max(1, at_once // len(x))
        for some in (squares[first : first + together] for first in range(0, len(squares), together)):
            covered = x.repeat(len(some), 1, 1, 1)
            for own, square in zip(covered.split(len(x)), some, strict=True):
                own[:, :, *square] = empty[:, :, *square]
            answers = logits_of(network, covered, targets.repeat(len(some))).split(len(x))
            for logits, square in zip(answers, some, strict=True):
                losses[:, *square] += (whole - logits)[:, None, None]
                times[square] += 1
        return losses / times


def _starts(side: int, window: int, stride: int) -> range:
    """First pixel of each square along a side; the last square may reach over the edge."""
    return range(0, stride * math.ceil((side - window) / stride) + 1, stride)


METHODS: dict[str, type[Method]] = {
    "integrated-gradients": IntegratedGradients,
    "grad-cam": GradCam,
    "occlusion": Occlusion,
}
"""Each method by its name. The first is the default."""


def suited(network: nn.Module) -> list[str]:
    """Names of the methods that work on a network."""
    return [name for name, method in METHODS.items() if not method.unsuited(network)]
