"""What every way of computing saliency has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from ..settings import Settings


class Method(Settings, ABC):
    """One way to say how much each pixel speaks for a class. Its fields are its settings.

    What a pixel speaks for is the class's logit. Every method is deterministic.
    """

    doc: ClassVar[str]
    """One line for help."""

    @classmethod
    def unsuited(cls, network: nn.Module) -> str:
        """What the method needs and the network lacks ("needs convolutions, …"); empty where it works."""
        return ""

    @abstractmethod
    def maps(self, network: nn.Module, x: Tensor, targets: Tensor, at_once: int) -> Tensor:
        """The saliency of some images.

        Args:
            network: in evaluation mode, and the method's own: hooks on it disturb nobody.
            x: preprocessed images, float32 (n, C, H, W), n at most ``at_once``, on the network's device.
            targets: int64 (n,), the class to speak for or against.
            at_once: how many inputs the network may be given at once.

        Returns:
            (n, H, W): positive where a pixel speaks for the class, negative where it speaks against it.
        """


def logits_of(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
    """The logit of each image's own class, (n,): images (n, C, H, W) and labels int64 (n,)."""
    logits: Tensor = network(x).gather(1, targets[:, None])[:, 0]
    return logits
