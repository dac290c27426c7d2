"""Other modules over the same weights: shallow copies, and an ensemble of trained networks as one network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def shallow_copy(module: nn.Module) -> nn.Module:
    """A network of its own over the same weights.

    Hooks, modes and layers of the copy can be changed, in any thread and with any error on the way, and the
    first network knows nothing of it. No weight is copied; hooks of the first one are not taken over.
    """
    other = module.__class__.__new__(module.__class__)
    other.__dict__ = {name: type(value)() if "_hooks" in name else value for name, value in module.__dict__.items()}
    other.__dict__["_modules"] = {name: child and shallow_copy(child) for name, child in module._modules.items()}
    return other


def without_head(network: nn.Module) -> nn.Module:
    """The network up to its last layer, over the same weights: it gives what ``head`` would take."""
    other = shallow_copy(network)
    other.add_module("head", nn.Identity())
    return other


class SideBySide(nn.ModuleList):
    """Networks that look at the same input; their vectors (N, F) joined to (N, members·F)."""

    def forward(self, x: Tensor) -> Tensor:
        """One after another."""
        return torch.cat([member(x) for member in self], dim=1)


def join(networks: Sequence[nn.Module]) -> nn.Sequential:
    """One network whose logits are the mean of the logits of ``networks``; theirs are left as they are.

    The mean of several last layers is one last layer over all their inputs: its weights are theirs, divided by
    their number. So the ensemble ends in a Linear called ``head``, as every network does.

    Args:
        networks: built from one description, for the same input and classes.
    """
    with torch.random.fork_rng(devices=[]):  # a new layer draws weights, which are not kept
        joined = side_by_side(networks)
    head, heads = _head(joined), [_head(network) for network in networks]
    with torch.no_grad():
        head.weight.copy_(torch.cat([each.weight for each in heads], dim=1) / len(heads))
        head.bias.copy_(torch.stack([each.bias for each in heads]).double().mean(dim=0))
    return joined.eval()


def summands(network: nn.Module) -> list[nn.Module]:
    """Networks over the same weights whose logits, without the head's bias, add up to those of ``network``.

    The members of an ensemble, their heads its head's part for each; a network that is no ensemble is its own.
    """
    members = getattr(network, "members", None)
    if not isinstance(members, SideBySide):
        return [network]
    weights = _head(network).weight.detach().chunk(len(members), dim=1)
    return [_with_head(member, weight) for member, weight in zip(members, weights, strict=True)]


def _with_head(member: nn.Module, weight: Tensor) -> nn.Module:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    whole = shallow_copy(member)
    whole.add_module("head", layer)
    return whole


def side_by_side(networks: Sequence[nn.Module]) -> nn.Sequential:
    """The bodies of networks, over the same weights, and a new head."""
    head = _head(networks[0])
    members = SideBySide(without_head(network) for network in networks)
    joined = nn.Linear(len(networks) * head.in_features, head.out_features, device=head.weight.device)
    return nn.Sequential(OrderedDict(members=members, head=joined))


def _head(network: nn.Module) -> nn.Linear:
    head = network.get_submodule("head")
    assert isinstance(head, nn.Linear)  # every network ends in one: see `nn.build`
    return head
