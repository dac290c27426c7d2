"""The ensemble: trained networks side by side as one network, whose logits are the mean of theirs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ..errors import SettingsError
from ..settings import MOST_MULTIPLICATIONS
from ._twin import twin, without_head
from .mlp import MLPSpec
from .spec import BaseSpec, InputShape

if TYPE_CHECKING:
    from .networks import SingleSpec

MOST_MEMBERS = 100
MOST_LAYERS = 6_000
"""Of all members together, their parts counted too: building them takes about two seconds."""


class EnsembleSpec(BaseSpec):
    """Networks of one kind and size, trained apart, whose logits are averaged (Hansen & Salamon, 1990).

    It is made of networks that have been trained, by `join`; a recipe cannot ask for it.

    Attributes:
        members: how many networks.
        member: the description of each; no ensemble itself.
    """

    kind: Literal["ensemble"] = "ensemble"
    members: Annotated[int, Field(strict=True, ge=2, le=MOST_MEMBERS)] = 2
    member: SingleSpec = Field(default_factory=MLPSpec, discriminator="kind")

    def network(self, input_shape: InputShape, classes: int) -> nn.Sequential:
        """members (the networks up to their heads), head.

        Raises:
            SettingsError: all members together are too large.
        """
        first = self.member.network(input_shape, classes)
        layers, work = sum(1 for _ in first.modules()), getattr(first, "multiplications", 0)
        if layers * self.members > MOST_LAYERS or work * self.members > MOST_MULTIPLICATIONS:
            raise SettingsError(
                f'network "ensemble": {self.members} members of {layers} layers and {work:,} multiplications are more '
                f"than {MOST_LAYERS:,} layers or {MOST_MULTIPLICATIONS:,} multiplications."
            )
        others = [self.member.network(input_shape, classes) for _ in range(self.members - 1)]
        return _side_by_side([first, *others])


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
        joined = _side_by_side(networks)
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
    whole = twin(member)
    whole.add_module("head", layer)
    return whole


def _side_by_side(networks: Sequence[nn.Module]) -> nn.Sequential:
    """The bodies of networks, over the same weights, and a new head."""
    head = _head(networks[0])
    members = SideBySide(without_head(network) for network in networks)
    joined = nn.Linear(len(networks) * head.in_features, head.out_features, device=head.weight.device)
    return nn.Sequential(OrderedDict(members=members, head=joined))


def _head(network: nn.Module) -> nn.Linear:
    head = network.get_submodule("head")
    assert isinstance(head, nn.Linear)  # every network ends in one: see `nn.build`
    return head
