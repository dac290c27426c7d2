"""Exponential moving average of the weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class WeightAverage:
    """A copy of a network whose weights trail behind: w̄ ← d·w̄ + (1−d)·w after each step (Polyak and Juditsky, 1992).

    Early on, when there is little to average, d is smaller: min(decay, (1 + t) / (10 + t)) at step t.

    Attributes:
        network: the averaged network, in evaluation mode; complete after `update_buffers`.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval()
        self.network.requires_grad_(False)
        self._decay = decay
        self._averages: list[Tensor] = list(self.network.parameters())

    def update(self, network: nn.Module, step: int) -> None:
        """Move towards ``network``'s weights after its step number ``step`` (from 0)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, list(network.parameters()), 1.0 - decay)

    def update_buffers(self, network: nn.Module) -> None:
        """Take over ``network``'s buffers (the statistics of its batch norms), which are averages already."""
        for average, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            average.copy_(buffer)
