"""Running a trained network over any number of inputs: the only prediction loop in the project."""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from .inputs import Inputs, as_tensor
from .memory import keep_freed_memory
from .preprocessing import Preprocessing
from .quick import quick

LARGEST_OUTPUT = 5 << 20
"""Bytes of a layer's output, for all inputs at one time, with which processors were seen to be quickest, by up to a
third: less is called too often, and more is not in a cache any longer when the next layer wants it."""

MOST_AT_ONCE = 1000

_quick: WeakKeyDictionary[nn.Module, nn.Module | None] = WeakKeyDictionary()
_output_bytes: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


def logits_in_batches(
    network: nn.Module,
    preprocessing: Preprocessing,
    inputs: Inputs,
    *,
    batch_size: int | None = None,
    device: torch.device | None = None,
) -> Iterator[Tensor]:
    """The network's answers, batch by batch, in evaluation mode and without gradients.

    Args:
        network: on any device; its training mode is restored afterwards.
        inputs: uint8 (N, H, W, C) or float (N, D), on any device; a memory map is read batch by batch.
        batch_size: inputs computed at once; None for what is quickest, `MOST_AT_ONCE` at most.
        device: where the network is; asked of its weights unless given, for a part of a network may have none.

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
    """What gives the network's answers soonest; the network itself where somebody looks at its layers."""
    if device.type != "cpu":
        return network
    if network not in _quick:
        found = quick(network)
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
