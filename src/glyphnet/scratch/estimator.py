# ruff: noqa: N803, N806  # X: scikit-learn's name for inputs
"""The network with scikit-learn's manners."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from .checks import check_fits, check_parameters, read_inputs, read_validation
from .gradientcheck import Gradient, GradientCheck, check_gradient
from .network import (
    Array,
    Labels,
    Sizes,
    Step,
    Weights,
    backpropagate,
    cross_entropy,
    descend,
    forward,
    minimise,
    random_weights,
    split,
)

ROWS_AT_ONCE = 4096  # what is judged goes by parts, so that few bytes at a time are turned into floats


class NeuralNetMLP(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """A classifier of one hidden layer of sigmoids and a sigmoid output for each class, from scratch.

    The formulas are in `glyphnet.scratch.network`. Costs and gradients are summed over the rows of a mini-batch, not
    averaged: with larger mini-batches take a lower learning rate. The same ``random_state`` gives the same bits on the
    same machine with the same libraries and number of BLAS threads.

    Args:
        n_hidden: hidden units.
        l1, l2: how strongly large weights are penalised: l1/2·Σ|w| and l2/2·Σw².
        epochs: passes through the data; with "lbfgs" and "bfgs" iterations, at most.
        learning_rate: how far a step goes for each unit of slope.
        momentum: each step adds so much of the previous one: step = −rate·gradient + momentum·previous step.
        decay: in epoch t, counted from 0, the rate is learning_rate/(1 + t·decay).
        cumulative_decay: divide the rate of the epoch before by 1 + t·decay, not the first one. The known network does
            so, against its documentation, and owes its accuracy to it: decay=1e-5 makes the rate 1 % lower after 1,000
            epochs as documented, and 148 times lower so.
        shuffle: draw a new order of the rows for each epoch.
        minibatches: parts that an epoch is cut into, a step each.
        solver: "sgd" goes down by mini-batches; "lbfgs" and "bfgs" are SciPy's, on all rows at once.
        dtype: "float64", or "float32" for twice the speed; of "sgd" only.
        random_state: seed, or `numpy.random.Generator`, of the first weights and the orders; None: another each time.
        verbose: after how many epochs each to print a line on standard error; True is each, False never.

    The names of the known network after which this one is made, and those here::

        n_output, n_features    found in the data: len(classes_), n_features_in_
        eta                     learning_rate
        alpha                   momentum           (in scikit-learn alpha is the L2 penalty)
        decrease_const          decay              (with cumulative_decay=True)
        print_progress          verbose

    Attributes:
        classes_: the K labels, sorted; of any type that sorts.
        n_features_in_: D.
        feature_names_in_: names of the columns, where ``X`` had any.
        weights_: the `Weights`: W1 (H, D), b1 (H,), W2 (K, H), b2 (K,).
        cost_: J of every mini-batch, just before its step; with "lbfgs" and "bfgs" of all rows after each iteration.
        epoch_cost_: the mean of ``cost_`` over each epoch.
        train_loss_, train_accuracy_: of each epoch; the loss is J without the penalty, divided by the rows. Both come
            from the forward passes of the mini-batches, each with the weights of its moment, and so cost no time.
            `score` judges the final weights.
        validation_loss_, validation_accuracy_: after each epoch; only if `fit` was given validation data.
        n_iter_: epochs or iterations done.
        stopped_: why training ended, in words.

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
        self.n_hidden = n_hidden
        self.l1 = l1
        self.l2 = l2
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.decay = decay
        self.cumulative_decay = cumulative_decay
        self.shuffle = shuffle
        self.minibatches = minibatches
        self.solver = solver
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

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
            validation: X and y to judge after each epoch. Nothing is learnt from them.
            on_epoch: called after each epoch with this estimator, for a progress bar or a picture.

        Raises:
            ValueError: wrong parameters, all of them listed, or data that cannot be learnt from.
            FloatingPointError: the cost grew beyond all numbers.
        """
        check_parameters(self)
        X, y = read_inputs(self, X, y, reset=True)
        self.classes_, labels = np.unique(y, return_inverse=True)
        held = None if validation is None else read_validation(self, validation, self.classes_)
        sizes = (X.shape[1], self.n_hidden, len(self.classes_))
        check_fits(self, len(X), sizes)
        generator = np.random.default_rng(self.random_state)
        flat = random_weights(sizes, generator).astype(self.dtype if self.solver == "sgd" else np.float64, copy=False)
        self._begin(split(flat, sizes), validated=held is not None)

        def each_epoch(steps: list[Step]) -> None:
            self._note(steps, len(X))
            if held is not None:
                loss, accuracy = self._judge(*held)
                self.validation_loss_.append(loss)
                self.validation_accuracy_.append(accuracy)
            self._say()
            if on_epoch is not None:
                on_epoch(self)

        with np.errstate(over="ignore", invalid="ignore"):  # a cost that is no number is named, once, by _note
            self.stopped_ = self._train(flat, sizes, X, labels, generator, each_epoch)
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The label whose output is largest, for each row: (N,), of the type of ``classes_``."""
        logits = self._logits(X)  # first: it says so if there was no fit
        return np.asarray(self.classes_[logits.argmax(axis=1)])

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Probability of each class, in the order of ``classes_``: float64 (N, K), rows sum to 1.

        The K outputs answer K questions, "is it this one?", and need not sum to 1. Given that exactly one answer is
        yes, class k has a share in proportion to its odds, σ(z)/(1 − σ(z)) = eᶻ: this is the softmax of the logits.
        """
        return np.asarray(softmax(self._logits(X).astype(np.float64), axis=1))

    def gradient_check(self, X: Any, y: Any, *, most: int = 100, gradient: Gradient = backpropagate) -> GradientCheck:
        """Backpropagation against central differences, in float64, at the weights that `fit` would begin with.

        Not at trained weights: at the bottom of the valley slopes are so small that rounding is most of them. The
        estimator stays as it is.

        Args:
            X, y: as in `fit`; 100 rows are enough.
            most: weights of each matrix to look at: all, or so many drawn by ``random_state``.
            gradient: another function to check, with the arguments of `glyphnet.scratch.network.backpropagate`.

        Raises:
            ValueError: as in `fit`.
        """
        check_parameters(self)
        X, y = read_inputs(clone(self), X, y, reset=True)
        classes, labels = np.unique(y, return_inverse=True)
        sizes = (X.shape[1], self.n_hidden, len(classes))
        generator = np.random.default_rng(self.random_state)
        flat = random_weights(sizes, generator)
        return check_gradient(flat, sizes, X, labels, generator, l1=self.l1, l2=self.l2, most=most, gradient=gradient)

    def _train(
        self,
        flat: Array,
        sizes: Sizes,
        X: Array,
        labels: Labels,
        generator: np.random.Generator,
        each_epoch: Callable[[list[Step]], None],
    ) -> str:
        penalties = {"l1": self.l1, "l2": self.l2}
        if self.solver != "sgd":
            return minimise(self.solver, flat, sizes, X, labels, each_epoch, **penalties, iterations=self.epochs)
        return descend(
            flat, sizes, X, labels, generator, each_epoch, **penalties,
            epochs=self.epochs, learning_rate=self.learning_rate, momentum=self.momentum, decay=self.decay,
            cumulative_decay=self.cumulative_decay, shuffle=self.shuffle, minibatches=self.minibatches,
        )  # fmt: skip

    def _begin(self, weights: Weights, *, validated: bool) -> None:
        self.weights_, self.n_iter_ = weights, 0
        self.cost_: list[float] = []
        self.epoch_cost_: list[float] = []
        self.train_loss_: list[float] = []
        self.train_accuracy_: list[float] = []
        for name in ("validation_loss_", "validation_accuracy_"):
            self.__dict__.pop(name, None)  # of an earlier fit
        if validated:
            self.validation_loss_: list[float] = []
            self.validation_accuracy_: list[float] = []

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
        cost = cross_entropy(logits, np.eye(logits.shape[1])[labels]).sum()
        return float(cost) / len(X), float(np.mean(logits.argmax(axis=1) == labels))

    def _logits(self, X: Any) -> Array:
        check_is_fitted(self)
        return self._forward(read_inputs(self, X, reset=False))

    def _forward(self, X: Array) -> Array:
        parts = np.split(X, range(ROWS_AT_ONCE, len(X), ROWS_AT_ONCE))
        # In float64 whatever the weights are: an answer must not depend on which other rows are asked about.
        return np.concatenate([forward(self.weights_, part.astype(np.float64))[1] for part in parts])

    def _say(self) -> None:
        if not self.verbose or self.n_iter_ % self.verbose:
            return
        parts = [f"cost {self.epoch_cost_[-1]:.4g}", f"training accuracy {100 * self.train_accuracy_[-1]:.2f} %"]
        if hasattr(self, "validation_accuracy_"):
            parts.append(f"validation accuracy {100 * self.validation_accuracy_[-1]:.2f} %")
        print(f"Epoch {self.n_iter_}/{self.epochs}: {', '.join(parts)}", file=sys.stderr)
