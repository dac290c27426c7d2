# ruff: noqa: N803  # X: scikit-learn's name for inputs
"""What a user has given, checked: parameters and data. What is said says what to write instead."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from .network import Array, Labels, Sizes

MOST_WEIGHTS_OF_BFGS = 5_000  # their curvature is a matrix of 200 MB, and SciPy holds several


def _whole(least: int) -> tuple[Callable[[Any], bool], str]:
    return (
        lambda value: isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least,
        f"must be a whole number, {least} or more",
    )


def _real(fits: Callable[[Any], bool], what: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: isinstance(value, Real) and not isinstance(value, bool) and fits(value), f"must be {what}"


def _among(*values: Any) -> tuple[Callable[[Any], bool], str]:
    return lambda value: isinstance(value, type(values[0])) and value in values, f"must be one of {values}"


_NOT_NEGATIVE = _real(lambda value: 0 <= value < np.inf, "a number, 0 or more")
_RULES = {
    "n_hidden": _whole(1),
    "l1": _NOT_NEGATIVE,
    "l2": _NOT_NEGATIVE,
    "epochs": _whole(1),
    "learning_rate": _real(lambda value: 0 < value < np.inf, "a number above 0"),
    "momentum": _real(lambda value: 0 <= value < 1, "a number from 0 to below 1"),
    "decay": _NOT_NEGATIVE,
    "cumulative_decay": _among(True, False),
    "shuffle": _among(True, False),
    "minibatches": _whole(1),
    "solver": _among("sgd", "lbfgs", "bfgs"),
    "dtype": _among("float64", "float32"),
    "verbose": (
        lambda value: isinstance(value, Integral) and int(value) >= 0,
        "must be True, False or every how many epochs",
    ),
}
_OF_SGD_ONLY = ("learning_rate", "momentum", "decay", "cumulative_decay", "shuffle", "minibatches", "dtype")


def check_parameters(estimator: Any) -> None:
    """Say what is wrong with an estimator's parameters, all at once, and warn of those that have no effect.

    Raises:
        ValueError: wrong parameters.
    """
    given, name = estimator.get_params(deep=False), type(estimator).__name__
    wrong = [f"{key}={given[key]!r} {what}" for key, (fits, what) in _RULES.items() if not fits(given[key])]
    if wrong:
        raise ValueError(f"{name}: {'; '.join(wrong)}.")
    signature = inspect.signature(type(estimator)).parameters
    idle = [f"{key}={given[key]!r}" for key in _OF_SGD_ONLY if given[key] != signature[key].default]
    if given["solver"] != "sgd" and idle:
        said = f'{name}: {", ".join(idle)} without effect: solver="{given["solver"]}" takes all rows and its own steps.'
        warnings.warn(said, UserWarning, stacklevel=3)


def check_fits(estimator: Any, rows: int, sizes: Sizes) -> None:
    """Say which parameters do not suit these data.

    Raises:
        ValueError: more mini-batches than rows, or too many weights for BFGS.
    """
    count = sizes[1] * (sizes[0] + 1) + sizes[2] * (sizes[1] + 1)
    if estimator.solver == "sgd" and estimator.minibatches > rows:
        raise ValueError(f"minibatches={estimator.minibatches} must be at most the number of rows, {rows}.")
    if estimator.solver == "bfgs" and count > MOST_WEIGHTS_OF_BFGS:
        raise ValueError(
            f'solver="bfgs" keeps a matrix of weights × weights: {8 * count**2 / 1e9:.1f} GB for {count:,} weights. '
            f'Write solver="lbfgs", or use fewer features or hidden units (at most {MOST_WEIGHTS_OF_BFGS:,} weights).'
        )


def read_inputs(estimator: Any, X: Any, *labels: Any, reset: bool) -> Any:
    """Checked features (N, D), their type as given; with ``labels`` also those, (N,).

    With ``reset`` the estimator takes note of D and of the columns' names; otherwise they must be the ones it knows.

    Raises:
        ValueError: another shape, or values that are no numbers; the message says what to write instead.
    """
    shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    name = type(estimator).__name__
    known = None if reset else estimator.n_features_in_
    if len(shape) == 1 and shape[0]:
        raise ValueError(f"Expected 2D array, got 1D array instead: X of shape {shape}. {_reshape(shape, known)}")
    if len(shape) > 2:
        raise ValueError(
            f"Expected 2D array, got {len(shape)}D array instead: X of shape {shape}. "
            "Reshape your data, a row an image: X.reshape(len(X), -1)."
        )
    if known is not None and len(shape) == 2 and shape[1] != known:
        raise ValueError(
            f"X has {shape[1]} features, but {name} is expecting {known} features as input. "
            f"Give rows of the {known} features that it was trained on."
        )
    data = {"y": labels[0]} if labels else {}
    checked = validate_data(estimator, X, **data, dtype="numeric", ensure_all_finite=False, reset=reset)
    features = checked[0] if labels else checked
    if features.dtype.kind == "f" and not (finite := np.isfinite(features)).all():
        row, column = (int(index) for index in np.argwhere(~finite)[0])
        raise ValueError(
            f"Input X contains NaN or infinity: {np.count_nonzero(~finite)} values, the first in row {row}, "
            f"column {column}. Write X = np.nan_to_num(X) for zeros there, or leave such rows out: "
            "keep = np.isfinite(X).all(axis=1), then X[keep] and y[keep]."
        )
    if labels:
        check_classification_targets(checked[1])
    return checked


def read_validation(estimator: Any, validation: Any, classes: Array) -> tuple[Array, Labels]:
    """Checked features (M, D), and the numbers of the labels' classes, (M,).

    Raises:
        ValueError: as `read_inputs`; or this is no pair, or has labels that the training did not have.
    """
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise ValueError(f"validation must be a pair, (X, y), not {type(validation).__name__}.")
    features, labels = read_inputs(estimator, *validation, reset=False)
    if not np.isin(labels, classes).all():
        new = np.setdiff1d(labels, classes).tolist()
        raise ValueError(f"The validation labels {new} are not among those of the training, {classes.tolist()}.")
    return features, np.searchsorted(classes, labels)


def _reshape(shape: tuple[int, ...], known: int | None) -> str:
    if known is not None and shape[0] % known == 0:
        rows = shape[0] // known
        return f"Reshape your data: X.reshape({rows}, -1) is {rows} row{'s'[: rows > 1]} of {known} features."
    return "Reshape your data: X.reshape(1, -1) if it is one row, X.reshape(-1, 1) if it is one feature of many rows."
