"""GlyphNet through its public training interface: uint8 images, default precision and threads."""

from __future__ import annotations

from typing import Any

import numpy as np
from _turns import Turns
from _works import CLASSES, Data, Int64Array, Work

from glyphnet.nn import logits_in_batches
from glyphnet.training import Callback, Examples, FitResult, HistoryRow, Recipe, TrainingState, fit

from .torch_networks import measure_norms

_NETWORKS: dict[str, dict[str, Any]] = {
    "conv": {"kind": "cnn-classic"},
    "residual": {"kind": "resnet", "channels": [32, 64, 128], "blocks": 1},
}
_PREPROCESSING = {"range": "unit_range", "norm": "unit_norm"}
_OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"name": "sgd", "momentum": 0.0},
    "adam": {"name": "adam"},
    "lbfgs": {"name": "lbfgs", "tolerance": 0.0},
}


class _Pause(Callback):
    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        self._turns.epoch_over()
        return False


def train(work: Work, data: Data, turns: Turns, wanted: int) -> tuple[Int64Array, str]:
    """Train for so many turns; the labels given to the test images, and how the arithmetic was done."""
    examples = Examples.of(data.images, data.labels)
    if work.optimizer == "lbfgs":

        def fitted(seed: int) -> tuple[FitResult, int]:
            result = fit(recipe_of(work, work.epochs, seed), examples, classes=CLASSES)
            return result, len(result.history)

        result = turns.of_fits(wanted, work.fits, fitted)
    else:
        result = fit(recipe_of(work, wanted * work.epochs), examples, classes=CLASSES, callbacks=[_Pause(turns)])
    measure_norms(result.network, map(result.preprocessing, examples.inputs.split(work.batch)))
    return _labels(result, data), f"{result.precision}, {result.threads} thread{'s' * (result.threads > 1)}"


def recipe_of(work: Work, epochs: int, seed: int = 0) -> Recipe:
    network = _NETWORKS.get(
        work.network,
        {"kind": "mlp", "hidden": list(work.hidden), "activation": work.activation, "dropout": work.dropout},
    )
    rate = {} if work.optimizer == "lbfgs" else {"lr": work.rate}
    return Recipe.parse(
        {
            "network": network,
            "preprocessing": _PREPROCESSING[work.scaled],
            "optimizer": {**_OPTIMIZERS[work.optimizer], **rate},
            "batch_size": work.batch,
            "epochs": epochs,
            "seed": seed,
        }
    )


def _labels(result: FitResult, data: Data) -> Int64Array:
    answers = logits_in_batches(result.network, result.preprocessing, data.test_images)
    return np.concatenate([logits.argmax(1).numpy() for logits in answers])
