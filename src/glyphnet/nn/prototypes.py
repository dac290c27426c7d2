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

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

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
        contrast: the least contrast of the training images, see `scoring.texture`; 0 asks for none.
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


def fit_prototypes(compared: Float32Array, labels: npt.NDArray[np.int64], seed: int = 0) -> Prototypes | None:
    """The prototypes of training images: the centres of clusters, sought in each class (spherical k-means).

    Args:
        compared: float32 (N, F + 2): what `scoring.Compared` gives.
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
