"""Many tiny networks in two arrays: D inputs, H hidden sigmoids, one sigmoid at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

_NEVER = -1000.0
"""The bias of a unit that is not there. The sigmoid of it is exactly 0, and so is every gradient through it: networks
of different widths live in one array and no mask is needed."""


@dataclass(frozen=True, eq=False)
class Nets:
    """B networks side by side; the last axis is the network, so that NumPy runs along it.

    Attributes:
        inward: float64 (D + 1, H, B): the weight of each input for each hidden unit, the bias last.
        outward: float64 (H + 1, B): the weight of each hidden unit for the output, the bias last.
        widths: int64 (B,): how many of the H units each network has; the others never fire.
        seeds: int64 (B,): of the weights it began with, and of the order in which it sees the points.
    """

    inward: Float64Array
    outward: Float64Array
    widths: Int64Array
    seeds: Int64Array

    def __len__(self) -> int:
        return len(self.widths)

    def take(self, which: npt.ArrayLike) -> Nets:
        """Only these, by number."""
        which = np.asarray(which, np.int64)
        return Nets(self.inward[..., which], self.outward[:, which], self.widths[which], self.seeds[which])

    def hidden(self, inputs: Float64Array) -> Float64Array:
        """What each hidden unit answers: float64 (N, H, B), 0 where there is no such unit."""
        activation: Float64Array = expit(np.tensordot(_with_one(inputs), self.inward, axes=1))
        return activation

    def logits(self, inputs: Float64Array) -> Float64Array:
        """What goes into the last sigmoid, float64 (N, B): above 0 it says class 1."""
        sums: Float64Array = np.einsum("nhb,hb->nb", self.hidden(inputs), self.outward[:-1]) + self.outward[-1]
        return sums

    def accuracy(self, inputs: Float64Array, labels: Float64Array) -> Float64Array:
        """The share of the points that each network gets right: float64 (B,)."""
        right: Float64Array = ((self.logits(inputs) > 0) == (labels[:, np.newaxis] > 0.5)).mean(axis=0)
        return right

    def loss(self, inputs: Float64Array, labels: Float64Array) -> Float64Array:
        """The cross-entropy that each network has on the points together: float64 (B,)."""
        total: Float64Array = cross_entropy(self.logits(inputs), labels[:, np.newaxis]).sum(axis=0)
        return total


def cross_entropy(logits: Float64Array, labels: Float64Array) -> Float64Array:
    """Binary cross-entropy of each answer, from the logit: no logarithm of 0, however sure the network is."""
    each: Float64Array = np.logaddexp(0, logits) - labels * logits
    return each


def begin(widths: Sequence[int], starts: int, inputs: int = 2) -> Nets:
    """New networks: ``starts`` of each width, those of the first width first.

    Weights and biases are uniform within ± 1/√(inputs of the layer), as PyTorch's ``nn.Linear`` begins. Start s of a
    width is the same, however many others there are.

    Args:
        widths: numbers of hidden units.
        starts: networks of each.
        inputs: D.
    """
    most, count = max(widths), len(widths) * starts
    inward = np.zeros((inputs + 1, most, count))
    inward[-1] = _NEVER
    outward = np.zeros((most + 1, count))
    for place, (width, seed) in enumerate((width, seed) for width in widths for seed in range(starts)):
        rng = np.random.default_rng((seed, width))
        inward[:, :width, place] = rng.uniform(-1, 1, (inputs + 1, width)) / np.sqrt(inputs)
        outward[[*range(width), -1], place] = rng.uniform(-1, 1, width + 1) / np.sqrt(width)
    return Nets(inward, outward, np.repeat(widths, starts), np.tile(np.arange(starts), len(widths)))


def _with_one(inputs: Float64Array) -> Float64Array:
    return np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
