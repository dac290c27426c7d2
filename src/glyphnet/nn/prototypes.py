"""How unlike the training images an input is: the distance of its features from a bank of prototypes.

The main part of the score is the distance to the nearest prototype (Sun et al. 2022, "Out-of-distribution detection
with deep nearest neighbors"), with cluster centres instead of all training images, so that the bank is small. The
features are those before the last activation: ReLU throws away half of what tells a foreign input from a known one.

A network may see noise or an empty sheet as one of its classes. So two figures of the input itself, its contrast and
its roughness, are held to the range of the training images; what lies outside is added to the score.

A drawing is normalised before the network sees it, and a shirt then comes out as a few strokes. So the distance of the
picture as it was given counts as much as the score of what was made of it, but without contrast and roughness: noise
that normalising removed is no reason to reject.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from .inference import optimize_for_inference
from .networks import SideBySide, head_of, without_head
from .spec import ACTIVATION_TYPES

Float32Array = npt.NDArray[np.float32]

PER_CLASS = (10, 100)
"""Fewest and most prototypes of a class."""

WANTED = 400
"""Prototypes of all classes together, where each class keeps within `PER_CLASS`."""

MOST_VALUES = 1 << 18
"""Numbers in a bank: prototypes times features. Each takes a byte."""

_STEPS = 127  # of an int8, to either side
_ROUNDS = 10  # of k-means: more change nothing that matters
_REACH = 0.8  # quantile of the distances of a prototype's own images
_PRIOR = 10  # images: how many the reach of the whole bank counts for in that of one prototype
OUTSIDE = 10.0
"""What the share by which contrast or roughness lie outside their range counts for in the score."""

FLAT = 1e-5
"""A contrast that is nothing but rounding."""

_MARGIN = 0.9  # the range is so much wider than what was seen
_POWER = 1 / 3  # 0 would ignore the reach, 1 would measure distances in units of it


@dataclass(frozen=True, eq=False)
class Prototypes:
    """A bank of directions in the feature space.

    Attributes:
        directions: int8 (M, F); only the direction of each row counts, not its length.
        weights: float32 (M,), above 0: what the distance from each prototype is multiplied by.
        contrast: the least contrast of the training images, see `texture`; 0 asks for none.
        roughness: their greatest roughness.
        twice: whether a picture that normalising changed is also scored as it was given: see `answers.scored_twice`.
    """

    directions: npt.NDArray[np.int8]
    weights: Float32Array
    contrast: float = 0.0
    roughness: float = math.inf
    twice: bool = False

    @cached_property
    def unit(self) -> Float32Array:
        """The directions with length 1: float32 (M, F). Rounded once, so that every surface has the same values."""
        return _unit(self.directions.astype(np.float64)).astype(np.float32)

    @property
    def features(self) -> int:
        """F, the features that are compared: the first of each input."""
        return int(self.directions.shape[1])


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
        if layer is None or type(layer) not in ACTIVATION_TYPES:
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


def fit_prototypes(compared: Float32Array, labels: npt.NDArray[np.int64], seed: int = 0) -> Prototypes | None:
    """The prototypes of training images: the centres of clusters, sought in each class (spherical k-means).

    Args:
        compared: float32 (N, F + 2): what `Compared` gives.
        labels: int64 (N,).
        seed: of the first centres.

    Returns:
        The bank; the same input gives the same one. None without any image that has features.
    """
    features, (contrast, roughness) = compared[:, :-2], compared[:, -2:].T
    directions = _unit(features)
    some = np.isfinite(directions).all(axis=1) & directions.any(axis=1)
    directions, labels = directions[some], labels[some]
    if not len(directions):
        return None
    counts = _counts(labels, features.shape[1])
    generator = np.random.default_rng(seed)
    groups = (labels == label for label in np.unique(labels)) if len(counts) > 1 else [np.ones(len(labels), dtype=bool)]
    # One thread: the products are small, and waiting for a second one took five to twenty times as long as they do.
    with threadpool_limits(1, user_api="blas"):
        centres = np.concatenate(
            [_centres(directions[group], count, generator) for group, count in zip(groups, counts, strict=True)]
        )
        rounded = np.rint(centres / np.abs(centres).max(axis=1, keepdims=True) * _STEPS).astype(np.int8)
        plain = Prototypes(rounded, np.ones(len(rounded), dtype=np.float32))
        weights = _weights(directions, plain.unit)
    outliers = len(contrast) // 1000  # so few images say nothing of what is usual
    least, most = np.sort(contrast)[outliers], np.sort(roughness)[-1 - outliers]
    return Prototypes(
        rounded,
        weights,
        contrast=float(least) * _MARGIN if least > FLAT else 0.0,
        roughness=float(most) / _MARGIN if most > 0 else math.inf,
        twice=True,
    )


def _counts(labels: npt.NDArray[np.int64], features: int) -> list[int]:
    """How many prototypes each class gets; one number for all together where there is not one for each."""
    classes = len(np.unique(labels))
    most = max(1, MOST_VALUES // features)
    each = min(max(WANTED // classes, PER_CLASS[0]), PER_CLASS[1], most // classes)
    return [each] * classes if each else [most]


def _centres(directions: Float32Array, count: int, generator: np.random.Generator) -> Float32Array:
    """The centres (at most ``count``, F) of clusters of directions (N, F), all of length 1."""
    first = generator.permutation(len(directions))[:count]
    centres = directions[np.sort(first)]
    if len(directions) <= count:
        return centres
    for _ in range(_ROUNDS):
        nearest = (directions @ centres.T).argmax(axis=1)
        order = np.argsort(nearest, kind="stable")
        used, starts = np.unique(nearest[order], return_index=True)
        centres[used] = np.add.reduceat(directions[order], starts, axis=0)
        centres = _unit(centres)
    return centres[centres.any(axis=1)]


def _weights(directions: Float32Array, unit: Float32Array) -> Float32Array:
    """More for the prototypes of dense clusters, whose own images all lie near: float32 (M,)."""
    distances = 1 - directions @ unit.T
    nearest, smallest = distances.argmin(axis=1), distances.min(axis=1)
    whole = float(np.quantile(smallest, _REACH))
    weights = np.ones(len(unit))
    for number in range(len(unit)):
        own = smallest[nearest == number]
        reach = float(np.quantile(own, _REACH)) if len(own) else whole
        mixed = (len(own) * reach + _PRIOR * whole) / (len(own) + _PRIOR)
        weights[number] = (whole / mixed) ** _POWER if mixed > 0 else 1.0
    return weights.astype(np.float32)


def _unit(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Rows of length 1; a row of zeros stays."""
    length = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return rows / np.where(length > 0, length, 1)
