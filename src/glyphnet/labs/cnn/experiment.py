"""The experiment: two kinds of network, one of them also learnt from shifted images, asked about shifted ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...data import ImageDataset, Splits
from ...data.dataset import UInt8Array
from ...evaluation.intervals import Repeats
from ..lab import Progress
from ..training import Course, Trained, TrainingSettings, recipe
from .layers import changes, fields

TITLES = {
    "mlp": "fully connected",
    "cnn": "convolutional",
    "cnn shifted": "convolutional, learnt from shifted images",
}

_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))
_SMALL_SIDE = 16  # pixels: below it the strokes reach the border, and the frame must hold the whole way
_ASKED = 2000  # test images; each is asked about at every shift, in four directions, of every network


@dataclass(frozen=True, eq=False)
class Done:
    """All that was trained and asked.

    Attributes:
        splits: the data, with a black frame, so that a shift pushes nothing out of the picture.
        margin: width of that frame, in pixels.
        most: the largest shift asked about, and trained with, in pixels.
        trained: by variant, one a seed.
        accuracy: by variant, float64 (seeds, most + 1): of images shifted by so many pixels.
    """

    splits: Splits
    margin: int
    most: int
    trained: dict[str, list[Trained]]
    accuracy: dict[str, np.ndarray[Any, np.dtype[np.float64]]]


def experiment(settings: TrainingSettings, progress: Progress) -> Done:
    """Train every variant with every seed on the same images; ask each about shifted test images."""
    plain = settings.read(progress)
    small = min(plain.image_shape[:2]) < _SMALL_SIDE
    margin, most = (3, 3) if small else (2, 6)
    splits = _framed(plain, margin)
    seeds = range(settings.repetitions(full=3, quick=3))
    common: dict[str, Any] = {
        "epochs": settings.passes(full=4, quick=8),
        "batch_size": 32 if settings.quick else 128,
        "optimizer": {"name": "adam", "lr": 0.003 if settings.quick else 0.001},
    }
    networks: dict[str, dict[str, Any]] = {
        "mlp": {"kind": "mlp", "hidden": [128]},
        "cnn": {"kind": "cnn-classic", "channels": [8, 16] if small else [16, 32], "padding": True, "dropout": 0.3},
    }
    # The empty table is said, not left out: no preset may add shifts to what is to be compared.
    augment: dict[str, dict[str, float]] = {"mlp": {}, "cnn": {}, "cnn shifted": {"shift": most}}
    course = Course(progress, len(TITLES) * len(seeds))
    trained = {
        variant: [
            course.train(
                splits,
                recipe(networks[variant[:3]], seed=seed, augment=augment[variant], **common),
                f"training: {title}",
            )
            for seed in seeds
        ]
        for variant, title in TITLES.items()
    }
    asked = splits.test.subset(np.arange(min(_ASKED, len(splits.test))))
    accuracy = {
        variant: np.array([[_accuracy(run, asked, by) for by in range(most + 1)] for run in runs])
        for variant, runs in trained.items()
    }
    return Done(splits, margin, most, trained, accuracy)


def shifted(images: UInt8Array, down: int, right: int) -> UInt8Array:
    """Images (N, H, W, C) moved by whole pixels; black comes in, and what leaves the picture is lost."""
    moved = np.zeros_like(images)
    height, width = images.shape[1:3]
    moved[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = images[
        :, max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    return moved


def _accuracy(trained: Trained, asked: ImageDataset, by: int) -> float:
    """Of images moved by so many pixels, up, down, left and right in turn."""
    predict = trained.classifier.predict_labels
    right = [
        float(np.mean(predict(shifted(asked.images, by * y, by * x), as_is=True) == asked.labels))
        for y, x in (_DIRECTIONS if by else _DIRECTIONS[:1])
    ]
    return float(np.mean(right))


def _framed(splits: Splits, margin: int) -> Splits:
    around = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    parts: dict[str, Any] = {
        name: ImageDataset(np.pad(part.images, around), part.labels, part.classes, part.names) for name, part in splits
    }
    return replace(splits, **parts)


def measure(done: Done) -> dict[str, Any]:
    """The numbers of the lab, as numbers.json holds them."""
    cnn, mlp = (done.trained[name][0].classifier for name in ("cnn", "mlp"))
    return {
        "data": done.splits.name,
        "images": len(done.splits.train),
        "asked": min(_ASKED, len(done.splits.test)),
        "side": done.splits.image_shape[0],
        "margin": done.margin,
        "epochs": len(done.trained["mlp"][0].history),
        "seeds": len(done.trained["mlp"]),
        "parameters": {"mlp": mlp.summary().parameters, "cnn": cnn.summary().parameters},
        "first_layer": {
            name: sum(weights.numel() for weights in list(classifier.network.parameters())[:2])  # weights and biases
            for name, classifier in (("mlp", mlp), ("cnn", cnn))
        },
        "fields": fields(cnn),
        "changes": changes(done),
        "shifts": [
            {
                "pixels": by,
                "accuracy": {
                    name: Repeats.of(accuracy[:, by].tolist()).to_dict() for name, accuracy in done.accuracy.items()
                },
            }
            for by in range(done.most + 1)
        ],
    }  # fmt: skip
