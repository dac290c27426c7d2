# ruff: noqa: N803, N806  # X: scikit-learn's name for inputs
"""The network as a scikit-learn estimator, and the checks of its parameters and data."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from . import network
from .network import Array, Gradient, GradientCheck, Labels, Sizes, Step, Weights, backpropagate

ROWS_AT_ONCE = 4096  # predictions run in parts, so that few rows at a time become float64


class NeuralNetMLP(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """A classifier of one hidden layer of sigmoids and a sigmoid output for each class, from scratch.

    The formulas are in `glyphnet.scratch.network`. Costs and gradients are summed over the rows of a mini-batch, not
    averaged: with larger mini-batches take a lower learning rate. The same ``random_state`` gives the same bits on the
    same machine with the same libraries and number of BLAS threads.

    Args:
        n_hidden: hidden units.
        l1, l2: strengths of the penalties l1/2·Σ|w| and l2/2·Σw².
        epochs: passes through the data; with "lbfgs" and "bfgs" iterations, at most.
        learning_rate: how far a step goes for each unit of slope.
        momentum: step = −rate·gradient + momentum·previous step.
        decay: in epoch t, counted from 0, the rate is learning_rate/(1 + t·decay).
        cumulative_decay: divide the rate of the previous epoch by 1 + t·decay, not the first one. The published
            network does so, contrary to its documentation, and its accuracy depends on it: with decay=1e-5 the rate
            is 1 % lower after 1,000 epochs as documented, and 148 times lower with cumulative decay.
        shuffle: shuffle the rows in each epoch.
        minibatches: parts of an epoch, one step each.
        solver: "sgd" goes down by mini-batches; "lbfgs" and "bfgs" are SciPy's, on all rows at once.
        dtype: "float64", or "float32" for twice the speed; of "sgd" only.
        random_state: seed, or `numpy.random.Generator`, of initial weights and shuffling; None: different each time.
        verbose: print a line on stderr every so many epochs; True: every epoch, False: never.

    Parameter names of the published network that this one reproduces, and the names here::

        n_output, n_features    found in the data: len(classes_), n_features_in_
        eta                     learning_rate
        alpha                   momentum           (in scikit-learn alpha is the L2 penalty)
        decrease_const          decay              (with cumulative_decay=True)
        print_progress          verbose

    Attributes:
        classes_: the K labels, sorted; of any sortable type.
        n_features_in_: D.
        feature_names_in_: names of the columns, where ``X`` had any.
        weights_: the `Weights`: W1 (H, D), b1 (H,), W2 (K, H), b2 (K,).
        cost_: J of every mini-batch, just before its step; with "lbfgs" and "bfgs" of all rows after each iteration.
        epoch_cost_: the mean of ``cost_`` over each epoch.
        train_loss_, train_accuracy_: of each epoch; the loss is J without the penalty, divided by the rows. Both come
            from the forward passes of the mini-batches, each with the weights at that step, and so cost no time.
            `score` evaluates the final weights.
        validation_loss_, validation_accuracy_: after each epoch; only if `fit` was given validation data.
        n_iter_: epochs or iterations done.
        stopped_: why training ended.

    Example:
        >>> from glyphnet.scratch import NeuralNetMLP
        >>> from sklearn.datasets import load_digits
        >>> X, y = load_digits(return_X_y=True)
        >>> net = NeuralNetMLP(epochs=50, minibatches=20, learning_rate=0.01, random_state=0).fit(X[:1500], y[:1500])
        >>> net.score(X[1500:], y[1500:]) > 0.85
        True
    """

    classes_: npt.NDArray[Any]
    weights_: Weights
    cost_: list[float]
    epoch_cost_: list[float]
    train_loss_: list[float]
    train_accuracy_: list[float]
    validation_loss_: list[float]
    validation_accuracy_: list[float]

    def __init__(
        self,
        n_hidden: int = 30,
        *,
        l1: float = 0.0,
        l2: float = 0.0,
        epochs: int = 500,
        learning_rate: float = 0.001,
        momentum: float = 0.0,
        decay: float = 0.0,
        cumulative_decay: bool = False,
        shuffle: bool = True,
        minibatches: int = 1,
        solver: str = "sgd",
        dtype: str = "float64",
        random_state: int | np.random.Generator | None = None,
        verbose: int = False,
    ) -> None:
        self.n_hidden, self.l1, self.l2 = n_hidden, l1, l2
        self.epochs, self.shuffle, self.minibatches = epochs, shuffle, minibatches
        self.learning_rate, self.momentum = learning_rate, momentum
        self.decay, self.cumulative_decay = decay, cumulative_decay
        self.solver, self.dtype, self.random_state, self.verbose = solver, dtype, random_state, verbose

    def fit(
        self,
        X: Any,
        y: Any,
        validation: tuple[Any, Any] | None = None,
        on_epoch: Callable[[NeuralNetMLP], None] | None = None,
    ) -> NeuralNetMLP:
        """Train from new random weights.

        Args:
            X: features (N, D), numbers of any type. Bytes may stay bytes: they become floats a mini-batch at a time.
            y: labels (N,).
            validation: X and y to evaluate after each epoch; never trained on.
            on_epoch: called after each epoch with this estimator, for a progress bar or a picture.

        Raises:
            ValueError: wrong parameters (all of them listed) or unusable data.
            FloatingPointError: the cost became infinite or NaN.
        """
        check_parameters(self)
        X, y = read_inputs(self, X, y, reset=True)
        self.classes_, labels = np.unique(y, return_inverse=True)
        held = None if validation is None else read_validation(self, validation, self.classes_)
        sizes = (X.shape[1], self.n_hidden, len(self.classes_))
        check_fits(self, len(X), sizes)
        generator = np.random.default_rng(self.random_state)
        flat = network.random_weights(sizes, generator).astype(
            self.dtype if self.solver == "sgd" else np.float64, copy=False
        )
        self._begin(network.split(flat, sizes), validated=held is not None)

        def each_epoch(steps: list[Step]) -> None:
            self._note(steps, len(X))
            if held is not None:
                loss, accuracy = self._judge(*held)
                self.validation_loss_.append(loss)
                self.validation_accuracy_.append(accuracy)
            self._say()
            if on_epoch is not None:
                on_epoch(self)

        penalties: dict[str, Any] = {"l1": self.l1, "l2": self.l2}
        with np.errstate(over="ignore", invalid="ignore"):  # _note reports an infinite cost once
            if self.solver == "sgd":
                settings = {name: getattr(self, name) for name in _OF_DESCENT}
                self.stopped_ = network.descend(flat, sizes, X, labels, generator, each_epoch, **penalties, **settings)
            else:
                self.stopped_ = network.minimise(
                    self.solver, flat, sizes, X, labels, each_epoch, **penalties, iterations=self.epochs
                )
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The label whose output is largest, for each row: (N,), of the type of ``classes_``."""
        logits = self._logits(X)  # first: it raises if there was no fit
        return np.asarray(self.classes_[logits.argmax(axis=1)])

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Probability of each class, in the order of ``classes_``: float64 (N, K), rows sum to 1.

        The K outputs answer K questions, "is it this one?", and need not sum to 1. Given that exactly one answer is
        yes, class k has a share in proportion to its odds, σ(z)/(1 − σ(z)) = eᶻ: this is the softmax of the logits.
        """
        return np.asarray(softmax(self._logits(X).astype(np.float64), axis=1))

    def gradient_check(self, X: Any, y: Any, *, most: int = 100, gradient: Gradient = backpropagate) -> GradientCheck:
        """Compare backpropagation with central differences, in float64, at the initial weights of `fit`.

        Not at trained weights: near a minimum slopes are so small that rounding dominates. The estimator is not
        changed.

        Args:
            X, y: as in `fit`; 100 rows suffice.
            most: upper bound of the checked weights of each matrix, drawn by ``random_state``.
            gradient: function to check, with the arguments of `glyphnet.scratch.network.backpropagate`.

        Raises:
            ValueError: as in `fit`.
        """
        check_parameters(self)
        X, y = read_inputs(clone(self), X, y, reset=True)
        classes, labels = np.unique(y, return_inverse=True)
        sizes = (X.shape[1], self.n_hidden, len(classes))
        generator = np.random.default_rng(self.random_state)
        flat = network.random_weights(sizes, generator)
        return network.check_gradient(
            flat, sizes, X, labels, generator, l1=self.l1, l2=self.l2, most=most, gradient=gradient
        )

    def _begin(self, weights: Weights, *, validated: bool) -> None:
        self.weights_, self.n_iter_ = weights, 0
        for name in ("cost_", "epoch_cost_", "train_loss_", "train_accuracy_"):
            setattr(self, name, [])
        for name in ("validation_loss_", "validation_accuracy_"):
            self.__dict__.pop(name, None)  # of an earlier fit
            if validated:
                setattr(self, name, [])

    def _note(self, steps: list[Step], rows: int) -> None:
        self.n_iter_ += 1
        costs = [step.cost for step in steps]
        self.cost_ += costs
        self.epoch_cost_.append(float(np.mean(costs)))
        self.train_loss_.append(sum(step.loss for step in steps) / rows)
        self.train_accuracy_.append(sum(step.right for step in steps) / rows)
        if not np.isfinite(self.epoch_cost_[-1]):
            raise FloatingPointError(
                f"The cost became {self.epoch_cost_[-1]} in epoch {self.n_iter_}. "
                f"Lower learning_rate (={self.learning_rate}), l1 (={self.l1}) or l2 (={self.l2})."
            )

    def _judge(self, X: Array, labels: Labels) -> tuple[float, float]:
        logits = self._forward(X)
        cost = network.cross_entropy(logits, np.eye(logits.shape[1])[labels]).sum()
        return float(cost) / len(X), float(np.mean(logits.argmax(axis=1) == labels))

    def _logits(self, X: Any) -> Array:
        check_is_fitted(self)
        return self._forward(read_inputs(self, X, reset=False))

    def _forward(self, X: Array) -> Array:
        parts = np.split(X, range(ROWS_AT_ONCE, len(X), ROWS_AT_ONCE))
        # Always in float64: a prediction must not depend on the other rows.
        return np.concatenate([network.forward(self.weights_, part.astype(np.float64))[1] for part in parts])

    def _say(self) -> None:
        if not self.verbose or self.n_iter_ % self.verbose:
            return
        parts = [f"cost {self.epoch_cost_[-1]:.4g}", f"training accuracy {100 * self.train_accuracy_[-1]:.2f} %"]
        if hasattr(self, "validation_accuracy_"):
            parts.append(f"validation accuracy {100 * self.validation_accuracy_[-1]:.2f} %")
        print(f"Epoch {self.n_iter_}/{self.epochs}: {', '.join(parts)}", file=sys.stderr)


MOST_WEIGHTS_OF_BFGS = 5_000  # a matrix of 200 MB, of which SciPy holds several


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
_OF_DESCENT = ("epochs", *_OF_SGD_ONLY[:-1])


def check_parameters(estimator: Any) -> None:
    """Report all wrong parameters of an estimator at once, and warn of those without effect.

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
        effect = f'without effect: solver="{given["solver"]}" takes all rows and its own steps.'
        warnings.warn(f"{name}: {', '.join(idle)} {effect}", UserWarning, stacklevel=3)


def check_fits(estimator: Any, rows: int, sizes: Sizes) -> None:
    """Check the parameters against the size of the data.

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

    With ``reset`` the estimator stores D and the column names; otherwise they must match the stored ones.

    Raises:
        ValueError: wrong shape or non-numeric values; the message says what to write instead.
    """
    shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    name = type(estimator).__name__
    known = None if reset else estimator.n_features_in_
    if len(shape) > 2 or (len(shape) == 1 and shape[0]):
        raise ValueError(
            f"Expected 2D array, got {len(shape)}D array instead: X of shape {shape}. Reshape your data"
            + (_reshape(shape, known) if len(shape) == 1 else ", a row an image: X.reshape(len(X), -1).")
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
        ValueError: as `read_inputs`; or not a pair, or labels that training did not have.
    """
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise ValueError(f"validation must be a pair, (X, y), not {type(validation).__name__}.")
    features, labels = read_inputs(estimator, *validation, reset=False)
    if not np.isin(labels, classes).all():
        new = np.setdiff1d(labels, classes).tolist()
        raise ValueError(f"The validation labels {new} are not in the training labels {classes.tolist()}.")
    return features, np.searchsorted(classes, labels)


def _reshape(shape: tuple[int, ...], known: int | None) -> str:
    if known is not None and shape[0] % known == 0:
        rows = shape[0] // known
        return f": X.reshape({rows}, -1) is {rows} row{'s'[: rows > 1]} of {known} features."
    return ": X.reshape(1, -1) if it is one row, X.reshape(-1, 1) if it is one feature of many rows."
