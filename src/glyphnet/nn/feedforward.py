"""Fully connected networks: the multi-layer perceptron, and softmax regression."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import nn

from .spec import Activation, BaseSpec, Dropout, Flag, InputShape, Stack, Widths


class MLPSpec(BaseSpec):
    """A multi-layer perceptron.

    Attributes:
        hidden: width of each hidden layer.
        activation: after each hidden layer.
        dropout: share of each hidden layer's outputs that training drops.
        input_dropout: share of the inputs that training drops.
        batch_norm: normalise each hidden layer before its activation.
    """

    takes_vectors: ClassVar[bool] = True
    kind: Literal["mlp"] = "mlp"
    hidden: Widths = (128,)
    activation: Activation = "relu"
    dropout: Dropout = 0.0
    input_dropout: Dropout = 0.0
    batch_norm: Flag = False

    def network(self, input_shape: InputShape, classes: int) -> nn.Sequential:
        """flatten, [input_dropout], then dense, [norm], activation, [dropout] for each width, head."""
        stack = Stack(self.kind, input_shape)
        stack.flatten()
        stack.dropout("input_dropout", self.input_dropout)
        for index, width in enumerate(self.hidden, start=1):
            stack.dense(f"dense{index}", width, bias=not self.batch_norm)
            if self.batch_norm:
                stack.add(f"norm{index}", nn.BatchNorm1d(width))
            stack.activation(f"activation{index}", self.activation)
            stack.dropout(f"dropout{index}", self.dropout)
        return stack.network(classes)

    def without_effect(self) -> tuple[str, ...]:
        """With no hidden layer most settings do nothing."""
        given = self.model_fields_set & {"activation", "dropout", "batch_norm"}
        if self.hidden:
            return ()
        return tuple(f"{name} has no effect while hidden is empty" for name in sorted(given))


# One linear layer: softmax regression


class LinearSpec(BaseSpec):
    """Pixels times weights: no hidden layer. The baseline for every other network."""

    takes_vectors: ClassVar[bool] = True
    kind: Literal["linear"] = "linear"

    def network(self, input_shape: InputShape, classes: int) -> nn.Sequential:
        """flatten, head."""
        stack = Stack(self.kind, input_shape)
        stack.flatten()
        return stack.network(classes)
