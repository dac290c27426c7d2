"""Presets: from the shape and size of the data to a recipe.

A preset looks at nothing else: not at the data's name, not at its pixels. The same function serves digits, clothes and
colour crops. How the numbers were found is told in ``benchmarks/RESULTS.md``; none was chosen by test data.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..errors import SettingsError
from ..nn.convolutional import ClassicCNNSpec, CNNSpec
from ..settings import suggestion
from .losses import CrossEntropy
from .optimizers import Muon
from .recipe import Recipe
from .schedules import OneCycle

ImageShape = tuple[int, int, int]


def preset(name: str, image_shape: ImageShape, images: int, classes: int) -> Recipe:
    """The recipe of a preset for data of this shape and size.

    Args:
        name: "fast" (seconds), "balanced" (a minute) or "best" (as good as it gets).
        image_shape: height, width, channels.
        images: number of training images.
        classes: number of classes.

    Raises:
        SettingsError: there is no such preset.
    """
    if name not in PRESETS:
        raise SettingsError(f'unknown preset "{name}"{suggestion(name, PRESETS)}')
    return PRESETS[name](image_shape, images, classes)


def fast(image_shape: ImageShape, images: int, classes: int) -> Recipe:
    """A small strided network and a few passes: the first answer, in seconds."""
    return Recipe(
        network=_strided(image_shape, stem=16, channels=32),
        # In so few steps an average over twenty gradients, as the others' is, would hang behind.
        optimizer=Muon(lr=0.04, momentum=0.85, weight_decay=0.01, adam_lr=0.01),
        schedule=OneCycle(),
        loss=CrossEntropy(label_smoothing=0.05),
        # One offset for the whole batch costs a slice; one for each image would cost a tenth of the step.
        augment={"shift_batch": 1},
        epochs=_epochs(images, at_60_000=2),
        batch_size=_batch_size(images, largest=384),
    )


def balanced(image_shape: ImageShape, images: int, classes: int) -> Recipe:
    """Twice as wide, warped images, averaged weights, more passes: about a minute for 60,000 images of 28×28."""
    return Recipe(
        network=_strided(image_shape, stem=32, channels=64),
        optimizer=Muon(lr=0.05, weight_decay=0.01, adam_lr=0.01),
        schedule=OneCycle(),
        loss=CrossEntropy(label_smoothing=0.05),
        augment={"rotate": 10, "scale": 0.1, "shift": _shift(image_shape)},
        epochs=_epochs(images, at_60_000=12),
        batch_size=_batch_size(images, largest=256),
        ema=0.99,
    )


def best(image_shape: ImageShape, images: int, classes: int) -> Recipe:
    """Pairs of convolutions that see every pixel, warped images, many passes: as good as it gets, in 17 minutes on
    two cores for 60,000 images of 28×28."""
    return Recipe(
        network=_paired(image_shape, channels=128),
        optimizer=Muon(lr=0.05, weight_decay=0.01, adam_lr=0.01),
        schedule=OneCycle(),
        loss=CrossEntropy(label_smoothing=0.05),
        augment={"rotate": 10, "scale": 0.1, "shear": 5, "shift": _shift(image_shape)},
        epochs=_epochs(images, at_60_000=20),
        batch_size=_batch_size(images, largest=256),
        ema=0.99,
    )


PRESETS: dict[str, Callable[[ImageShape, int, int], Recipe]] = {"fast": fast, "balanced": balanced, "best": best}


def _epochs(images: int, at_60_000: float) -> int:
    """More passes over fewer images, though fewer images seen in all: of a quarter as many, twice the passes."""
    return max(1, round(at_60_000 * math.sqrt(60_000 / max(images, 1))))


def _batch_size(images: int, largest: int) -> int:
    """A power of two that leaves an epoch some twenty steps at least."""
    return max(16, min(largest, 1 << int(math.log2(max(images / 20, 1)))))


def _shift(image_shape: ImageShape) -> int:
    """How far an image may be moved, in pixels: a fourteenth of its side, one at least."""
    return max(1, round(min(image_shape[:2]) / 14))


def _strided(image_shape: ImageShape, stem: int, channels: int) -> CNNSpec:
    """A network that sees images of 8 to 15 pixels at their full size, and larger ones through a strided stem.

    Each doubling of the side beyond 48 pixels brings one more layer that halves it: the dense layer stays small.
    """
    side = min(image_shape[:2])
    halvings = max(0, math.ceil(math.log2(side / 48)))
    each = tuple(channels * 2**step for step in range(1 + halvings))
    if side < 16:
        return CNNSpec(stem=stem, stem_kernel=3, stem_stride=1, channels=each, batch_norm=True)
    return CNNSpec(stem=stem, channels=each, batch_norm=True)


def _paired(image_shape: ImageShape, channels: int) -> ClassicCNNSpec | CNNSpec:
    """Two convolutions, then a pooling, until three to five pixels of a side are left; ``channels`` the last time, half
    as many each time before, 16 at least. Images below 16 pixels have little to pool: `balanced`'s network for them."""
    side = min(image_shape[:2])
    if side < 16:
        return _strided(image_shape, stem=channels // 4, channels=channels // 2)
    stages = int(math.log2(side / 3))
    each = tuple(max(16, channels >> step) for step in reversed(range(stages)))
    return ClassicCNNSpec(channels=each, convs_per_stage=2, padding=True, batch_norm=True, dense=(128,), dropout=0.0)
