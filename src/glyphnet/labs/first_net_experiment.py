"""The experiment: the published network, then with sigmoids instead of ReLU, and deeper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ..data import Splits
from ..explain import DeadUnits, dead_units
from ..nn import Preprocessing, build
from ..training import Recipe
from .lab import Progress
from .training import TrainedNetwork, Trainer, TrainingSettings, accuracies, image_counts, recipe

ACTIVATIONS = ("relu", "sigmoid")
DEEP = 5  # hidden layers of the deep pair

SEEN = (("Keras on JAX", 1.0, 1.3), ("Keras on TensorFlow", 3.7, 3.7), ("Keras on PyTorch", 7.5, 7.5))
"""Seconds an epoch of this very network, seen on a 2-core AMD EPYC with Python 3.11; from, to."""

_KNOWN_PAIRS = (("4", "9"), ("7", "9"), ("2", "7"))  # that such a network mixes up on MNIST
_LOOKED_AT = 512  # images in the one batch whose gradients are measured


@dataclass(frozen=True, eq=False)
class Result:
    """All that was trained.

    Attributes:
        splits: the data.
        trained: by activation and number of hidden layers, one a seed.
        dead: the dead units of the first ReLU network, a row a layer.
        gradients: by activation, of the deep pair before the first step: each layer's RMS gradient.
    """

    splits: Splits
    trained: dict[tuple[str, int], list[TrainedNetwork]]
    dead: list[DeadUnits]
    gradients: dict[str, list[float]]

    @property
    def main(self) -> TrainedNetwork:
        """The known network, with the first seed."""
        return self.trained["relu", 1][0]


def known_recipe(settings: TrainingSettings, activation: str, layers: int, seed: int) -> Recipe:
    """The published network, 784–128–dropout 0.2–10 by Adam; deeper: ``layers`` times 128."""
    network = {
        "kind": "mlp",
        "hidden": [128] * layers,
        "dropout": 0.2 if layers == 1 else 0.0,
        "activation": activation,
    }
    return recipe(
        network, preprocessing="unit_range", epochs=settings.passes(full=10, quick=15), batch_size=32, seed=seed
    )


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
    """Train all of it."""
    splits = settings.read(progress)
    seeds = range(settings.repetitions(full=1, quick=1))
    kinds = [(activation, layers) for layers in (1, DEEP) for activation in ACTIVATIONS]
    trainer = Trainer(progress, len(kinds) * len(seeds))
    trained = {
        (activation, layers): [
            trainer.train(splits, known_recipe(settings, activation, layers, seed), f"training ({activation})")
            for seed in seeds
        ]
        for activation, layers in kinds
    }
    dead = dead_units(trained["relu", 1][0].classifier, splits.test.images)
    deep = {name: gradients(known_recipe(settings, name, DEEP, 0), splits) for name in ACTIVATIONS}
    return Result(splits, trained, dead, deep)


def gradients(asked: Recipe, splits: Splits) -> list[float]:
    """How strong a gradient reaches the weights of each layer before the first step: its root mean square.

    Args:
        asked: the network is built from this recipe and its seed.
        splits: the first training images are the one batch.
    """
    images = torch.from_numpy(np.array(splits.train.images[:_LOOKED_AT]))
    labels = torch.from_numpy(splits.train.labels[:_LOOKED_AT])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(asked.seed)
        network = build(asked.network, splits.image_shape, len(splits.classes)).eval()
    F.cross_entropy(network(Preprocessing(mode=asked.preprocessing)(images)), labels).backward()
    weights = [each for each in network.parameters() if each.ndim == 2]
    return [float(each.grad.square().mean().sqrt()) for each in weights if each.grad is not None]


def measure(settings: TrainingSettings, result: Result) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    main, evaluation = result.main, result.main.evaluation
    losses = main.curve("val_loss")
    classes = result.splits.classes
    return {
        "data": result.splits.name,
        "images": image_counts(result.splits),
        "epochs": len(main.history),
        "parameters": main.classifier.summary().parameters,
        "accuracy": {"value": evaluation.accuracy, **main.test_interval},
        "wrong": int((~evaluation.correct).sum()),
        "seconds_per_epoch": main.seconds_per_epoch,
        "seen_seconds_per_epoch": {name: [low, high] for name, low, high in SEEN},
        "last": main.last,
        "best_epoch": main.best_epoch,
        "lowest_val_loss": {"epoch": int(np.argmin(losses)) + 1, "value": min(losses)},
        "confused": [
            {"true": classes[each.true], "predicted": classes[each.predicted], "count": each.count, "share": each.share}
            for each in evaluation.most_confused(10)
        ],
        "known_pairs": _known_pairs(result),
        "classes": _classes(result),
        "dead": [{"layer": row.layer, "units": row.units, "dead": len(row.dead)} for row in result.dead],
        "activations": [
            {
                "activation": activation,
                "layers": layers,
                "accuracy": accuracies(runs),
                "first_loss": runs[0].curve("loss")[0],
                "first_val_accuracy": runs[0].curve("val_accuracy")[0],
            }
            for (activation, layers), runs in result.trained.items()
        ],
        "gradients": result.gradients,
    }


def _known_pairs(result: Result) -> list[dict[str, Any]]:
    """How often those were mixed up, either way round; empty where there are no such classes."""
    classes, matrix = result.splits.classes, result.main.evaluation.confusion_matrix
    places = [(classes.index(a), classes.index(b)) for a, b in _KNOWN_PAIRS if a in classes and b in classes]
    return [{"pair": [classes[a], classes[b]], "count": int(matrix[a, b] + matrix[b, a])} for a, b in places]


def _classes(result: Result) -> dict[str, Any]:
    report = result.main.evaluation.classification_report
    return {
        name: {
            "precision": row.precision.value, "recall": row.recall.value, "f1": row.f1.value, "support": row.support,
        }
        for name, row in report.items()
    }  # fmt: skip
