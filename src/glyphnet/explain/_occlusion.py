"""Occlusion: what becomes of the answer when a part of the image is covered."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor, nn

from ..errors import SettingsError
from ._method import Method
from ._nothing import Baseline, nothing

_Side = Annotated[int, Field(strict=True, ge=1, le=4096)]


class Occlusion(Method):
    """Zeiler and Fergus (2013), https://arxiv.org/abs/1311.2901, section 4.2, as Captum computes it.

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

    def maps(self, network: nn.Module, x: Tensor, targets: Tensor, at_once: int) -> Tensor:
        """See `Method.maps`. All colours are covered together."""
        from captum.attr import Occlusion as Cover

        channels, height, width = x.shape[1:]
        window = self.window or max(1, round(min(height, width) / 5))
        stride = self.stride or max(1, window // 3)
        if window > min(height, width):
            raise SettingsError(f"window (={window}) must be at most {min(height, width)}, the image's shorter side.")
        if stride > window:
            raise SettingsError(f"stride (={stride}) must be at most window (={window}): no pixel may be left out.")
        losses: Tensor = Cover(network).attribute(
            x,
            sliding_window_shapes=(channels, window, window),
            strides=(channels, stride, stride),
            baselines=nothing(x, self.baseline),
            target=targets,
            perturbations_per_eval=max(1, at_once // len(x)),
        )
        return losses[:, 0]  # the same for every colour
