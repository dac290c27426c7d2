"""The table of ways to compute saliency."""

from __future__ import annotations

from torch import nn

from ._grad_cam import GradCam
from ._integrated_gradients import IntegratedGradients
from ._method import Method
from ._occlusion import Occlusion

METHODS: dict[str, type[Method]] = {
    "integrated-gradients": IntegratedGradients,
    "grad-cam": GradCam,
    "occlusion": Occlusion,
}
"""Each method by its name. The first is the default."""


def suited(network: nn.Module) -> list[str]:
    """The names of the methods that work on a network."""
    return [name for name, method in METHODS.items() if not method.unsuited(network)]
