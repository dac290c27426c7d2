"""The arrays that a caller passes: checked, converted, and turned into training rows with weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from ..data.dataset import Int64Array
from ..data.split import hold_out
from ..training import Examples

Inputs = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
AnyArray = npt.NDArray[Any]
Float64Array = npt.NDArray[np.float64]


def read(estimator: Any, given: Any, y: Any = None, *, reset: bool) -> tuple[Inputs, AnyArray]:
    """Checked inputs, float32 (N, D) or uint8 (N, H, W, C), and labels (N,), if any; ValueError if they are invalid.

    With ``reset`` the estimator stores their shape and names, as scikit-learn's `validate_data` does; otherwise they
    must match the stored ones.
    """
    inputs: Inputs
    if getattr(given, "ndim", 2) > 2:
        inputs, y = read_images(given, y)
        if reset:
            estimator.n_features_in_ = int(np.prod(inputs.shape[1:]))
            estimator.__dict__.pop("feature_names_in_", None)
    else:
        labels = {"y": y} if y is not None or reset else {}
        checked = validate_data(estimator, given, **labels, dtype=(np.float64, np.float32), reset=reset)
        features, y = checked if labels else (checked, None)
        with np.errstate(over="ignore"):
            inputs = features.astype(np.float32, copy=False)
        if not np.isfinite(inputs).all():
            raise ValueError(f"X holds {np.abs(features).max():.3g}, too large for float32. Rescale X first.")
    if y is not None:
        check_classification_targets(y)
    if reset:
        estimator.input_shape_ = inputs.shape[1:]
    elif inputs.shape[1:] != estimator.input_shape_:
        raise ValueError(f"X has inputs of shape {inputs.shape[1:]}, but training had {estimator.input_shape_}.")
    return inputs, y


def read_images(given: Any, y: Any = None) -> tuple[npt.NDArray[np.uint8], Any]:
    """Images as uint8 (N, H, W, C), over the same memory, and labels (N,), or None; ValueError for anything else."""
    images = np.asarray(given)
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"Images must be uint8, (N, H, W) or (N, H, W, C), not {images.dtype} of {np.shape(given)}. "
            "If white is 1: (X * 255).round().astype('uint8')."
        )
    if not images.size:
        raise ValueError(f"X of shape {np.shape(given)} has no pixels.")
    if y is not None:
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_consistent_length(images, y)
    return images, y


def read_weights(sample_weight: Any, inputs: Inputs) -> Float64Array:
    """The weight of each row, float64 (N,), 1 for None; ValueError unless none is negative and one is positive."""
    weights: Float64Array = _check_sample_weight(sample_weight, inputs, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def encode(y: AnyArray, classes: AnyArray) -> Int64Array:
    """Index of each label in ``classes``, which are sorted: int64 (N,); ValueError if one is not in them."""
    if not np.isin(y, classes).all():
        raise ValueError(f"y has labels that are not in classes: {np.setdiff1d(y, classes).tolist()}.")
    return np.searchsorted(classes, y).astype(np.int64)


MOST_COPIES = 4  # times the given rows: the most rows of an epoch, where weights above 1 repeat rows


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a training set, in an order that depends only on their content.

    A weight of 3 equals three copies, to the last bit, and a weight of 0 equals leaving the row out. The order of the
    input rows has no effect.

    """

    index: Int64Array  # (M,), of the input row
    weight: Float64Array  # (M,), factor on each row's loss; 1 for whole weights or none
    group: Int64Array  # (M,), the same for rows that are copies of each other

    @classmethod
    def of(cls, inputs: Inputs, labels: Int64Array, weights: Float64Array) -> Rows:
        """Rows for these inputs (N, …), labels (N,) and weights (N,), none negative and not all zero."""
        _, first, group = np.unique(_digests(inputs, labels), return_index=True, return_inverse=True)
        total = np.bincount(group, weights=weights)
        # Weights in the thousands mean importance, not a thousand times as many rows.
        share = min(1.0, MOST_COPIES * len(labels) / total.sum())
        copies = np.where(total > 0, np.maximum(np.floor(total * share), 1), 0).astype(np.int64)
        each = total / np.maximum(copies, 1)
        return cls(np.repeat(first, copies), np.repeat(each, copies), np.repeat(np.arange(len(first)), copies))

    def examples(
        self, inputs: Inputs, labels: Int64Array, classes: npt.NDArray[Any], class_weight: Any, *, relative: bool
    ) -> Examples:
        """The rows as training examples, copied from ``inputs``.

        Args:
            classes: (K,), for which the labels stand.
            class_weight: None, "balanced" or factors by class, as in scikit-learn.
            relative: make the mean weight 1, so that weights do not lengthen the steps.
        """
        y = labels[self.index]
        # An absent class has no balance, but may have a factor.
        there = np.unique(y) if class_weight == "balanced" else np.arange(len(classes))
        factors = np.ones(len(classes))
        factors[there] = compute_class_weight(class_weight, classes=classes[there], y=classes[y])
        weight = self.weight * factors[y]
        if not weight.any():
            raise ValueError("class_weight is 0 for every class in y: give at least one class a positive weight.")
        if relative:
            weight = weight / weight.mean()
        return Examples.of(inputs[self.index], y, None if (weight == 1).all() else weight)

    def hold_out(self, labels: Int64Array, fraction: float, seed: int) -> tuple[Rows, Rows]:
        """Split into training and held-out rows: stratified, copies kept together if possible."""
        y, rng = labels[self.index], np.random.default_rng(seed)
        held = hold_out(y, self.group, fraction, rng)
        if not held.any():  # every row has copies: split them rather than fail
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
    """Hash of each row's input and label: uint64 (N,)."""
    digests = [
        hashlib.blake2b(row.tobytes(), digest_size=8, salt=label.tobytes()).digest()
        for row, label in zip(inputs, labels.astype("<i8"), strict=True)
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)
