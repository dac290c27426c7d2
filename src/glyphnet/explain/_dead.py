"""Units that never answer: weights that compute nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..classifier import Classifier
from ..errors import DataError
from ..images import Images
from ..nn import shallow_copy


@dataclass(frozen=True, eq=False)
class DeadUnits:
    """The dead units of one layer.

    Attributes:
        layer: its name ("stage1_block1.activation1").
        units: how many it has: features, or channels of feature maps.
        dead: int64 (D,), ascending: those that were never active.
        images: how many images were looked at.
    """

    layer: str
    units: int
    dead: npt.NDArray[np.int64]
    images: int

    @property
    def share(self) -> float:
        """Dead units over all units of the layer."""
        return len(self.dead) / self.units


def dead_units(classifier: Classifier, images: Images) -> list[DeadUnits]:
    """Which units behind each ReLU were not above zero for any of the images; a channel counts as one unit.

    Such a unit takes part in no answer, and no gradient reaches it. It may still answer to other images: look at
    many. Other activations have no such state: a network without ReLU gives an empty list.

    Args:
        classifier: whose network is looked into; it is not changed.
        images: all that `Classifier` takes; they stream by batch.

    Raises:
        DataError: there is no image, or something that is none.
    """
    watched = shallow_copy(classifier.network)
    alive: dict[str, torch.Tensor] = {}

    def watcher(name: str) -> Any:
        def watch(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
            places = [axis for axis in range(output.ndim) if axis != 1]
            now = (output > 0).sum(dim=places) > 0
            alive[name] = now | alive[name] if name in alive else now

        return watch

    for name, layer in watched.named_modules():
        if isinstance(layer, nn.ReLU):
            layer.register_forward_hook(watcher(name))
    count = len(replace(classifier, network=watched).logits(images))
    if not count:
        raise DataError("There is no image to look for dead units with.")
    return [
        DeadUnits(name, len(units), np.flatnonzero(~units.cpu().numpy()).astype(np.int64), count)
        for name, units in alive.items()
    ]
