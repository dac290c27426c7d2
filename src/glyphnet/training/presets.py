"""Presets: from the kind, shape and number of the images to a recipe."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..data.ink import Kind
from ..errors import SettingsError
from ..nn import BaseSpec
from ..nn.efficientnet import EfficientNetLiteSpec
from ..nn.kinds import ClassicCNNSpec, CNNSpec, ResNetSpec
from ..settings import suggestion
from .losses import CrossEntropy
from .optimizers import AdamW, Muon
from .recipe import Pictures, Recipe
from .schedules import OneCycle

ImageShape = tuple[int, int, int]


def preset(name: str, image_shape: ImageShape, images: int, classes: int, pictures: Pictures | None = None) -> Recipe:
    """The recipe of a preset for data of this shape and size.

    Args:
        name: "fast" (seconds), "balanced" (a minute), "best" (as good as it gets) or "robust" (for pictures that come
            noisy, slanted, of another light or half hidden); or one of `TIMED`.
        image_shape: height, width, channels.
        images: number of training images.
        classes: number of classes.
        pictures: of what kind the images are, as `look_at` tells; None for evenly lit objects. The recipe's
            augmentations are those of the kind, and it keeps this.

    Raises:
        SettingsError: there is no such preset.
    """
    make = PRESETS.get(name) or TIMED.get(name)
    if make is None:
        raise SettingsError(f'unknown preset "{name}"{suggestion(name, PRESETS)}')
    if pictures is not None and pictures.kind == "photographs":
        make = PHOTOGRAPHS.get(name, make)
    recipe = make(image_shape, images, classes)
    if pictures is None:
        return recipe
    if name == "robust":  # changes all kinds as much as it can
        return recipe.model_copy(update={"pictures": pictures})
    augment = {**recipe.augment, **_for_kind(name, pictures.kind, image_shape, images)}
    if pictures.keeps_class:
        augment["flip"] = min(1.0, 0.5 / recipe.augment_share)
    return recipe.model_copy(update={"pictures": pictures, "augment": augment})


def fast(image_shape: ImageShape, images: int, classes: int) -> Recipe:
    """A small strided network and a few epochs: a first answer, in seconds."""
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
    """Twice as wide, warped images, averaged weights, more epochs: about a minute for 60,000 images of 28×28."""
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


def robust(image_shape: ImageShape, images: int, classes: int) -> Recipe:
    """The network of `balanced`, trained twice as long on images that are changed in many ways: for pictures that come
    noisy, turned, of another light, scribbled on or half hidden.

    Each change is made to two images in five: all at once leave too little of an image to learn from. Random filters
    change all but shapes, so that this helps against what it never saw.
    """
    return balanced(image_shape, images, classes).model_copy(
        update={
            "augment": {
                "rotate": 35, "shift": 2 * _shift(image_shape), "blur": 1, "noise": 0.4, "convolve": 1, "light": 0.8,
                "scribble": 1, "erase": 0.2,
            },
            "augment_share": 0.4,
            "epochs": _epochs(images, at_60_000=24),
        }
    )  # fmt: skip


def fine_tuned(network: BaseSpec, image_shape: ImageShape, images: int) -> Recipe:
    """From the weights of a backbone: small steps, and few of them, for the weights are good already."""
    if isinstance(network, EfficientNetLiteSpec):
        augment = {"scale": 0.1, "shift": _shift(image_shape), "brightness": 0.2, "contrast": 0.2}
    else:
        augment = {"rotate": 10, "scale": 0.1, "shear": 8, "shift": _shift(image_shape), "stroke": 0.5}
    return Recipe(
        network=network,
        optimizer=AdamW(lr=2e-4, weight_decay=0.01),
        schedule=OneCycle(),
        loss=CrossEntropy(label_smoothing=0.1),
        augment=augment,
        epochs=1 + max(1, min(20, round(3 * math.sqrt(3_000 / max(images, 1))))),
        batch_size=_batch_size(images, largest=64),
        ema=0.99,
        precision="fp32",  # gradients of convolutions channel by channel take longer in bfloat16
    )


ENOUGH_DRAWINGS = 10_000
"""Training images from which `fast` leaves drawings as they are: in its two or three passes it has not seen them all
often enough to gain by changed ones, and they would cost a quarter of its time."""


def _for_kind(name: str, kind: Kind, image_shape: ImageShape, images: int) -> dict[str, float]:
    """What a preset augments the images of a kind by, beside what it augments all by.

    Drawings differ by pens and scanners: lines wider or narrower, soft, noisy; those below 16 pixels, whose lines are a
    pixel wide, do not gain by it. Photographs differ by light and lens. Which and how much was chosen on validation
    images of several data sets of each kind (benchmarks/RESULTS.md, "Kinds of picture").
    """
    side = min(image_shape[:2])
    if kind == "drawings" and side >= 16 and (name != "fast" or images < ENOUGH_DRAWINGS):
        pixels = round(min(0.5, side / 56), 2)
        return {"stroke": pixels, "blur": pixels, "noise": 0.1}
    if kind == "photographs":
        light = {"brightness": 0.15, "contrast": 0.3} if name == "fast" else {"brightness": 0.2, "contrast": 0.4}
        if name == "fast":
            return light
        colour = {"colour": 0.1} if image_shape[2] > 1 else {}
        return {**light, **colour, "blur": 0.5}
    return {}


PRESETS: dict[str, Callable[[ImageShape, int, int], Recipe]] = {
    "fast": fast,
    "balanced": balanced,
    "best": best,
    "robust": robust,
}


BY_WORK = ("fast", "balanced", "best")
"""Presets by how long they take."""


def deep(image_shape: ImageShape, images: int, classes: int) -> Recipe:
    """A small residual network: between `balanced` and `best` in work, where images are many and in colour."""
    return best(image_shape, images, classes).model_copy(
        update={"network": _residual(image_shape, 32), "epochs": _epochs(images, at_60_000=12)}
    )


def wide(image_shape: ImageShape, images: int, classes: int) -> Recipe:
    """A residual network twice as wide: for hours."""
    return best(image_shape, images, classes).model_copy(update={"network": _residual(image_shape, 64)})


TIMED: dict[str, Callable[[ImageShape, int, int], Recipe]] = {"deep": deep, "wide": wide}
"""The recipes among which a training of a given time chooses, beside the presets."""


def _photographs(channels: int, at_60_000: float) -> Callable[[ImageShape, int, int], Recipe]:
    """Pairs of convolutions, the first of each pair pooled, and the mean pixel of the last.

    Such networks learn photographs by heart: larger steps and more decay keep them from it. Each change is made to half
    of the images, for those that are turned or moved are softer than the pictures that will come.
    """

    def make(image_shape: ImageShape, images: int, classes: int) -> Recipe:
        return Recipe(
            network=_pooled(image_shape, channels),
            optimizer=Muon(lr=0.07, weight_decay=0.03, adam_lr=0.01),
            schedule=OneCycle(),
            loss=CrossEntropy(label_smoothing=0.1),
            augment={"scale": 0.1, "shift": _shift(image_shape)},
            augment_share=0.5,
            epochs=_epochs(images, at_60_000),
            batch_size=_batch_size(images, largest=256),
            ema=0.99,
        )

    return make


PHOTOGRAPHS: dict[str, Callable[[ImageShape, int, int], Recipe]] = {
    "deep": _photographs(64, 6), "best": _photographs(64, 24), "wide": _photographs(128, 24)
}  # fmt: skip
"""What photographs have in place of the recipe of this name; `deep` in few passes, which are worth more than many of
`balanced`."""
RUNGS = ("fast", "balanced", "deep", "best", "wide")
"""Those of them that it climbs, by how long they take."""


def _epochs(images: int, at_60_000: float) -> int:
    """More epochs for fewer images, though fewer steps in all: a quarter of the images, twice the epochs."""
    return max(1, round(at_60_000 * math.sqrt(60_000 / max(images, 1))))


def _batch_size(images: int, largest: int) -> int:
    """A power of two that leaves at least about twenty steps an epoch."""
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


def _residual(image_shape: ImageShape, channels: int) -> ResNetSpec:
    """A block of two convolutions a stage, twice as many channels in each, until about eight pixels of a side are left.

    Images beyond 48 pixels are halved by the stem, for at their full size it would be the most costly part.
    """
    side = min(image_shape[:2])
    stride = 1 if side <= 48 else 2
    stages = max(2, min(5, round(math.log2(side / stride / 8)) + 1))
    return ResNetSpec(channels=tuple(channels * 2**stage for stage in range(stages)), stem_stride=stride)


def _pooled(image_shape: ImageShape, channels: int) -> CNNSpec:
    """Two convolutions a stage, the first one pooled, and ``channels``, then twice as many, until four to seven pixels
    of a side are left.

    Images beyond 48 pixels are halved by the stem, for at their full size it would be the most costly part.
    """
    side = min(image_shape[:2])
    stride = 1 if side <= 48 else 2
    stages = max(0, min(5, int(math.log2(side / stride / 4))))
    return CNNSpec(
        stem=3 * channels // 8, stem_kernel=3, stem_stride=stride,
        channels=tuple(channels * 2**stage for stage in range(stages)), convs_per_stage=2, downsample="pool",
        mean_pixel=True, dense=(), batch_norm=True,
    )  # fmt: skip
