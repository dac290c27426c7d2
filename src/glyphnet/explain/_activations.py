"""What each layer makes of one image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..classifier import Classifier, Float32Array
from ..data.dataset import UInt8Array
from ..errors import DataError
from ..images import Images, image_batches
from ..nn import shallow_copy


@dataclass(frozen=True, eq=False)
class LayerActivation:
    """What one layer gives for one image.

    Attributes:
        name: of the layer in the network ("conv1").
        layer: its type ("Conv2d").
        values: float32; (h, w, channels) of feature maps, (steps, features) of a sequence, else (features,).
    """

    name: str
    layer: str
    values: Float32Array


def activations(classifier: Classifier, image: Images) -> list[LayerActivation]:
    """What every layer of the network gives for one image, in the order of computation.

    A residual block counts as one layer. An LSTM gives its states after each row.

    Args:
        classifier: whose network is looked into; it is not changed.
        image: one image, in any form that `Classifier` takes.

    Raises:
        DataError: no image, or more than one.
        BadFileError: an image file that cannot be decoded.
    """
    watched = shallow_copy(classifier.network)
    found: list[LayerActivation] = []

    def recorder(name: str) -> Any:
        def record(module: Any, inputs: object, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output  # an LSTM gives its states as well
            values = first[0].permute(1, 2, 0) if first.ndim == 4 else first[0]
            found.append(LayerActivation(name, type(module).__name__, values.float().cpu().numpy().copy()))

        return record

    for name, layer in watched.named_children():
        layer.register_forward_hook(recorder(name))
    replace(classifier, network=watched).logits(one_image(image, classifier), as_is=True)
    return found


def one_image(image: Images, classifier: Classifier) -> UInt8Array:
    """Exactly one image as the pixels that the classifier sees: uint8 (1, H, W, C).

    Raises:
        DataError: no image, or more than one.
        BadFileError: a file that cannot be decoded.
    """
    found: list[UInt8Array] = []
    for pixels, _, _ in image_batches(image, classifier, 2):
        found.append(pixels)
        if len(pixels) > 1 or len(found) > 1:
            raise DataError("There is more than one image: give them one at a time.")
    if not found:
        raise DataError("There is no image: give one.")
    return np.ascontiguousarray(found[0])
