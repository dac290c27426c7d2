# ruff: noqa: N803  # scikit-learn's name for inputs is X
"""The classifier: scikit-learn's interface to the project's one training loop."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BeforeValidator, Field
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import nn

from ..augment import Augmenter
from ..classifier import Classifier
from ..errors import DeviceError, DivergedError
from ..nn import NetworkSpec, Preprocessing, logits_in_batches
from ..nn.kinds import MLPSpec
from ..nn.spec import Activation, Dropout, Flag, Widths
from ..settings import Settings, parse_settings
from ..training import (
    Callback,
    EarlyStopping,
    Examples,
    FitResult,
    Fitting,
    HistoryRow,
    Recipe,
    TrainingState,
    choose_device,
)
from ..training.optimizers import LBFGS, SGD, Adam, AdamW, Muon, Optimizer
from .rows import AnyArray, Float64Array, Inputs, Rows, encode, read, read_weights


def _supports_partial_fit(estimator: Any) -> bool:
    """True, or AttributeError with the reason why there is no `partial_fit`."""
    if estimator.solver == "lbfgs":
        raise AttributeError('solver="lbfgs" has no partial_fit: each step needs all rows.')
    if estimator.early_stopping:
        raise AttributeError("early_stopping=True allows no partial_fit: it holds out a part of all rows.")
    return True


class GlyphClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """A neural-network classifier of images or feature vectors, for scikit-learn.

    Inputs, ``X`` everywhere, are features (N, D), taken as float32, or images, uint8 (N, H, W) or (N, H, W, C).
    Both are standardised with mean and standard deviation of the training data, per feature or channel.
    Labels are of any sortable type. The order of the rows has no effect, and a weight of 3 equals three copies of the
    row, to the last bit. Training copies the rows: for images that fill the memory use `glyphnet.training`, which
    gathers them by batch.

    The parameters are those of MLPClassifier, except as noted here. A warning names those that were set but have no
    effect in combination with the others.

    Args:
        hidden_layer_sizes: width of each hidden layer; one number for one layer, () for none.
        activation: "relu", "tanh", "logistic" or "sigmoid", "identity", "gelu", "silu", "leaky_relu".
        solver: "adam", "sgd", "lbfgs", "adamw", "muon". Muon's matrices learn at 20 × ``learning_rate_init``.
        l2: half the factor of Σw² in the loss, biases left out; with "adamw" and "muon" their weight decay.
            MLPClassifier's ``alpha`` is divided by the rows of a batch: 1e-4 there is 5e-7 here, of 200 rows.
        batch_size: rows per step, at most; "auto" is min(200, N).
        learning_rate_init: the learning rate; it stays constant.
        momentum, nesterovs_momentum: for "sgd" and "muon".
        max_iter: epochs, at most; with "lbfgs", iterations.
        tol, n_iter_no_change: training ends when the loss (with ``early_stopping`` the accuracy on the held-out rows)
            has not improved by ``tol`` in that many epochs; with "lbfgs" also when no gradient exceeds ``tol``.
        early_stopping: hold out ``validation_fraction`` of the rows, stratified, and keep the weights of the
            epoch that was best on them.
        dropout: share of each hidden layer's outputs that training drops.
        network: another network: a kind ("cnn", "resnet", …) or a mapping, ``{"kind": "cnn", "stem": 16}``.
        augment: strength of each random change of the training images, by name: ``{"shift": 1}``.
        class_weight: None, "balanced", or a factor by label; the mean over the training rows is made 1.
        random_state: of the initial weights, the order, dropout, augmentation and the rows held out.
        warm_start: begin the next `fit` from the weights of the last one.
        device: where to train: "cpu", "cuda", "cuda:N", "mps", "auto". Predictions are computed on the CPU.
        verbose: print one line per epoch.

    Attributes:
        classes_: the K labels, sorted.
        n_features_in_: D, or H·W·C.
        feature_names_in_: names of the columns, where ``X`` had any.
        input_shape_: (D,) or (H, W, C).
        n_iter_: epochs of the last `fit`, plus those of `partial_fit` since.
        loss_curve_: mean loss of each epoch, without the penalty; with ``warm_start`` of earlier fits too.
        loss_, best_loss_: the last and the lowest of it; ``best_loss_`` is None with ``early_stopping``.
        validation_scores_, best_validation_score_: accuracy on the held-out rows by epoch, and the best; or None.
        network_, preprocessing_, recipe_: the network on the CPU, its preprocessing, its recipe.

    Example:
        >>> from glyphnet.sklearn import GlyphClassifier
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.model_selection import train_test_split
        >>> X, y = load_digits(return_X_y=True)
        >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        >>> classifier = GlyphClassifier(early_stopping=True, random_state=0).fit(X_train, y_train)
        >>> classifier.predict(X_test[:5])
        array([2, 8, 2, 6, 6])
        >>> classifier.score(X_test, y_test) > 0.95
        True
    """

    classes_: AnyArray
    network_: nn.Module
    preprocessing_: Preprocessing
    recipe_: Recipe
    loss_curve_: list[float]
    _progress: dict[str, Any] | None

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        l2: Any = 1e-4,
        batch_size: Any = "auto",
        learning_rate_init: Any = 0.001,
        momentum: Any = 0.9,
        nesterovs_momentum: Any = True,
        max_iter: Any = 200,
        tol: Any = 1e-4,
        n_iter_no_change: Any = 10,
        early_stopping: Any = False,
        validation_fraction: Any = 0.1,
        dropout: Any = 0.0,
        network: Any = None,
        augment: Any = None,
        class_weight: Any = None,
        random_state: Any = None,
        warm_start: Any = False,
        device: Any = "cpu",
        verbose: Any = False,
    ) -> None:
        self.hidden_layer_sizes, self.activation, self.solver = hidden_layer_sizes, activation, solver
        self.l2, self.batch_size, self.learning_rate_init = l2, batch_size, learning_rate_init
        self.momentum, self.nesterovs_momentum = momentum, nesterovs_momentum
        self.max_iter, self.tol, self.n_iter_no_change = max_iter, tol, n_iter_no_change
        self.early_stopping, self.validation_fraction = early_stopping, validation_fraction
        self.dropout, self.network, self.augment, self.class_weight = dropout, network, augment, class_weight
        self.random_state, self.warm_start, self.device, self.verbose = random_state, warm_start, device, verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> GlyphClassifier:
        """Train from new weights, or with ``warm_start`` from the weights of the last fit.

        Args:
            X, y: inputs, see the class, and labels (N,).
            sample_weight: weight of each row (N,): 3 is three copies, 0 none, a fraction a factor on its loss.

        Raises:
            ValueError: wrong parameters (all of them listed) or unusable data.
            DivergedError: the loss became NaN or infinite.
        """
        parameters = self._parameters()
        warm = parameters.warm_start and hasattr(self, "network_")
        inputs, y = read(self, X, y, reset=not warm)
        classes = np.unique(y)
        if warm and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"warm_start=True needs the classes of the last fit, {self.classes_.tolist()}, "
                f"but y has {classes.tolist()}."
            )
        labels = encode(y, classes)
        rows = Rows.of(inputs, labels, read_weights(sample_weight, inputs))
        recipe = self._recipe(parameters, inputs)
        validation = None
        if parameters.early_stopping:
            rows, held = rows.hold_out(labels, parameters.validation_fraction, recipe.seed)
            validation = Examples.of(inputs[held.index], labels[held.index])
        train = rows.examples(inputs, labels, classes, parameters.class_weight, relative=True)
        fitting = Fitting(recipe, train, validation, len(classes), parameters.device)
        if warm:
            _start_from(fitting, self.recipe_, self.network_, self.preprocessing_)
        result = _run(fitting, verbose=parameters.verbose)
        self._take(result, recipe, classes, earlier=self.loss_curve_ if warm else [])
        self._progress = None
        if result.ending == "finished":
            warnings.warn(
                f"Not converged in max_iter={parameters.max_iter} epochs. Raise max_iter or tol.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    @available_if(_supports_partial_fit)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> GlyphClassifier:
        """Train for one epoch on these rows, continuing from the last call or `fit`.

        Inputs are standardised with the statistics of the first call.

        Args:
            X, y, sample_weight: as in `fit`.
            classes: all labels that any call will have (K,); required in the first call.

        Raises:
            ValueError, DivergedError: as in `fit`; or ``classes`` are missing, changed, or lack a label.
        """
        first = not hasattr(self, "network_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        parameters = self._parameters(warn=first)
        if parameters.class_weight == "balanced":
            raise ValueError(
                'class_weight="balanced" is not possible in partial_fit, which does not see all rows. '
                "Give the weights by label; sklearn.utils.class_weight.compute_class_weight computes them."
            )
        inputs, y = read(self, X, y, reset=first)
        known = np.unique(classes) if first else self.classes_
        if classes is not None and not np.array_equal(np.unique(classes), known):
            raise ValueError(f"classes={classes!r} are not those of the last call, {known.tolist()}.")
        labels = encode(y, known)
        rows = Rows.of(inputs, labels, read_weights(sample_weight, inputs))
        train = rows.examples(inputs, labels, known, parameters.class_weight, relative=False)
        recipe, state = self._recipe(parameters, inputs, incremental=True), None
        if progress := getattr(self, "_progress", None):
            # Same parameters: resume the optimizer too. Otherwise, or after `fit`, keep only the weights.
            before = progress["recipe"]
            if before == recipe.model_copy(update={"seed": before.seed}):
                recipe, state = before, progress["state"]
        fitting = Fitting(recipe, train, None, len(known), parameters.device)
        if not first:
            _start_from(fitting, self.recipe_, self.network_, self.preprocessing_, state)
        result = _run(fitting, verbose=parameters.verbose, epochs=1)
        self._take(result, recipe, known)
        self._progress = {"recipe": recipe, "state": fitting.state.state_dict()}
        return self

    def predict(self, X: Any) -> AnyArray:
        """The likeliest label of each row: (N,), of the type of ``classes_``."""
        likeliest = self.predict_proba(X).argmax(axis=1)  # first: it raises if there was no fit
        return np.asarray(self.classes_[likeliest])

    def predict_proba(self, X: Any) -> Float64Array:
        """Probability of each class, in the order of ``classes_``: float64 (N, K), rows sum to 1."""
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> Float64Array:
        """The logarithm of `predict_proba`, exact also where that is 0: float64 (N, K)."""
        check_is_fitted(self, "network_")
        return _log_probabilities(self.network_, self.preprocessing_, read(self, X, reset=False)[0])

    def to_classifier(self) -> Classifier:
        """The trained `glyphnet.classifier.Classifier`, with labels as names; ValueError if trained on features."""
        check_is_fitted(self, "network_")
        if len(self.input_shape_) != 3:
            raise ValueError(
                f"This was trained on vectors of {self.n_features_in_} features; a Classifier needs images."
            )
        return Classifier(
            network=copy.deepcopy(self.network_),
            spec=self.recipe_.network,
            input_shape=self.input_shape_,
            classes=tuple(str(label) for label in self.classes_),
            preprocessing=self.preprocessing_,
            recipe=self.recipe_.model_dump(mode="json"),
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _parameters(self, *, warn: bool = True) -> Parameters:
        parameters = Parameters.check(self.get_params(deep=False), where=type(self).__name__)
        if warn and (idle := parameters.without_effect()):
            message = f"{type(self).__name__} has parameters without effect: {'; '.join(idle)}."
            warnings.warn(message, UserWarning, stacklevel=3)
        return parameters

    def _recipe(self, parameters: Parameters, inputs: Inputs, *, incremental: bool = False) -> Recipe:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return parameters.recipe(images=inputs.ndim == 4, seed=seed, incremental=incremental)

    def _take(self, result: FitResult, recipe: Recipe, classes: AnyArray, earlier: list[float] | None = None) -> None:
        """Store the results of a training in the estimator's attributes."""
        early, history = recipe.early_stopping, result.history
        held_out = early is not None and early.monitor == "val_accuracy"
        self.classes_, self.recipe_ = classes, recipe
        self.network_, self.preprocessing_ = result.network, result.preprocessing
        self.n_iter_ = len(history)
        self.loss_curve_ = [*(earlier or ()), *(row["loss"] or 0.0 for row in history)]
        self.loss_ = self.loss_curve_[-1]
        self.best_loss_ = None if held_out else min(self.loss_curve_)
        self.validation_scores_ = [row["val_accuracy"] or 0.0 for row in history] if held_out else None
        self.best_validation_score_ = max(self.validation_scores_) if self.validation_scores_ else None


def _start_from(
    fitting: Fitting,
    before: Recipe,
    network: nn.Module,
    preprocessing: Preprocessing,
    state: dict[str, Any] | None = None,
) -> None:
    """Start from the network and preprocessing of an earlier training; from its `TrainingState`, with the optimizer.

    ValueError if its recipe describes another network.
    """
    if fitting.recipe.network != before.network:
        raise ValueError(
            f"The network is now {fitting.recipe.network!r}, but the trained weights belong to {before.network!r}. "
            "To start over, clone the estimator or fit with warm_start=False."
        )
    fitting.state.preprocessing = preprocessing
    if state is None:
        fitting.state.network.load_state_dict(network.state_dict())
    else:
        fitting.state.load_state_dict(copy.deepcopy(state))


def _run(fitting: Fitting, *, verbose: bool, epochs: int | None = None) -> FitResult:
    """Run the training to its end, or for ``epochs`` epochs."""
    try:
        return fitting.run(callbacks=[_Printer()] if verbose else [], epochs=epochs)
    except DivergedError as error:
        renamed = DivergedError(str(error).replace("optimizer.lr", "learning_rate_init"))
        renamed.result = error.result
        raise renamed from None


class _Printer(Callback):
    """Prints one line per epoch."""

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        accuracy = row["val_accuracy"]
        validation = "" if accuracy is None else f", validation accuracy {accuracy:.4f}"
        print(f"Epoch {state.epoch}: loss {row['loss']:.6f}{validation}")
        return False


def _log_probabilities(network: nn.Module, preprocessing: Preprocessing, inputs: Inputs) -> Float64Array:
    """The logarithm of each class' probability: float64 (N, K).

    The result of a row does not depend on the other rows: features (N, D) are computed in float64, because in float32
    the last digits of a row change with the batch size. Images (N, H, W, C), which would take four times as long, are
    computed in float32.
    """
    computing = network if inputs.ndim == 4 else _InFloat64(network)
    batches = logits_in_batches(computing, preprocessing, inputs)
    answers: Float64Array = torch.cat([logits.double().log_softmax(1) for logits in batches]).numpy()
    return answers


class _InFloat64(nn.Module):
    """A network that computes in float64."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, float64 (n, K)."""
        logits: torch.Tensor = self.network(x.double())
        return logits


# The parameters: checked all at once, and the recipe that they stand for

LARGEST_BATCH = 200  # the most that batch_size="auto" is, as in scikit-learn
MUON_RATIO = Muon().lr / Muon().adam_lr  # Muon's rate has a scale of its own

Count = Annotated[int, Field(strict=True, ge=1)]
Positive = Annotated[float, Field(strict=True, gt=0.0)]
NotNegative = Annotated[float, Field(strict=True, ge=0.0)]


def _class_weight(value: Any) -> Any:
    by_label = isinstance(value, Mapping) and all(
        isinstance(weight, (int, float)) and 0 <= weight < np.inf for weight in value.values()
    )
    if value is None or by_label or (isinstance(value, str) and value == "balanced"):
        return value
    raise ValueError(f'must be None, "balanced" or a weight of 0 or more by label, not {value!r:.60}')


def _augment(value: Any) -> Any:
    if isinstance(value, Mapping):
        Augmenter(value)  # says what is wrong with them
    return value


def _device(value: Any) -> Any:
    if isinstance(value, str):
        try:
            choose_device(value)
        except DeviceError as error:
            raise ValueError(str(error)) from None
    return value


def _random_state(value: Any) -> Any:
    check_random_state(value)
    return value


class Parameters(Settings):
    """The parameters of `GlyphClassifier`, checked; see there for what they mean."""

    hidden_layer_sizes: Annotated[Widths, BeforeValidator(lambda v: (v,) if isinstance(v, int) else v)] = (100,)
    activation: Annotated[Activation, BeforeValidator(lambda v: "sigmoid" if v == "logistic" else v)] = "relu"
    solver: Literal["adam", "sgd", "lbfgs", "adamw", "muon"] = "adam"
    l2: NotNegative = 1e-4
    batch_size: Annotated[Count | None, BeforeValidator(lambda v: None if v == "auto" else v)] = None
    learning_rate_init: Positive = 0.001
    momentum: Annotated[float, Field(strict=True, ge=0.0, lt=1.0)] = 0.9
    nesterovs_momentum: Flag = True
    max_iter: Count = 200
    tol: NotNegative = 1e-4
    n_iter_no_change: Count = 10
    early_stopping: Flag = False
    validation_fraction: Annotated[float, Field(strict=True, gt=0.0, lt=1.0)] = 0.1
    dropout: Dropout = 0.0
    network: Annotated[NetworkSpec | None, BeforeValidator(lambda v: {"kind": v} if isinstance(v, str) else v)] = None
    augment: Annotated[dict[str, float] | None, BeforeValidator(_augment)] = None
    class_weight: Annotated[Any, BeforeValidator(_class_weight)] = None
    random_state: Annotated[Any, BeforeValidator(_random_state)] = None
    warm_start: Flag = False
    device: Annotated[str, BeforeValidator(_device)] = "cpu"
    verbose: Flag = False

    @classmethod
    def check(cls, values: Mapping[str, Any], where: str) -> Parameters:
        """The parameters in ``values``, which may be NumPy's; SettingsError, a ValueError, names all wrong ones."""
        return parse_settings(cls, {name: _plain(value) for name, value in values.items()}, where=where)

    def recipe(self, *, images: bool, seed: int, incremental: bool = False) -> Recipe:
        """The training that the parameters describe: on images or feature vectors, by `fit` or by `partial_fit`."""
        solver = SOLVERS[self.solver]
        stop = EarlyStopping(
            patience=self.n_iter_no_change,
            min_delta=self.tol,
            monitor="val_accuracy" if self.early_stopping else "loss",
        )
        network = self.network or MLPSpec(
            hidden=self.hidden_layer_sizes, activation=self.activation, dropout=self.dropout
        )
        return parse_settings(
            Recipe,
            {
                "network": network,
                "optimizer": solver.optimizer(self),
                "augment": self.augment or {},
                "l2": 0.0 if solver.decays else self.l2,
                "epochs": self.max_iter,
                "batch_size": self.batch_size or LARGEST_BATCH,
                "early_stopping": None if incremental else stop,
                # On tables bf16 saves no time worth its digits.
                "precision": "auto" if images else "fp32",
                "seed": seed,
            },
        )

    def without_effect(self) -> list[str]:
        """What was given, is not the default, and changes nothing: name, value and why."""
        why = dict.fromkeys(SOLVERS[self.solver].unused, f'solver="{self.solver}"')
        if self.network is not None:
            why |= dict.fromkeys(("hidden_layer_sizes", "activation", "dropout"), "network is given")
        elif not self.hidden_layer_sizes:
            why |= dict.fromkeys(("activation", "dropout"), "hidden_layer_sizes is empty")
        if not self.early_stopping:
            why["validation_fraction"] = "early_stopping=False"
        return [
            f"{name}={getattr(self, name)!r} ({reason})"
            for name, reason in why.items()
            if getattr(self, name) != type(self).model_fields[name].default
        ]


@dataclass(frozen=True)
class Solver:
    """A row of the table."""

    optimizer: Callable[[Parameters], Optimizer]
    unused: tuple[str, ...] = ()  # parameters without effect
    decays: bool = False  # ``l2`` is a decay of the weights beside the gradient, not a penalty in the loss


SOLVERS: dict[str, Solver] = {
    "adam": Solver(lambda p: Adam(lr=p.learning_rate_init), ("momentum", "nesterovs_momentum")),
    "sgd": Solver(
        lambda p: SGD(lr=p.learning_rate_init, momentum=p.momentum, nesterov=p.nesterovs_momentum and p.momentum > 0)
    ),
    "lbfgs": Solver(
        lambda p: LBFGS(tolerance=p.tol), ("learning_rate_init", "momentum", "nesterovs_momentum", "batch_size")
    ),
    "adamw": Solver(
        lambda p: AdamW(lr=p.learning_rate_init, weight_decay=p.l2), ("momentum", "nesterovs_momentum"), decays=True
    ),
    "muon": Solver(
        lambda p: Muon(
            lr=MUON_RATIO * p.learning_rate_init,
            adam_lr=p.learning_rate_init,
            momentum=p.momentum,
            nesterov=p.nesterovs_momentum,
            weight_decay=p.l2,
        ),
        decays=True,
    ),
}


def _plain(value: Any) -> Any:
    """NumPy's scalars and arrays as Python's own, inside lists too."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return value
