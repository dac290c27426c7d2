"""Networks with at most so many parameters: which of each family are as large as that allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from ...errors import SettingsError
from ...nn import InputShape, build, parse_network
from ...nn.spec import BaseSpec

WIDEST = 512
"""Channels or units of the narrowest layer, at most."""


class Family(NamedTuple):
    """Networks that differ in their widths only.

    Attributes:
        settings: of all of them.
        field: the setting that has the widths.
        widths: how wide each layer is, in widths of the narrowest.
    """

    settings: dict[str, Any]
    field: str
    widths: tuple[float, ...]

    def member(self, narrowest: int) -> BaseSpec:
        """The network whose narrowest layer is that wide."""
        return parse_network({**self.settings, self.field: [round(narrowest * width) for width in self.widths]})


_RESNET: dict[str, Any] = {"kind": "resnet"}
_POOLED: dict[str, Any] = {"kind": "cnn-classic", "padding": True, "batch_norm": True, "dropout": 0.0}
_MLP: dict[str, Any] = {"kind": "mlp"}

# Weights of convolutions are used at every place, so few of them do more than as many of dense layers. A residual
# network ends in the mean over the image and needs next to no head; a classic one keeps where things are.
FAMILIES = (
    Family(_RESNET, "channels", (1, 2)),
    Family(_RESNET, "channels", (1, 1.5, 2)),
    Family(_RESNET, "channels", (1, 2, 4)),
    Family(_RESNET | {"blocks": 2}, "channels", (1, 2)),
    Family(_RESNET | {"blocks": 2}, "channels", (1, 1.5)),
    Family(_POOLED, "channels", (1, 2)),
    Family(_POOLED, "channels", (1, 2, 2)),
    Family(_POOLED, "channels", (1, 2, 3)),
    Family(_POOLED | {"convs_per_stage": 2}, "channels", (1, 1.5, 2)),
    Family(_POOLED | {"convs_per_stage": 2}, "channels", (1, 1, 1, 1)),
    Family(_MLP, "hidden", (1,)),
)


def parameters_of(spec: BaseSpec, input_shape: InputShape, classes: int) -> int:
    """How many numbers a network learns, as `glyphnet.nn.summary` counts them; SettingsError if it is not possible."""
    import torch

    with torch.device("meta"):  # nothing is allocated or computed
        network = build(spec, input_shape, classes)
    return sum(each.numel() for each in network.parameters() if each.requires_grad)


def networks_within(most: int, input_shape: InputShape, classes: int) -> list[str]:
    """Of each of `FAMILIES` the widest network of at most ``most`` parameters, as it is written in YAML.

    Raises:
        SettingsError: not even the smallest has so few.
    """
    found = [spec for family in FAMILIES if (spec := _widest(family, most, input_shape, classes)) is not None]
    if not found:
        least = min(_counts(1, input_shape, classes))
        raise SettingsError(
            f"max_parameters (={most:,}): the smallest network for images of {'×'.join(map(str, input_shape))} and "
            f"{classes} classes that is tried has {least:,} parameters. Allow as many."
        )
    plain = ({"kind": spec.kind, **spec.model_dump(mode="json", exclude_defaults=True)} for spec in found)
    return list(dict.fromkeys(json.dumps(each) for each in plain))


def _counts(narrowest: int, input_shape: InputShape, classes: int) -> Iterator[int]:
    for family in FAMILIES:
        try:
            yield parameters_of(family.member(narrowest), input_shape, classes)
        except SettingsError:  # the images are too small for so many stages
            continue


def _widest(family: Family, most: int, input_shape: InputShape, classes: int) -> BaseSpec | None:
    """By halving: parameters grow with the width."""
    low, high = 0, WIDEST + 1
    while high - low > 1:
        middle = (low + high) // 2
        if _fits(family.member(middle), most, input_shape, classes):
            low = middle
        else:
            high = middle
    return family.member(low) if low else None


def _fits(spec: BaseSpec, most: int, input_shape: InputShape, classes: int) -> bool:
    try:
        return parameters_of(spec, input_shape, classes) <= most
    except SettingsError:  # too small images, or too many multiplications
        return False


def check_size(spec: BaseSpec, most: int | None, input_shape: InputShape, classes: int) -> None:
    """Refuse a network of more than ``most`` parameters.

    Raises:
        SettingsError: it has more.
    """
    if most is not None and (count := parameters_of(spec, input_shape, classes)) > most:
        raise SettingsError(f"The network has {count:,} parameters, more than max_parameters (={most:,}).")
