"""What scikit-learn's users hand over, checked and brought into the loop's types."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from ..data.dataset import Int64Array

Inputs = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
AnyArray = npt.NDArray[Any]
Float64Array = npt.NDArray[np.float64]


def read(estimator: Any, given: Any, y: Any = None, *, reset: bool) -> tuple[Inputs, AnyArray]:
    """Checked inputs, float32 (N, D) or uint8 (N, H, W, C), and labels (N,), where there are any.

    With ``reset`` the estimator takes note of their shape and names, as scikit-learn's `validate_data`
    does; otherwise they must be the ones that it knows.

    Raises:
        ValueError: what cannot be learnt from or predicted, or has not the shape or the names it had.
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
        inputs = to_float32(features)
    if y is not None:
        check_classification_targets(y)
    if reset:
        estimator.input_shape_ = inputs.shape[1:]
    elif inputs.shape[1:] != estimator.input_shape_:
        raise ValueError(
            f"X has inputs of shape {inputs.shape[1:]}, those of the training were {estimator.input_shape_}."
        )
    return inputs, y


def read_images(given: Any, y: Any = None) -> tuple[npt.NDArray[np.uint8], Any]:
    """Images as uint8 (N, H, W, C), over the same memory, and labels (N,), or None.

    Raises:
        ValueError: another type or shape, no images, or not as many labels as images.
    """
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


def to_float32(features: AnyArray) -> npt.NDArray[np.float32]:
    """Finite features as float32.

    Raises:
        ValueError: a value is too large for that.
    """
    with np.errstate(over="ignore"):
        converted = features.astype(np.float32, copy=False)
    if not np.isfinite(converted).all():
        raise ValueError(f"X holds {np.abs(features).max():.3g}, too large for float32. Rescale X first.")
    return converted


def read_weights(sample_weight: Any, inputs: Inputs) -> Float64Array:
    """The weight of each row, float64 (N,); 1 for None.

    Raises:
        ValueError: negative weights, none above 0, or not one a row.
    """
    weights: Float64Array = _check_sample_weight(sample_weight, inputs, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def encode(y: AnyArray, classes: AnyArray) -> Int64Array:
    """Where each label stands in ``classes``, which are sorted: int64 (N,).

    Raises:
        ValueError: labels that are not among them.
    """
    if not np.isin(y, classes).all():
        raise ValueError(f"y has labels that are not in classes: {np.setdiff1d(y, classes).tolist()}.")
    return np.searchsorted(classes, y).astype(np.int64)
