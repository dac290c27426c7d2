"""What a network looked at, and what became of it inside: saliency, activations, weights, dead units.

::

    import glyphnet

    classifier = glyphnet.load_model("digits.safetensors")
    glyphnet.explain.saliency(classifier, images)                  # float32 (N, H, W)
    glyphnet.explain.explain_image(classifier, "seven.png").figure().savefig("why.png")

A new way to compute saliency is one file with a subclass of `Method`, and one row in ``_methods.py``.
"""

from ._activations import LayerActivation, activations
from ._dead import DeadUnits, dead_units
from ._explanation import Explanation, explain_image
from ._method import Method
from ._methods import METHODS
from ._saliency import check_method, class_label, saliency
from ._save import save_figure
from ._weights import FirstLayerWeights, first_layer_weights

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
]
