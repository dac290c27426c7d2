"""The weights of the first layer as images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..classifier import Classifier, Float32Array
from ..data.decode import ImageShape
from ..errors import SettingsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GATES = ("input gate", "forget gate", "cell", "output gate")  # in the order of torch's rows


@dataclass(frozen=True, eq=False)
class FirstLayerWeights:
    """The weights of a network's first layer.

    Attributes:
        layer: its name ("stem").
        meaning: what one image is ("weights of a unit over the image").
        images: float32 (U, h, w, C), the factors of preprocessed pixels: positive where a bright pixel excites.
        names: U names, one per image.
    """

    layer: str
    meaning: str
    images: Float32Array
    names: tuple[str, ...]

    def figure(self) -> Figure:
        """Draw the weights. Returns a Matplotlib figure that pyplot does not manage; ``savefig`` writes it."""
        from .figure import weights_figure

        return weights_figure(self.layer, self.meaning, self.images, self.names)


def first_layer_weights(classifier: Classifier) -> FirstLayerWeights:
    """Weights of the first layer as images.

    - A fully connected layer: of each unit, a weight for each pixel, (H, W, C). The units of a linear network are
      its classes.
    - A convolution: each kernel, (k, k, C).
    - An LSTM: of each gate one image (hidden, W, C), whose row i holds the weights of unit i over a row of pixels:
      four gates, and four more if it is bidirectional.

    Raises:
        SettingsError: the first layer is of another type.
    """
    for name, layer in classifier.network.named_modules():
        for kind, (meaning, images_of) in _KINDS.items():
            if isinstance(layer, kind):
                images, names = images_of(layer, classifier.input_shape)
                if name == "head":
                    names = classifier.classes
                return FirstLayerWeights(name, meaning, images.detach().float().cpu().numpy().copy(), names)
        if next(layer.parameters(recurse=False), None) is not None:
            break
    raise SettingsError(f"The weights of this network's first layer cannot be shown as images: {classifier.spec}.")


def _dense(layer: Any, shape: ImageShape) -> tuple[Tensor, tuple[str, ...]]:
    # In the order of Flatten. An ensemble of linear networks reads the image several times: its weights are summed.
    weights = layer.weight.reshape(len(layer.weight), -1, *shape).sum(dim=1)
    return weights, _numbered("unit", len(layer.weight))


def _convolution(layer: Any, shape: ImageShape) -> tuple[Tensor, tuple[str, ...]]:
    return layer.weight.permute(0, 2, 3, 1), _numbered("kernel", len(layer.weight))


def _lstm(layer: Any, shape: ImageShape) -> tuple[Tensor, tuple[str, ...]]:
    downwards = layer.weight_ih_l0.reshape(4, layer.hidden_size, *shape[1:])
    if not layer.bidirectional:
        return downwards, _GATES
    upwards = layer.weight_ih_l0_reverse.reshape(4, layer.hidden_size, *shape[1:])
    return torch.cat([downwards, upwards]), (*_GATES, *(f"{gate}, from below" for gate in _GATES))


def _numbered(what: str, count: int) -> tuple[str, ...]:
    return tuple(f"{what} {number}" for number in range(count))


_KINDS: dict[type[nn.Module], tuple[str, Callable[[Any, ImageShape], tuple[Tensor, tuple[str, ...]]]]] = {
    nn.Linear: ("a unit's weights over the image", _dense),
    nn.Conv2d: ("a kernel", _convolution),
    nn.LSTM: ("a gate's weights: a row for each unit, over the pixels of a row", _lstm),
}
