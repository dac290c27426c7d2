"""The features that a backbone gives to the last layer, kept on disk: the next training over it does not compute them.

An entry's name is the SHA-256 of all that they depend on: the weights, how inputs are scaled, the images, how copies
of them are changed, and how the arithmetic was done. Like every entry of the cache it is sealed; a damaged one is
computed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..data.cache import cache_key, keep_arrays, kept_arrays
from ..nn import Preprocessing

KIND = "features"
MOST_BYTES = 1 << 29
"""Of the features of a set: more are computed each time."""


@dataclass
class Features:
    """Computes features, or reads those that are kept.

    Attributes:
        body: the network without its last layer, in evaluation mode.
        preprocessing: of its inputs.
        how: plain values: how the arithmetic is done.
        keep: whether to look into the cache, and keep what is computed.
        computed, read: how many images' features were computed, and read from the cache.
    """

    body: nn.Module
    preprocessing: Preprocessing
    how: tuple[object, ...]
    keep: bool
    computed: int = 0
    read: int = 0

    def __call__(self, inputs: Tensor, compute: Callable[[], Tensor], *more: object) -> Tensor:
        """The features of inputs, (N, F) float32, on the device on which they are computed.

        Args:
            inputs: uint8 (N, H, W, C).
            compute: gives them.
            more: what they depend on as well, in plain values.
        """
        if not self.keep:
            self.computed += len(inputs)
            return compute()
        key = cache_key(self._weights, _digest(inputs), self.preprocessing.model_dump_json(), self.how, more)
        kept = kept_arrays(KIND, key)
        if kept is not None:
            self.read += len(inputs)
            return torch.from_numpy(kept[KIND]).to(inputs.device)
        found = compute()
        self.computed += len(inputs)
        if found.nbytes <= MOST_BYTES:
            keep_arrays(KIND, key, {KIND: found.cpu().numpy().astype(np.float32)}, most_bytes=4 * MOST_BYTES)
        return found

    @property
    def _weights(self) -> str:
        digest = hashlib.sha256()
        for name, weight in self.body.state_dict().items():
            digest.update(f"{name} {tuple(weight.shape)}".encode())
            digest.update(_bytes(weight))
        return digest.hexdigest()


def _digest(inputs: Tensor) -> str:
    digest = hashlib.sha256(repr(tuple(inputs.shape)).encode())
    for part in inputs.split(1000):  # a memory map is never read whole
        digest.update(_bytes(part))
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
