"""What "nothing" is: the image that pixels are held against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Baseline = Literal["background", "mean"]


def nothing(x: Tensor, which: Baseline) -> Tensor:
    """Images of nothing, one for each image, all of one colour.

    - ``background``: the median colour of the image's own border. Of ink on black it is black, of ink on paper the
      paper: then only the ink can speak, and the empty ground says nothing.
    - ``mean``: zero in the network's input space; after ``standardize`` the mean colour of the training images.
      Then what is missing speaks as well, as the stroke that would make a 9 of a 4.

    Args:
        x: preprocessed images, float32 (n, C, H, W).
        which: a name of ``Baseline``.

    Returns:
        float32 (n, C, H, W), preprocessed as ``x`` is.
    """
    return _NOTHING[which](x)


def _background(x: Tensor) -> Tensor:
    sides = (x[:, :, 0], x[:, :, -1], x[:, :, :, 0], x[:, :, :, -1])
    colour = torch.cat(sides, dim=2).median(dim=2).values
    return colour[:, :, None, None].expand_as(x)


_NOTHING: dict[Baseline, Callable[[Tensor], Tensor]] = {"background": _background, "mean": torch.zeros_like}
