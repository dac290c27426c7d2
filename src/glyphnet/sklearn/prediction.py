"""Probabilities from a trained network, such that the answer to a row depends on no other row."""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..nn import Inputs, Preprocessing, logits_in_batches

Float64Array = npt.NDArray[np.float64]


def log_probabilities(network: nn.Module, preprocessing: Preprocessing, inputs: Inputs) -> Float64Array:
    """The logarithm of each class' probability: float64 (N, K).

    Features are computed with in float64; images, where that takes four times as long, in float32.

    Args:
        inputs: uint8 images (N, H, W, C) or float32 features (N, D), N at least 1.
    """
    computing = network if inputs.ndim == 4 else _InFloat64(network)
    batches = logits_in_batches(computing, preprocessing, inputs)
    answers: Float64Array = torch.cat([logits.double().log_softmax(1) for logits in batches]).numpy()
    return answers


class _InFloat64(nn.Module):
    """A network that computes in float64.

    In float32 a row's last digits change with the number of rows beside it: other sizes, other order of sums.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, float64 (n, K)."""
        logits: torch.Tensor = self.network(x.double())
        return logits
