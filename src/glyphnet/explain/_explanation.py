"""One image, one answer, and what led to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..classifier import Classifier, Float32Array
from ..data.dataset import UInt8Array
from ..images import Batch, Images
from ._activations import LayerActivation, activations, one_image
from ._methods import METHODS
from ._saliency import class_label, saliency

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a classifier makes of one image.

    Attributes:
        image: uint8 (H, W, C), as the network sees it.
        classes: the K class names.
        probabilities: float32 (K,).
        target: label of the class that the saliency speaks for; the likeliest unless another was asked for.
        method: how the saliency was computed, a name of ``METHODS``.
        saliency: float32 (H, W): positive where a pixel speaks for the target.
        activations: what each layer gives.
    """

    image: UInt8Array
    classes: tuple[str, ...]
    probabilities: Float32Array
    target: int
    method: str
    saliency: Float32Array
    activations: tuple[LayerActivation, ...]

    @property
    def predicted(self) -> int:
        """Label of the likeliest class."""
        return int(self.probabilities.argmax())

    def figure(self, name: str = "") -> Figure:
        """The explanation as a picture: image, saliency, probabilities and every layer.

        Args:
            name: of the image, for the title.

        Returns:
            A figure of its own, unknown to pyplot: ``savefig`` writes it.
        """
        from ._figure import explanation_figure

        return explanation_figure(self, name)


def explain_image(
    classifier: Classifier,
    image: Images,
    target: int | str | None = None,
    *,
    method: str = next(iter(METHODS)),
    **settings: object,
) -> Explanation:
    """Explain the answer for one image.

    Args:
        classifier: whose answer it is.
        image: one image, in any form that `Classifier` takes.
        target: the class to explain, a label or a name; None: the likeliest.
        method: a name of ``METHODS``.
        settings: of the method: see `saliency`.

    Raises:
        SettingsError: unknown method, settings or class, or the method does not work on this network.
        DataError: no image, or more than one.
        BadFileError: an image file that cannot be decoded.
    """
    pixels = one_image(image, classifier)
    seen = Batch.as_seen(pixels)
    [probabilities] = classifier.predict_proba(seen)
    label = int(np.argmax(probabilities)) if target is None else class_label(classifier, target)
    [found] = saliency(classifier, seen, label, method=method, **settings)
    return Explanation(
        image=pixels[0],
        classes=tuple(classifier.classes),
        probabilities=probabilities,
        target=label,
        method=method,
        saliency=found,
        activations=tuple(activations(classifier, seen)),
    )
