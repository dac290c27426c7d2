"""The recurrent network: an LSTM that reads the image row by row."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from .spec import BaseSpec, Dropout, Flag, InputShape, Stack, Width


class RNNSpec(BaseSpec):
    """An LSTM (Hochreiter & Schmidhuber, 1997) over the rows, top to bottom; its last state goes to the head.

    Attributes:
        hidden: width of the state.
        layers: number of LSTMs one upon another.
        bidirectional: read from bottom to top as well, with a second state.
        dropout: share dropped between the LSTMs and before the head.
    """

    kind: Literal["rnn"] = "rnn"
    hidden: Width = 128
    layers: Annotated[int, Field(strict=True, ge=1, le=16)] = 1
    bidirectional: Flag = False
    dropout: Dropout = 0.0

    def network(self, input_shape: InputShape, classes: int) -> nn.Sequential:
        """rows, lstm, last, [dropout], head."""
        stack = Stack(self.kind, input_shape)
        stack.add("rows", Rows())
        directions = 1 + self.bidirectional
        inputs = stack.width * stack.channels
        for _ in range(self.layers):
            stack.count(4 * (inputs + self.hidden), stack.height * directions * self.hidden)
            inputs = directions * self.hidden
        lstm = nn.LSTM(
            stack.width * stack.channels,
            self.hidden,
            num_layers=self.layers,
            batch_first=True,
            dropout=self.dropout if self.layers > 1 else 0.0,
            bidirectional=self.bidirectional,
        )
        stack.add("lstm", lstm)
        stack.add("last", LastState(directions))
        stack.features = self.hidden * directions
        stack.dropout("dropout", self.dropout)
        return stack.network(classes)


class Rows(nn.Module):
    """An image as a sequence of rows: (N, C, H, W) to (N, H, W·C)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """No copy is made of an image in channels-last memory."""
        return x.permute(0, 2, 3, 1).flatten(2)


class LastState(nn.Module):
    """The state in which the uppermost LSTM ends: what ``nn.LSTM`` returns to (N, directions·hidden).

    Args:
        directions: 1, or 2 for a bidirectional LSTM, whose two states are joined.
    """

    def __init__(self, directions: int) -> None:
        super().__init__()
        self.directions = directions

    def forward(self, result: tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """The second part of ``result`` is (h, c), each (layers·directions, N, hidden)."""
        return torch.cat(list(result[1][0][-self.directions :].unbind()), dim=1)
