"""One linear layer: softmax regression."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import nn

from .spec import BaseSpec, InputShape
from .stack import Stack


class LinearSpec(BaseSpec):
    """Pixels times weights: no hidden layer. What every other network has to beat."""

    takes_vectors: ClassVar[bool] = True
    kind: Literal["linear"] = "linear"

    def network(self, input_shape: InputShape, classes: int) -> nn.Sequential:
        """flatten, head."""
        stack = Stack(self.kind, input_shape)
        stack.flatten()
        return stack.network(classes)
