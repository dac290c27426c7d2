"""The weights of the first layer as images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..classifier import Classifier, Float32Array
from ..errors import SettingsError
from ..nn.layers import layer_type

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        row = layer_type(layer)
        if row is not None and row.weights is not None:
            images, names = row.weights.images(layer, classifier.input_shape)
            if name == "head":
                names = classifier.classes
            return FirstLayerWeights(name, row.weights.meaning, images.detach().float().cpu().numpy().copy(), names)
        if next(layer.parameters(recurse=False), None) is not None:
            break
    raise SettingsError(f"The weights of this network's first layer cannot be shown as images: {classifier.spec}.")
