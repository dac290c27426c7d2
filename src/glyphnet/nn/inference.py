"""Running a trained network over any number of inputs: the only prediction loop in the project."""

from __future__ import annotations

import ctypes
import operator
import platform
import sys
from collections.abc import Iterator
from functools import cache
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from .modules import SideBySide, pooled_first
from .preprocessing import Inputs, Preprocessing, as_tensor

LARGEST_OUTPUT, MOST_AT_ONCE = 5 << 20, 1000
"""Bytes of a layer's largest output, and inputs, computed at once. Processors are quickest so, by up to a third: less
is called too often, and more has left the cache when the next layer wants it."""

_quick: WeakKeyDictionary[nn.Module, nn.Module | None] = WeakKeyDictionary()
_output_bytes: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


def logits_in_batches(
    network: nn.Module, preprocessing: Preprocessing, inputs: Inputs, *, batch_size: int | None = None,
    device: torch.device | None = None,
) -> Iterator[Tensor]:  # fmt: skip
    """The network's answers, batch by batch, in evaluation mode and without gradients.

    Args:
        network: on any device; its training mode is restored afterwards.
        inputs: uint8 (N, H, W, C) or float (N, D), on any device; a memory map is read batch by batch.
        batch_size: inputs computed at once; None chooses.
        device: where the network is; needed for a part of a network without weights.

    Yields:
        float32 (n, K) on the network's device; what the network gives if it is a part.
    """
    if device is None:
        device = next(network.parameters()).device
    keep_freed_memory()
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            rows, computing = as_tensor(inputs), _computing(network, device)
            for part in torch.split(rows, batch_size or _at_once(computing, preprocessing, rows, device)):
                yield computing(preprocessing(part.to(device)))
    finally:
        network.train(was_training)


def _computing(network: nn.Module, device: torch.device) -> nn.Module:
    """The fastest equivalent of the network; the network itself if hooks watch its layers."""
    if device.type != "cpu":
        return network
    if network not in _quick:
        found = optimize_for_inference(network)
        _quick[network] = None if found is network else found  # itself it would keep alive
    computing = _quick[network]
    if computing is None or any(layer._forward_hooks or layer._forward_pre_hooks for layer in network.modules()):
        return network
    return computing


def _at_once(network: nn.Module, preprocessing: Preprocessing, rows: Tensor, device: torch.device) -> int:
    """How many of ``rows`` to compute at once, for the least time."""
    if device.type != "cpu" or len(rows) <= 1:
        return MOST_AT_ONCE
    if network not in _output_bytes:
        _output_bytes[network] = _largest_output(network, preprocessing(rows[:1].to(device)))
    return max(1, min(MOST_AT_ONCE, LARGEST_OUTPUT // _output_bytes[network]))


def _largest_output(network: nn.Module, x: Tensor) -> int:
    """Bytes of the largest output of a layer, or of the input ``x``: the network is tried on it."""
    sizes = [x.nbytes]

    def note(layer: nn.Module, given: object, output: object) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.nbytes)

    hooks = [layer.register_forward_hook(note) for layer in network.modules()]
    try:
        network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


# Faster layers for prediction on a processor, with the same answers


def optimize_for_inference(network: nn.Module) -> nn.Module:
    """The network's own layers, reordered to be faster; the network itself if it has no pooling."""
    if not isinstance(network, nn.Sequential | SideBySide):
        return network
    layers = [_Pool() if _is_pooling(layer) else optimize_for_inference(layer) for layer in pooled_first(network)]
    if all(map(operator.is_, layers, network)):
        return network
    return SideBySide(layers) if isinstance(network, SideBySide) else nn.Sequential(*layers)


def _is_pooling(layer: nn.Module) -> bool:
    return isinstance(layer, nn.MaxPool2d) and layer.kernel_size == layer.stride == 2 and not layer.padding


class _Pool(nn.Module):
    """2×2 max-pooling. PyTorch's also notes where each largest pixel was, and takes more than twice the time."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H // 2, W // 2); an odd last row or column is dropped."""
        rows = x.permute(0, 2, 3, 1)[:, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
        high = torch.maximum(rows[:, ::2], rows[:, 1::2])
        return torch.maximum(high[:, :, ::2], high[:, :, 1::2]).permute(0, 3, 1, 2)


@cache
def keep_freed_memory() -> None:
    """Let glibc keep the memory that is freed, for the rest of this process.

    Otherwise each large temporary is returned to the kernel and each next one faults its pages in again, which cost up
    to half of a training step or of a prediction. Elsewhere than on glibc this does nothing.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, mmap_threshold = -1, -3
    mallopt(trim_threshold, 1 << 30)
    mallopt(mmap_threshold, 1 << 30)
