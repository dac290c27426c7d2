"""The table of networks; parsing descriptions, and building networks from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ..errors import SettingsError
from ..plugins import Table
from ..settings import MOST_MULTIPLICATIONS, OneOf, by_tag, not_a, parse_settings, suggestion
from .chain import ChainSpec
from .described import Described, dense
from .efficientnet import EfficientNetLiteSpec
from .kinds import ClassicCNNSpec, CNNSpec, LinearSpec, MLPSpec, ResNetSpec, RNNSpec
from .spec import BaseSpec, InputShape, Stack

if TYPE_CHECKING:
    from torch import nn

# One row a network. Everything else here, and every contract test, is made from it.
NETWORKS: Table[type[BaseSpec]] = Table(
    "networks",
    by_tag(LinearSpec, MLPSpec, CNNSpec, ClassicCNNSpec, ResNetSpec, RNNSpec, ChainSpec, EfficientNetLiteSpec),
    not_a(BaseSpec),
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
        from .modules import side_by_side

        first = self.member.network(input_shape, classes)
        self._check(sum(1 for _ in first.modules()), getattr(first, "multiplications", 0))
        others = [self.member.network(input_shape, classes) for _ in range(self.members - 1)]
        return side_by_side([first, *others])

    def stack(self, input_shape: InputShape, classes: int) -> Stack | None:
        """The same; None where the members cannot be described."""
        stack = self.member.stack(input_shape, classes)
        network = None if stack is None else stack.described()
        if stack is None or network is None:
            return None
        self._check(network.modules, stack.multiplications)
        head = network.parts["head"].settings["in_features"]
        member = Described("Sequential", parts={**network.parts, "head": Described("Identity")})
        joined = Stack(self.kind, input_shape)
        joined.add("members", Described("SideBySide", parts={str(n): member for n in range(self.members)}))
        joined.add("head", dense(self.members * head, classes))
        joined.multiplications = self.members * stack.multiplications
        return joined

    def _check(self, layers: int, work: int) -> None:
        if layers * self.members > MOST_LAYERS or work * self.members > MOST_MULTIPLICATIONS:
            raise SettingsError(
                f'network "ensemble": {self.members} members of {layers} layers and {work:,} multiplications are more '
                f"than {MOST_LAYERS:,} layers or {MOST_MULTIPLICATIONS:,} multiplications."
            )


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
