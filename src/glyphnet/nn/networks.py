"""The table of networks; parsing descriptions, and building networks from them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor, nn

from ..errors import SettingsError
from ..plugins import Table
from ..settings import MOST_MULTIPLICATIONS, OneOf, by_tag, not_a, parse_settings, suggestion
from .chain import ChainSpec
from .kinds import ClassicCNNSpec, CNNSpec, LinearSpec, MLPSpec, ResNetSpec, RNNSpec
from .spec import BaseSpec, InputShape

# One row a network. Everything else here, and every contract test, is made from it.
NETWORKS: Table[type[BaseSpec]] = Table(
    "networks", by_tag(LinearSpec, MLPSpec, CNNSpec, ClassicCNNSpec, ResNetSpec, RNNSpec, ChainSpec), not_a(BaseSpec)
)
"""Each kind of network with the class of its description."""

_SINGLE = OneOf(NETWORKS, without=("ensemble",))

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
    member: Annotated[BaseSpec, _SINGLE] = Field(default_factory=MLPSpec)

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
        return side_by_side([first, *others])


NETWORKS["ensemble"] = EnsembleSpec  # a row like the others, whose member is one of them


def _trained_from_scratch(value: Any) -> Any:
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", value)
    if kind == "ensemble":
        raise ValueError(
            "an ensemble is made of networks that were trained one by one: "
            "train them with another network and glyphnet train --seeds 10 --ensemble"
        )
    return value


NetworkSpec = Annotated[BaseSpec, _SINGLE, BeforeValidator(_trained_from_scratch)]
"""The description of a network that a recipe can train: use it as the type of a pydantic field."""

SavedNetworkSpec = Annotated[BaseSpec, OneOf(NETWORKS)]
"""The description of a network that a model file can hold: as a field's type, likewise."""

_LARGEST_SIDE = 65_536
_MOST_FEATURES = 2**24
_MOST_CLASSES = 65_536


def parse_network(value: str | Mapping[str, object] | BaseSpec) -> BaseSpec:
    """Describe a network by its kind ("mlp"), a mapping ({"kind": "mlp", "hidden": [64]}), or itself.

    Raises:
        SettingsError: the kind is unknown, or settings are unknown or out of bounds; all of them are listed.
    """
    if isinstance(value, BaseSpec) and type(value) in NETWORKS.values():
        return value
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, Mapping):
        raise SettingsError(
            f"network must be a kind ({', '.join(NETWORKS)}) or a mapping with a kind, not {type(value).__name__}."
        )
    kind = value.get("kind")
    if kind is None:
        raise SettingsError(f"network has no kind. Add one of: {', '.join(NETWORKS)}.")
    if not isinstance(kind, str) or kind not in NETWORKS:
        raise SettingsError(f'unknown network kind "{kind!s:.60}"{suggestion(kind, NETWORKS)}')
    return parse_settings(NETWORKS[kind], dict(value), where=f'network "{kind}"')


def build(spec: BaseSpec, input_shape: InputShape, classes: int) -> nn.Module:
    """An untrained network.

    Its input is float32: (N, C, H, W), best in channels-last memory, for images; (N, D) for vectors. Its output is
    logits, float32 (N, classes). Its last layer is a Linear called ``head``. Initial weights come from torch's default
    generator; under ``torch.device("meta")`` nothing is allocated.

    Raises:
        SettingsError: the description does not go with such inputs, or shape or classes are impossible.
    """
    kind = getattr(spec, "kind", type(spec).__name__)
    limits = {1: (_MOST_FEATURES,), 3: (_LARGEST_SIDE,) * 3}.get(len(input_shape), ())
    if not limits or not all(1 <= size <= most for size, most in zip(input_shape, limits, strict=True)):
        raise SettingsError(
            f'network "{kind}": input shape {tuple(input_shape)} must be (height, width, channels) or '
            f"(features,), each from 1 to {_LARGEST_SIDE:,}, or {_MOST_FEATURES:,} for features."
        )
    if not 1 <= classes <= _MOST_CLASSES:
        raise SettingsError(f'network "{kind}": {classes} classes; there must be 1 to {_MOST_CLASSES:,}.')
    if len(input_shape) == 1 and not spec.takes_vectors:
        vectors = " or ".join(f'"{name}"' for name, row in NETWORKS.items() if row.takes_vectors)
        raise SettingsError(
            f'network "{kind}" reads images (height, width, channels), but the inputs are vectors of '
            f"{input_shape[0]} features. Use {vectors}, which take vectors."
        )
    return spec.network(input_shape, classes)


# Other modules over the same weights: shallow copies, and an ensemble of trained networks as one network


def shallow_copy(module: nn.Module) -> nn.Module:
    """A network of its own over the same weights: its hooks, modes and layers can change without the first one's.

    Hooks of the first one are not taken over.
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
    """Networks over the same input."""

    def forward(self, x: Tensor) -> Tensor:
        """Their vectors (N, F) joined to (N, members·F)."""
        return torch.cat([member(x) for member in self], dim=1)


def join(networks: Sequence[nn.Module]) -> nn.Sequential:
    """One network whose logits are the mean of the logits of ``networks``, which do not change.

    The mean of several last layers is one last layer over all their inputs: its weights are theirs, divided by
    their number. So the ensemble ends in a Linear called ``head``, as every network does.

    Args:
        networks: built from one description, for the same input and classes.
    """
    with torch.random.fork_rng(devices=[]):  # a new layer draws weights, which are not kept
        joined = side_by_side(networks)
    head, heads = head_of(joined), [head_of(network) for network in networks]
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
    weights = head_of(network).weight.detach().chunk(len(members), dim=1)
    return [_with_head(member, weight) for member, weight in zip(members, weights, strict=True)]


def _with_head(member: nn.Module, weight: Tensor) -> nn.Module:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    whole = shallow_copy(member)
    whole.add_module("head", layer)
    return whole


def side_by_side(networks: Sequence[nn.Module]) -> nn.Sequential:
    """The bodies of networks, over the same weights, and a new head."""
    head = head_of(networks[0])
    members = SideBySide(without_head(network) for network in networks)
    joined = nn.Linear(len(networks) * head.in_features, head.out_features, device=head.weight.device)
    return nn.Sequential(OrderedDict(members=members, head=joined))


def head_of(network: nn.Module) -> nn.Linear:
    """A network's last layer, which gives the logits."""
    head = network.get_submodule("head")
    assert isinstance(head, nn.Linear)  # every network ends in one: see `nn.build`
    return head
