"""Networks that also score how unlike the training images an input is: see `prototypes`."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .inference import optimize_for_inference
from .modules import ACTIVATION_TYPES, SideBySide, head_of, without_head
from .prototypes import FLAT, OUTSIDE, Prototypes


def texture(x: Tensor) -> Tensor:
    """Contrast and roughness of network inputs (N, C, H, W): float32 (N, 2).

    The contrast is the standard deviation of the pixels around the mean of their channel. The roughness is the mean
    difference between neighbours over the contrast: 1.13 for Gaussian noise whatever its strength, 0.1 to 0.7 for
    pictures of things, 0 where there is no contrast.
    """
    centred = x - x.mean(dim=(2, 3), keepdim=True)
    contrast = (centred * centred).mean(dim=(1, 2, 3)).sqrt()
    steps = [(x[:, :, 1:] - x[:, :, :-1]).abs(), (x[:, :, :, 1:] - x[:, :, :, :-1]).abs()]
    means = [step.mean(dim=(1, 2, 3)) for step in steps if step.shape[2] and step.shape[3]]
    change = torch.stack(means).mean(dim=0) if means else torch.zeros_like(contrast)
    roughness = torch.where(contrast > FLAT, change / contrast.clamp_min(FLAT), 0.0)
    return torch.stack([contrast, roughness], dim=1)


class NearestPrototype(nn.Module):
    """Features (N, F or more) to scores (N, 1): the smallest of (1 − cosine) times weight over all prototypes."""

    def __init__(self, prototypes: Prototypes) -> None:
        super().__init__()
        self.features, self.prototypes = prototypes.features, prototypes
        self.unit = nn.Buffer(torch.from_numpy(prototypes.unit.T.copy()))
        self.weights = nn.Buffer(torch.from_numpy(prototypes.weights.copy()))

    def forward(self, x: Tensor) -> Tensor:
        """A vector of zeros has the cosine 0 with all prototypes."""
        x = x[:, : self.features].to(torch.float32)
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        distances: Tensor = (1 - (x / length) @ self.unit) * self.weights
        return distances.amin(dim=1, keepdim=True)


def score(x: Tensor, nearest: Tensor, prototypes: Prototypes) -> Tensor:
    """How unlike the training images network inputs (N, C, H, W) are: (N,).

    ``nearest``, (N, 1), is what `NearestPrototype` gives for their features; the limits are those of ``prototypes``.
    """
    contrast, roughness = texture(x).unbind(dim=1)
    total = nearest[:, 0]
    if prototypes.contrast > 0:
        total = total + OUTSIDE * (1 - contrast / prototypes.contrast).clamp_min(0)
    if math.isfinite(prototypes.roughness):
        total = total + OUTSIDE * (roughness / prototypes.roughness - 1).clamp_min(0)
    return total


class Parts(NamedTuple):
    """A network in three parts, over the same weights: it gives ``head(activation(body(x)))``.

    The body goes up to the features that prototypes are compared with; the activation is that of the last hidden layer,
    an Identity where its output is something else.
    """

    body: nn.Module
    activation: nn.Module
    head: nn.Linear


def parts_of(network: nn.Module) -> Parts:
    """The parts of a network; those of an ensemble give the features of all members, one behind the other."""
    body = without_head(network)
    members = getattr(body, "members", None)
    found = [_take_activation(each) for each in (members if isinstance(members, SideBySide) else [body])]
    return Parts(body, found[0], head_of(network))


def _take_activation(body: nn.Module) -> nn.Module:
    """Put an Identity in the place of the activation that a body ends in, and return the activation."""
    if not isinstance(body, nn.Sequential):  # only there the last layer is known to come last
        return nn.Identity()
    for name, layer in reversed(body._modules.items()):
        if isinstance(layer, nn.Identity | nn.Dropout):
            continue
        if layer is None or type(layer) not in ACTIVATION_TYPES.values():
            break
        body.add_module(name, nn.Identity())
        return layer
    return nn.Identity()


def compared_width(network: nn.Module) -> int:
    """How many features prototypes are compared with: all that the head takes, of an ensemble those of one member."""
    members = getattr(network, "members", None)
    return head_of(network).in_features // (len(members) if isinstance(members, SideBySide) else 1)


class _LogitsAndScore(nn.Module):
    """The end of a network that also scores: (N, F) to (N, K + 1)."""

    def __init__(self, parts: Parts, prototypes: Prototypes) -> None:
        super().__init__()
        self.activation, self.head = parts.activation, parts.head
        self.nearest = NearestPrototype(prototypes).to(parts.head.weight.device)

    def forward(self, x: Tensor) -> Tensor:
        nearest = self.nearest(x)  # first: the activation may work in place
        return torch.cat([self.head(self.activation(x)), nearest], dim=1)


class WithScore(nn.Module):
    """A network over the same weights with two more outputs: the score of its input, and the distance alone."""

    def __init__(self, network: nn.Module, prototypes: Prototypes) -> None:
        super().__init__()
        parts = parts_of(network)
        parts.body.add_module("head", _LogitsAndScore(parts, prototypes))
        self.network = optimize_for_inference(parts.body) if parts.head.weight.device.type == "cpu" else parts.body
        self._prototypes = prototypes

    def forward(self, x: Tensor) -> Tensor:
        """Network inputs (N, C, H, W) to logits, score and distance: (N, K + 2)."""
        rows: Tensor = self.network(x)
        nearest = rows[:, -1:]
        return torch.cat([rows[:, :-1], score(x, nearest, self._prototypes)[:, None], nearest], dim=1)


class Compared(nn.Module):
    """What inputs are compared by: the features of `parts_of`, of an ensemble its first member's, and `texture`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.body, self.width = parts_of(network).body, compared_width(network)

    def forward(self, x: Tensor) -> Tensor:
        """Network inputs (N, C, H, W) to (N, F + 2)."""
        return torch.cat([self.body(x)[:, : self.width], texture(x)], dim=1)
