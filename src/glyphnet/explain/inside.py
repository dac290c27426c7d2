"""What happens inside a network: the activations of each layer, and units that are never active."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..classifier import Classifier, Float32Array
from ..data.dataset import UInt8Array
from ..errors import DataError
from ..images import Images, image_batches
from ..nn import shallow_copy


@dataclass(frozen=True, eq=False)
class LayerActivation:
    """Output of one layer for one image."""

    name: str  # of the layer in the network ("conv1")
    layer: str  # its type ("Conv2d")
    values: Float32Array  # (h, w, channels) of feature maps, (steps, features) of a sequence, else (features,)


def activations(classifier: Classifier, image: Images) -> list[LayerActivation]:
    """Activations of every layer for one image, in the order of computation.

    A residual block counts as one layer. Of an LSTM these are its states after each row.

    Raises:
        DataError: no image, or more than one.
        BadFileError: an image file that cannot be decoded.
    """
    copy = shallow_copy(classifier.network)
    found: list[LayerActivation] = []

    def recorder(name: str) -> Any:
        def record(module: Any, inputs: object, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output  # an LSTM also returns its states
            values = first[0].permute(1, 2, 0) if first.ndim == 4 else first[0]
            found.append(LayerActivation(name, type(module).__name__, values.float().cpu().numpy().copy()))

        return record

    for name, layer in copy.named_children():
        layer.register_forward_hook(recorder(name))
    replace(classifier, network=copy).logits(one_image(image, classifier), as_is=True)
    return found


def one_image(image: Images, classifier: Classifier) -> UInt8Array:
    """Read exactly one image as the classifier sees it: uint8 (1, H, W, C).

    Raises:
        DataError: no image, or more than one.
        BadFileError: a file that cannot be decoded.
    """
    found: list[UInt8Array] = []
    for pixels, _, _ in image_batches(image, classifier, 2):
        found.append(pixels)
        if len(pixels) > 1 or len(found) > 1:
            raise DataError("There is more than one image: pass one at a time.")
    if not found:
        raise DataError("There is no image: pass one.")
    return np.ascontiguousarray(found[0])


@dataclass(frozen=True, eq=False)
class DeadUnits:
    """The dead units of one layer."""

    layer: str  # its name ("stage1_block1.activation1")
    units: int  # features, or channels of feature maps
    dead: npt.NDArray[np.int64]  # ascending: indices of the units that were never active
    images: int

    @property
    def share(self) -> float:
        """Dead units over all units of the layer."""
        return len(self.dead) / self.units


def dead_units(classifier: Classifier, images: Images) -> list[DeadUnits]:
    """Find the units of each ReLU that are zero for all of the images; a channel counts as one unit.

    Such a unit contributes to no prediction and gets no gradient. It may be active for other images, so pass many; they
    stream by batch. Other activations have no such state: a network without ReLU gives an empty list.

    Raises:
        DataError: there are no images, or an input is not an image.
    """
    copy = shallow_copy(classifier.network)
    alive: dict[str, torch.Tensor] = {}

    def hook(name: str) -> Any:
        def record(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
            others = [axis for axis in range(output.ndim) if axis != 1]
            now = (output > 0).sum(dim=others) > 0
            alive[name] = now | alive[name] if name in alive else now

        return record

    for name, layer in copy.named_modules():
        if isinstance(layer, nn.ReLU):
            layer.register_forward_hook(hook(name))
    count = len(replace(classifier, network=copy).logits(images))
    if not count:
        raise DataError("There are no images: dead units need at least one.")
    return [
        DeadUnits(name, len(units), np.flatnonzero(~units.cpu().numpy()).astype(np.int64), count)
        for name, units in alive.items()
    ]
