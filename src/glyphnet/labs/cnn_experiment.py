"""The experiment: two kinds of network, one also trained on shifted images, tested on shifted images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..classifier import Classifier, Float32Array
from ..data import ImageDataset, Splits
from ..data.dataset import UInt8Array
from ..explain import activations
from .lab import Progress
from .training import TrainedNetwork, Trainer, TrainingSettings, recipe, repeats

TITLES = {"mlp": "fully connected", "cnn": "convolutional", "cnn shifted": "convolutional, learnt from shifted images"}

_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))
_SMALL_SIDE = 16  # pixels: below it the strokes reach the border, and the frame must hold the whole way
_ASKED = 2000  # test images; each is asked about at every shift, in four directions, of every network


@dataclass(frozen=True, eq=False)
class Result:
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
    trained: dict[str, list[TrainedNetwork]]
    accuracy: dict[str, np.ndarray[Any, np.dtype[np.float64]]]


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
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
    # An explicit empty table: a preset must not add shifts.
    augment: dict[str, dict[str, float]] = {"mlp": {}, "cnn": {}, "cnn shifted": {"shift": most}}
    trainer = Trainer(progress, len(TITLES) * len(seeds))
    trained = {
        variant: [
            trainer.train(
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
    return Result(splits, margin, most, trained, accuracy)


def shifted(images: UInt8Array, down: int, right: int) -> UInt8Array:
    """Images (N, H, W, C) moved by whole pixels; black comes in, and what leaves the picture is lost."""
    moved = np.zeros_like(images)
    height, width = images.shape[1:3]
    moved[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = images[
        :, max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    return moved


def _accuracy(trained: TrainedNetwork, asked: ImageDataset, by: int) -> float:
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


def measure(result: Result) -> dict[str, Any]:
    """The numbers of the lab, as numbers.json holds them."""
    cnn, mlp = (result.trained[name][0].classifier for name in ("cnn", "mlp"))
    return {
        "data": result.splits.name,
        "images": len(result.splits.train),
        "asked": min(_ASKED, len(result.splits.test)),
        "side": result.splits.image_shape[0],
        "margin": result.margin,
        "epochs": len(result.trained["mlp"][0].history),
        "seeds": len(result.trained["mlp"]),
        "parameters": {"mlp": mlp.summary().parameters, "cnn": cnn.summary().parameters},
        "first_layer": {
            name: sum(weights.numel() for weights in list(classifier.network.parameters())[:2])  # weights and biases
            for name, classifier in (("mlp", mlp), ("cnn", cnn))
        },
        "fields": fields(cnn),
        "changes": changes(result),
        "shifts": [
            {
                "pixels": by,
                "accuracy": {
                    name: repeats(accuracy[:, by].tolist()) for name, accuracy in result.accuracy.items()
                },
            }
            for by in range(result.most + 1)
        ],
    }  # fmt: skip


MOVED = 2
"""Pixels by which images are moved here: one cell after the first pooling."""

_LOOKED_AT = 20  # images


def fields(classifier: Classifier) -> list[dict[str, Any]]:
    """Side of the square of pixels that one unit of each convolution and pooling sees, and the pixels between units.

    A window of k cells that lie j pixels apart sees (k − 1)·j pixels more than one of them does.
    """
    found, sees, apart = [], 1, 1
    for name, layer in classifier.network.named_children():
        if not hasattr(layer, "kernel_size"):
            continue
        kernel, stride = (_side(getattr(layer, key)) for key in ("kernel_size", "stride"))
        sees, apart = sees + (kernel - 1) * apart, apart * stride
        found.append({"layer": name, "sees": sees, "apart": apart})
    return found


def changes(result: Result) -> dict[str, Any]:
    """How much each layer's values change when the image moves by ``MOVED`` pixels, and once they are moved back.

    ‖after − before‖ / ‖before‖ over some test images, with the networks trained without shifts. "stays" compares place
    with place; "moved_back" first moves the maps back by as many cells as the image was moved by, where that is a whole
    number, and leaves out what came in at the border.
    """
    images = result.splits.test.images[:_LOOKED_AT]
    moved = shifted(images, 0, MOVED)
    cnn, mlp = (result.trained[name][0].classifier for name in ("cnn", "mlp"))
    apart = {row["layer"]: row["apart"] for row in fields(cnn)}
    before, after = ([layers_of(cnn, image) for image in some] for some in (images, moved))
    found: dict[str, Any] = {
        "pixels": {"stays": _change(images.astype(np.float32), moved.astype(np.float32)), "moved_back": 0.0},
        "mlp hidden": {"stays": _change(*(_hidden(mlp, some) for some in (images, moved))), "moved_back": None},
    }
    for layer in apart:
        a, b = (np.stack([maps[layer] for maps in some]) for some in (before, after))
        cells, rest = divmod(MOVED, apart[layer])
        edge = 2 + cells  # where the border's black shows in the maps
        inner = slice(edge, -edge)
        found[layer] = {
            "stays": _change(a, b),
            "moved_back": None if rest else _change(a[:, inner, inner], np.roll(b, -cells, axis=2)[:, inner, inner]),
        }
    return found


def layers_of(classifier: Classifier, image: Any) -> dict[str, Float32Array]:
    """What each layer gives for an image (H, W, C), by its name."""
    as_it_is = replace(classifier, normalize=False)  # a moved drawing would be moved back
    return {layer.name: layer.values for layer in activations(as_it_is, image)}


def _hidden(classifier: Classifier, images: Any) -> Float32Array:
    return classifier.features(images, as_is=True)


def _change(before: Any, after: Any) -> float:
    return float(np.linalg.norm(after - before) / max(float(np.linalg.norm(before)), 1e-30))


def _side(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple) else value)
