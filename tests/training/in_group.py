"""What the processes of `test_distributed` do: a module that they can import."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from glyphnet.data import ImageDataset, Splits, load
from glyphnet.errors import DataError
from glyphnet.training import Callback, Examples, HistoryRow, Recipe, StepInfo, TrainingState, write_checkpoint
from glyphnet.training.collective import ALONE, Collective, joined
from glyphnet.training.device import Place
from glyphnet.training.fit import Fitting

# 200 images in 5 batches of 40 or in 6 of 33 and 34, which no number of processes shares evenly.
MLP = Recipe.parse(
    {
        "network": {"kind": "mlp", "hidden": [32]}, "optimizer": {"name": "sgd", "lr": 0.2}, "batch_size": 35,
        "loss": {"name": "cross_entropy", "class_weight": "balanced"}, "l2": 1e-3, "epochs": 3, "precision": "fp32",
        "schedule": "one-cycle",
    }
)  # fmt: skip
CNN = Recipe.parse(
    {
        "network": {"kind": "cnn", "stem": 8, "channels": [16], "dense": [32], "stem_stride": 1, "batch_norm": True},
        "optimizer": {"name": "sgd", "lr": 0.1, "nesterov": True}, "batch_size": 35, "epochs": 6, "ema": 0.9,
        "precision": "fp32", "early_stopping": {"patience": 2, "min_delta": 0.05},
    }
)  # fmt: skip
RECIPES = {
    "mlp": MLP,
    "cnn": CNN,
    "lbfgs": MLP.override({"optimizer": "lbfgs", "schedule": "constant", "epochs": 5}),
    "random": CNN.override({"network.dropout": 0.3, "augment": {"shift": 1, "mixup": 0.3}, "epochs": 3}),
}
SAME_AS_ALONE = ("mlp", "cnn", "lbfgs")
"""Of what is drawn at random several processes draw other numbers than one."""

COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy", "lr")


class StopAt(Callback):
    """Stops at the first chance after so many steps."""

    def __init__(self, step: int) -> None:
        self._step = step

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        return state.total_steps >= self._step

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        return state.total_steps >= self._step


class Fail(Callback):
    """Fails after a step."""

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        raise DataError("this picture is bad.")


def few_digits() -> Splits:
    digits = load("digits")
    parts = (digits.train.subset(slice(200)), digits.train.subset(slice(200, 260)), digits.test.subset(slice(60)))
    return Splits("few digits", *parts)


def fitting(name: str, splits: Splits, collective: Collective = ALONE) -> Fitting:
    recipe, train = RECIPES[name], splits.train
    if recipe.optimizer.full_batch:
        train = train.subset(np.arange(5000) % len(train))  # more than go through the network at once
    return Fitting(recipe, _examples(train), _examples(splits.validation), 10, "cpu", collective)


def figures(fitting: Fitting, *callbacks: Callback) -> dict[str, np.ndarray]:
    """Train; the curve and the weights."""
    result = fitting.run(callbacks=callbacks)
    curve = np.array([[row[key] for key in COLUMNS] for row in result.history], dtype=float)
    weights = torch.cat([each.double().reshape(-1) for each in result.network.state_dict().values()])
    return {"curve": curve, "weights": weights.numpy(), "best": np.array(result.best_epoch)}


def main(folder: str) -> None:
    """Train each recipe, unbroken and in two parts, and write down what the first process has."""
    splits, place = few_digits(), Place.from_environment()
    with joined(place, "cpu") as group:
        for name in RECIPES:
            found = {"whole": figures(fitting(name, splits, group))}
            path = Path(folder) / "checkpoint"
            stopped = fitting(name, splits, group)
            stopped.run(callbacks=[StopAt(2)] if place.rank == 0 else [])
            if place.rank == 0:
                write_checkpoint(path, stopped.state, stopped.terms)
            group.any(False)  # it is written
            resumed = fitting(name, splits, group)
            if place.rank == 0:
                resumed.read_checkpoint(path, resumed.terms)
                assert 0 < resumed.state.total_steps < 10
            found["resumed"] = figures(resumed)
            if place.rank == 0:
                arrays = {f"{kind}-{key}": value for kind, each in found.items() for key, value in each.items()}
                np.savez(Path(folder) / name, **arrays)


def _examples(dataset: ImageDataset) -> Examples:
    return Examples.of(dataset.images, dataset.labels)
