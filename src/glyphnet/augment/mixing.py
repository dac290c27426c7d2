"""Augmentations that mix images with one another, and their targets with them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Dirichlet


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
