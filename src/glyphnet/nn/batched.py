"""Networks of one kind and size as one: their weights in common memory, each product done for all of them at once.

For networks so small that a product takes no longer than to call it, ten then cost hardly more than one. The rows that
go through are those of M batches, one after another: (M·n, …), of which each network sees its own n.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from .flatten import Flatten

OwnRandom = Callable[[], AbstractContextManager[None]]
"""Gives a context in which torch's random numbers are those of one of the networks."""


def together(parts: Sequence[Tensor]) -> Tensor:
    """Biases (D,) of M networks as one row (M·D,), for what has one dimension is taken for a bias; weights (O, D) as
    (M, O, D), of which each matrix lies column by column: see `Backpropagation.lay_out`."""
    if parts[0].ndim == 1:
        return torch.cat(list(parts))
    return torch.stack([part.t() for part in parts]).mT


def part(whole: Tensor, number: int, of: int) -> Tensor:
    """The part of network ``number`` in what `together` gave for ``of`` networks, in the same memory."""
    return whole.chunk(of)[number] if whole.ndim == 1 else whole[number]


class BatchedLinear(nn.Module):
    """M fully connected layers as one, whose weights they take as theirs from here on.

    Attributes:
        weight: float32 (M, outputs, inputs).
        bias: float32 (M·outputs,).
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(together([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(together([layer.bias.detach() for layer in layers]))
        for number, layer in enumerate(layers):
            layer.weight.data = part(self.weight.detach(), number, len(layers))
            layer.bias.data = part(self.bias.detach(), number, len(layers))


class BatchedDropout(nn.Module):
    """Dropout whose masks each network draws for itself, as if it were alone."""

    def __init__(self, layer: nn.Dropout, own_random: Sequence[OwnRandom]) -> None:
        super().__init__()
        self.p, self.own_random = layer.p, own_random


def can_be_batched(network: nn.Module) -> bool:
    """Whether all its layers are of kinds that `batched` knows."""
    return isinstance(network, nn.Sequential) and all(isinstance(layer, _KINDS) for layer in network)


def batched(networks: Sequence[nn.Module], own_random: Sequence[OwnRandom]) -> nn.Sequential:
    """Networks of one kind and size as one, with the same names of layers: to be trained by `Backpropagation`.

    From here on the networks' weights are parts of its weights: each is complete whenever one looks at it. Networks
    that were in another such one are no longer in that.

    Args:
        networks: built from one description, for which `can_be_batched` is true.
        own_random: of each.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name, layer in networks[0].named_children():
        if isinstance(layer, nn.Linear):
            layers[name] = BatchedLinear([network.get_submodule(name) for network in networks])  # type: ignore[misc]
        else:
            layers[name] = BatchedDropout(layer, own_random) if isinstance(layer, nn.Dropout) else layer
    return nn.Sequential(layers)


_KINDS = (Flatten, nn.Linear, nn.Dropout, nn.ReLU, nn.Sigmoid, nn.Tanh)
