"""What a network is given: arrays, memory maps or tensors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Inputs = npt.NDArray[Any] | Tensor


def as_tensor(inputs: Inputs) -> Tensor:
    """An array or memory map as a tensor over the same memory; a tensor as it is."""
    if isinstance(inputs, Tensor):
        return inputs
    with warnings.catch_warnings():
        # A read-only memory map cannot be written through a tensor either: nothing here writes to inputs.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.asarray(inputs))
