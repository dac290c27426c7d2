"""Augmentations of pixel values, whole-pixel moves, and mixup.

Each takes float (N, C, H, W) in [0, 1] and a strength and keeps shape, range and memory format.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Dirichlet

_LONGEST = 3.0
"""An erased rectangle is at most this many times as long as wide (before it is cut to the image)."""


def shift_batch(x: Tensor, most: float) -> Tensor:
    """Move all images of the batch by the same whole pixels, repeating border pixels. The cheapest shift."""
    n, channels, height, width = x.shape
    steps = torch.randint(-int(most), int(most) + 1, (2,), device=x.device)
    rows = (torch.arange(height, device=x.device) + steps[0]).clamp_(0, height - 1)
    columns = (torch.arange(width, device=x.device) + steps[1]).clamp_(0, width - 1)
    # One look-up for both directions, with an index on the device: slicing would need the steps on the host.
    index = (rows[:, None] * width + columns).flatten()
    pixels = x.permute(0, 2, 3, 1).reshape(n, height * width, channels)
    return pixels.index_select(1, index).view(n, height, width, channels).permute(0, 3, 1, 2)


def flip(x: Tensor, probability: float) -> Tensor:
    """Mirror left and right, each image with this probability."""
    return torch.where(_chance(x, probability), x.flip(3), x)


def flip_vertical(x: Tensor, probability: float) -> Tensor:
    """Mirror top and bottom, each image with this probability."""
    return torch.where(_chance(x, probability), x.flip(2), x)


def contrast(x: Tensor, most: float) -> Tensor:
    """Stretch each image's distances from its mean by a factor from 1 - most to 1 + most, cut to [0, 1]."""
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, x, 1 + _uniform(x, most)).clamp_(0, 1)


def brightness(x: Tensor, most: float) -> Tensor:
    """Add one number from -most to most to all pixels of an image, cut to [0, 1]."""
    return (x + _uniform(x, most)).clamp_(0, 1)


def erase(x: Tensor, most: float) -> Tensor:
    """Paint a random rectangle of up to this share of the image with the image's mean colour.

    Zhong et al., 2017, "Random Erasing Data Augmentation", https://arxiv.org/abs/1708.04896.
    """
    height, width = x.shape[2:]
    share = torch.rand(_each(x), device=x.device) * most
    ratio = torch.exp(_uniform(x, math.log(_LONGEST)))
    rows = _stretch((share * ratio).sqrt(), height)
    columns = _stretch((share / ratio).sqrt(), width)
    painted = rows.view(-1, 1, height, 1) & columns.view(-1, 1, 1, width)
    # By lerp with weights 0 and 1, which are exact: where() would lose the memory format.
    return x.lerp(x.mean(dim=(2, 3), keepdim=True), painted.to(x.dtype))


def _stretch(share: Tensor, size: int) -> Tensor:
    """A stretch of this share of a side, rounded down, at a random place within it: bool (N, size)."""
    length = (share.flatten() * size).floor().clamp_(max=size)
    start = (torch.rand_like(length) * (size - length + 1)).floor()
    places = torch.arange(size, device=share.device)
    return (places >= start[:, None]) & (places < (start + length)[:, None])


def _each(x: Tensor) -> tuple[int, int, int, int]:
    """The shape of one number an image."""
    return (len(x), 1, 1, 1)


def _uniform(x: Tensor, most: float) -> Tensor:
    """A random number an image, from -most to most: float (N, 1, 1, 1)."""
    return torch.rand(_each(x), device=x.device, dtype=x.dtype) * (2 * most) - most


def _chance(x: Tensor, probability: float) -> Tensor:
    """True with this probability for each image: bool (N, 1, 1, 1)."""
    return torch.rand(_each(x), device=x.device) < probability


def mixup(x: Tensor, targets: Tensor, concentration: float) -> tuple[Tensor, Tensor]:
    """Blend each image with its neighbour in the batch, and their targets alike.

    Zhang et al., 2017, "mixup: Beyond Empirical Risk Minimization", https://arxiv.org/abs/1710.09412, with
    a weight for each pair. A batch comes in random order, so the neighbour is a partner as random as any.

    Args:
        x: float (N, C, H, W).
        targets: float (N, K), each row adding up to 1.
        concentration: both parameters of the Beta distribution of the weight (the paper's alpha); small ones
            give weights near 0 and 1.
    """
    both = torch.full((len(x), 2), concentration, device=x.device)
    weight = Dirichlet(both, validate_args=False).sample()[:, :1].to(x.dtype)  # of two parts: Beta; no host sync
    images = torch.lerp(x.roll(1, 0), x, weight[:, :, None, None])
    return images, torch.lerp(targets.roll(1, 0), targets, weight)
