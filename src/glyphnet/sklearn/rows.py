"""Which rows to train on, how often and with what weight: the same however the data were given."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.class_weight import compute_class_weight

from ..data.dataset import Int64Array
from ..data.split import hold_out
from ..training import Examples

Inputs = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

MOST_COPIES = 4
"""How many times as many rows as were given an epoch may have, for the sake of weights above 1."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a training set, in an order that depends on their content alone.

    A weight of three is the same as three copies, to the last bit, and a weight of zero the same as absence;
    the order in which the rows came does not matter.

    Attributes:
        index: int64 (M,), which of the given rows.
        weight: float64 (M,), of each one's loss; 1 where whole weights were given, or none.
        group: int64 (M,), the same for rows that are copies of each other.
    """

    index: Int64Array
    weight: Float64Array
    group: Int64Array

    @classmethod
    def of(cls, inputs: Inputs, labels: Int64Array, weights: Float64Array) -> Rows:
        """Rows for these inputs (N, …), labels (N,) and weights (N,), none negative and not all zero."""
        _, first, group = np.unique(_digests(inputs, labels), return_index=True, return_inverse=True)
        total = np.bincount(group, weights=weights)
        # Weights in the thousands say what is worth more, not that the data are a thousand times as many.
        share = min(1.0, MOST_COPIES * len(labels) / total.sum())
        copies = np.where(total > 0, np.maximum(np.floor(total * share), 1), 0).astype(np.int64)
        each = total / np.maximum(copies, 1)
        return cls(np.repeat(first, copies), np.repeat(each, copies), np.repeat(np.arange(len(first)), copies))

    def examples(
        self,
        inputs: Inputs,
        labels: Int64Array,
        classes: npt.NDArray[Any],
        class_weight: Any,
        *,
        relative: bool,
    ) -> Examples:
        """The rows as examples to learn from, copied out of ``inputs``.

        Args:
            classes: (K,), what the labels stand for.
            class_weight: None, "balanced" or factors by class, as in scikit-learn.
            relative: make the mean weight 1, so that weights do not lengthen the steps.

        Raises:
            ValueError: a class has no factor, or no row has any weight left.
        """
        y = labels[self.index]
        # A class that is not here has no balance, but may well have a factor of its own.
        there = np.unique(y) if class_weight == "balanced" else np.arange(len(classes))
        factors = np.ones(len(classes))
        factors[there] = compute_class_weight(class_weight, classes=classes[there], y=classes[y])
        weight = self.weight * factors[y]
        if not weight.any():
            raise ValueError("class_weight is 0 for every class there is: nothing is left to learn from.")
        if relative:
            weight = weight / weight.mean()
        return Examples.of(inputs[self.index], y, None if (weight == 1).all() else weight)

    def hold_out(self, labels: Int64Array, fraction: float, seed: int) -> tuple[Rows, Rows]:
        """The rows to train on and those to hold out: stratified, copies together where there is a choice.

        Raises:
            ValueError: there are too few rows of any class to hold one out.
        """
        y, rng = labels[self.index], np.random.default_rng(seed)
        held = hold_out(y, self.group, fraction, rng)
        if not held.any():  # where all have copies, apart is better than nothing
            held = hold_out(y, np.arange(len(y)), fraction, rng)
        if not held.any():
            raise ValueError(
                f"early_stopping=True with validation_fraction={fraction:g} can hold out none of "
                f"n_samples={len(y)}: no class has enough. Raise validation_fraction, give more samples, or "
                "set early_stopping=False."
            )
        return self._only(~held), self._only(held)

    def _only(self, mask: npt.NDArray[np.bool_]) -> Rows:
        return Rows(self.index[mask], self.weight[mask], self.group[mask])


def _digests(inputs: Inputs, labels: Int64Array) -> npt.NDArray[np.uint64]:
    """A number for each row's content, input and label."""
    digests = [
        hashlib.blake2b(row.tobytes(), digest_size=8, salt=label.tobytes()).digest()
        for row, label in zip(inputs, labels.astype("<i8"), strict=True)
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)
