"""From an image to a vector."""

from __future__ import annotations

from torch import Tensor, nn


class Flatten(nn.Module):
    """Lays images (N, C, H, W) out as vectors (N, H·W·C), in the order (row, column, channel); vectors stay.

    ``nn.Flatten`` has the order (channel, row, column). Images lie in memory channels last: in that order flattening
    would copy them, forward and backward, and leave the pooling before it a gradient in the wrong order, which was
    measured to cost as much as the rest of a small network.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The vectors; of channels-last images a view."""
        return x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x
