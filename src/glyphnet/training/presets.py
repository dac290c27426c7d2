"""Presets: from the shape and size of the data to a recipe.

A preset looks at nothing else: not at the data's name, not at its pixels. The same function serves digits, clothes and
colour crops. How the numbers were found is told in ``benchmarks/RESULTS.md``; none was chosen by test data.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..errors import SettingsError
from ..nn.cnn import CNNSpec
from ..settings import suggestion
from .losses import CrossEntropy
from .optimizers import AdamW
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
        network=_strided(image_shape, width=16),
        optimizer=AdamW(lr=0.01, betas=(0.7, 0.9), weight_decay=0.01),
        schedule=OneCycle(),
        augment={"shift_batch": _shift(image_shape)},
        epochs=_epochs(images, at_60_000=3),
        batch_size=_batch_size(images, largest=256),
    )


def balanced(image_shape: ImageShape, images: int, classes: int) -> Recipe:
    """A network four times as wide, warped images, more passes: about a minute for 60,000 images of 28×28."""
    return Recipe(
        network=_strided(image_shape, width=32),
        optimizer=AdamW(lr=0.01, betas=(0.9, 0.99), weight_decay=0.01),
        schedule=OneCycle(),
        loss=CrossEntropy(label_smoothing=0.05),
        augment={"rotate": 10, "scale": 0.1, "shift": _shift(image_shape)},
        epochs=_epochs(images, at_60_000=10),
        batch_size=_batch_size(images, largest=256),
        ema=0.99,
    )


PRESETS: dict[str, Callable[[ImageShape, int, int], Recipe]] = {"fast": fast, "balanced": balanced}


def _epochs(images: int, at_60_000: float) -> int:
    """More passes over fewer images, though not as many steps in all: steps fall with the root of the number."""
    return max(1, round(at_60_000 * math.sqrt(60_000 / max(images, 1))))


def _batch_size(images: int, largest: int) -> int:
    """A power of two that leaves an epoch some thirty steps at least."""
    return max(16, min(largest, 1 << int(math.log2(max(images / 30, 1)))))


def _shift(image_shape: ImageShape) -> int:
    """How far an image may be moved: a fourteenth of its side, a pixel at least."""
    return max(1, round(min(image_shape[:2]) / 14))


def _strided(image_shape: ImageShape, width: int) -> CNNSpec:
    side = min(image_shape[:2])
    return CNNSpec(stem=width, stem_stride=2 if side >= 16 else 1, channels=(2 * width,), batch_norm=True)
