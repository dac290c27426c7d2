"""Running a trained network over any number of inputs: the only prediction loop in the project."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from ._moments import Inputs
from .preprocessing import Preprocessing


def as_tensor(inputs: Inputs) -> Tensor:
    """An array or memory map as a tensor over the same memory; a tensor as it is."""
    if isinstance(inputs, Tensor):
        return inputs
    with warnings.catch_warnings():
        # A read-only memory map cannot be written through a tensor either: nothing here writes to inputs.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.asarray(inputs))


def logits_in_batches(
    network: nn.Module,
    preprocessing: Preprocessing,
    inputs: Inputs,
    *,
    batch_size: int = 1000,
    device: torch.device | None = None,
) -> Iterator[Tensor]:
    """The network's answers, batch by batch, in evaluation mode and without gradients.

    Args:
        network: on any device; its training mode is restored afterwards.
        inputs: uint8 (N, H, W, C) or float (N, D), on any device; a memory map is read batch by batch.
        batch_size: inputs computed at once.
        device: where the network is; asked of its weights unless given, for a part of a network may have none.

    Yields:
        float32 (n, K) on the network's device, n at most ``batch_size``; what the network gives if it is a part.
    """
    if device is None:
        device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            for part in torch.split(as_tensor(inputs), batch_size):
                yield network(preprocessing(part.to(device)))
    finally:
        network.train(was_training)
