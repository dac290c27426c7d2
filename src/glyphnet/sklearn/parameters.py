"""The classifier's parameters: checked all at once, and what recipe they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field
from sklearn.utils import check_random_state

from ..augment import Augmenter
from ..errors import DeviceError
from ..nn import NetworkSpec
from ..nn.kinds import MLPSpec
from ..nn.spec import Activation, Dropout, Flag, Widths
from ..settings import Settings, parse_settings
from ..training import EarlyStopping, Recipe, choose_device
from ..training.optimizers import LBFGS, SGD, Adam, AdamW, Muon, Optimizer

LARGEST_BATCH = 200
"""What batch_size="auto" is at most, as in scikit-learn."""

MUON_RATIO = Muon().lr / Muon().adam_lr
"""Muon's rate is in a scale of its own: so many times that of the Adam beside it."""

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
        """The parameters in ``values``, which may be NumPy's numbers, as a search over them gives.

        Raises:
            SettingsError: all wrong parameters at once, with name and value. It is a ValueError.
        """
        return parse_settings(cls, {name: _plain(value) for name, value in values.items()}, where=where)

    def recipe(self, *, images: bool, seed: int, incremental: bool = False) -> Recipe:
        """The training that the parameters describe.

        Args:
            images: whether the inputs are images, not feature vectors.
            incremental: whether it continues for as long as `partial_fit` is called.

        Raises:
            SettingsError: parameters that are impossible together.
        """
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
    """A row of the table.

    Attributes:
        optimizer: the optimizer's settings.
        unused: the parameters that it has no use for.
        decays: whether ``l2`` is a decay of the weights beside the gradient, not a penalty in the loss.
    """

    optimizer: Callable[[Parameters], Optimizer]
    unused: tuple[str, ...] = ()
    decays: bool = False


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
