"""What a network looks at and what it computes inside: saliency, activations, weights, dead units.

::

    classifier = glyphnet.load_model("digits.safetensors")
    glyphnet.explain.saliency(classifier, images)                  # float32 (N, H, W)
    glyphnet.explain.explain_image(classifier, "seven.png").figure().savefig("why.png")

A new saliency method is a subclass of `Method` and one row in ``METHODS``.
"""

from .explanation import (
    Explanation,
    FirstLayerWeights,
    check_method,
    class_label,
    explain_image,
    first_layer_weights,
    saliency,
    save_figure,
    weights_of_first_layer,
)
from .inside import DeadUnits, LayerActivation, activations, dead_units
from .methods import METHODS, Method

__all__ = [
    "METHODS",
    "DeadUnits",
    "Explanation",
    "FirstLayerWeights",
    "LayerActivation",
    "Method",
    "activations",
    "check_method",
    "class_label",
    "dead_units",
    "explain_image",
    "first_layer_weights",
    "saliency",
    "save_figure",
    "weights_of_first_layer",
]
