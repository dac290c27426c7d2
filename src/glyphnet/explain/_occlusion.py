"""Occlusion: what becomes of the answer when a part of the image is covered."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ..errors import SettingsError
from ._method import Method, logits_of
from ._nothing import Baseline, nothing

_Side = Annotated[int, Field(strict=True, ge=1, le=4096)]


class Occlusion(Method):
    """Zeiler and Fergus (2013), https://arxiv.org/abs/1311.2901, section 4.2.

    A square of nothing is moved over the image; what the logit loses is put down to the pixels covered. A pixel
    that several squares cover gets their mean.

    Attributes:
        window: side of the square in pixels; a fifth of the image's shorter side unless given.
        stride: pixels from one square to the next; a third of the window unless given.
        baseline: what nothing is: see `nothing`.
    """

    doc: ClassVar[str] = "what the logit loses when a square is covered; for every network, slow"
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
            raise SettingsError(f"stride (={stride}) must be at most window (={window}): no pixel may be left out.")
        tops, lefts = _starts(height, window, stride), _starts(width, window, stride)
        empty, whole = nothing(x, self.baseline), logits_of(network, x, targets)
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
    """Where the squares begin along a side; the last one may reach over the edge."""
    return range(0, stride * math.ceil((side - window) / stride) + 1, stride)
