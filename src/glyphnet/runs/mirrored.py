"""Whether mirrored pictures keep their class: asked of the data before a preset mirrors any.

A network that has seen no mirrored picture answers held-out pictures as they are and mirrored. Where it names the
mirrored ones as well, left and right carry no class. Of a 2, a "turn left" or a shoe that always points to the left it
does not: then nothing is mirrored, though the shoe might be.

A network that has learned from mirrored images may then answer each picture together with its mirror image.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..data import ImageDataset, Splits
from ..data.dataset import Int64Array, UInt8Array, evenly_spaced
from ..evaluation.intervals import SIGNIFICANCE, paired
from ..evaluation.labels import at_least
from ..nn.modules import join, mirror_image
from ..training import Examples, Fitting, Recipe, preset
from ..training.device import using_threads
from ..training.recipe import Mirrored
from ..units import percent
from .run import Trained

BoolArray = npt.NDArray[np.bool_]

LEARNT = 6_000
"""Training images that the network learns from, at most."""

ASKED = 4_000
"""Held-out pictures that it is asked, at most."""

FEWEST = 100
"""Held-out pictures below which nothing is concluded."""

EPOCHS = 6
SHARE = 5
"""Times as many images as this network are gone through by a training before it asks."""

LARGEST = 40
"""Pixels of the shorter side: larger images are reduced by a whole factor, so that it costs seconds at most."""

MOST_LOST = 0.03
"""Share of the right answers that may be lost by mirroring: the upper end of its 95 % interval."""

ALONE = 0.01
"""Probability, over all classes, that chance alone makes some class lose as many: below it, the class loses."""

ABLE = 0.2
"""Accuracy above that of the most frequent class from which the network's answers mean something."""


def is_worth_asking(recipe: Recipe, splits: Splits) -> bool:
    """Whether a training may gain by mirrored images, and takes so long that asking costs a fraction of it."""
    if recipe.pictures is None or recipe.pictures.kind == "drawings" or recipe.backbone is not None:
        return False
    images = len(splits.train)
    return recipe.epochs * images >= SHARE * EPOCHS * min(images, LEARNT)


def ask_mirrored(splits: Splits) -> Mirrored:
    """Train a small network for a few passes and compare its answers to held-out pictures, as they are and mirrored.

    It learns from training images, and is asked validation images; where these are few, training images that it has
    not seen too. The same data give the same answer: one thread, a fixed seed.
    """
    train, asked = _parts(splits)
    if len(asked) < FEWEST:
        return Mirrored(n=len(asked), right=0, right_mirrored=0, keep=False)
    right, mirrored = _answers(train, asked, len(splits.classes))
    return judge_mirrored(right, mirrored, asked.labels, splits.classes)


def judge_mirrored(right: BoolArray, mirrored: BoolArray, labels: Int64Array, classes: tuple[str, ...]) -> Mirrored:
    """What right answers to pictures as they are and mirrored, bool (N,) each, say.

    Mirrored pictures keep their class if the network is able at all, if the share of right answers that is lost is
    surely below `MOST_LOST`, if no class loses more than chance explains, and if each was asked of.
    """
    n, lost, won = len(right), right & ~mirrored, mirrored & ~right
    difference = lost.astype(np.float64) - won
    highest = difference.mean() + 1.96 * difference.std(ddof=1) / np.sqrt(n)
    counts = np.bincount(labels, minlength=len(classes))
    is_able = right.mean() >= counts.max() / n + ABLE * (1 - counts.max() / n)
    worst = _worst(lost, won, labels, classes)
    keep = bool(is_able and highest <= MOST_LOST and not worst and counts.min() > 0)
    return Mirrored(n=n, right=int(right.sum()), right_mirrored=int(mirrored.sum()), worst=worst, keep=keep)


def _worst(lost: BoolArray, won: BoolArray, labels: Int64Array, classes: tuple[str, ...]) -> str:
    """The class that surely loses by mirroring, the surest of several; "" for none (an exact sign test each)."""
    surest, worst = ALONE / len(classes), ""
    for label, name in enumerate(classes):
        down, up = (int(each[labels == label].sum()) for each in (lost, won))
        if down > up and (chance := at_least(down, down + up, 0.5)) < surest:
            surest, worst = chance, name
    return worst


def _parts(splits: Splits) -> tuple[ImageDataset, ImageDataset]:
    """What the network learns from, and what it is asked."""
    order = np.random.default_rng(0).permutation(len(splits.train))
    few = min(LEARNT, len(order) - len(order) // 5)
    train = splits.train.subset(np.sort(order[:few]))
    validation = splits.validation
    if len(validation) >= ASKED or not len(splits.validation):
        return train, validation.subset(evenly_spaced(len(validation), ASKED)) if len(validation) else validation
    if splits.train.groups is not None:  # training images of a group that it learns from would flatter it
        return train, validation
    rest = splits.train.subset(np.sort(order[few : few + ASKED - len(validation)]))
    return train, ImageDataset(
        np.concatenate([validation.images, rest.images]),
        np.concatenate([validation.labels, rest.labels]),
        splits.classes,
        [*validation.names, *rest.names],
    )


def _answers(train: ImageDataset, asked: ImageDataset, classes: int) -> tuple[BoolArray, BoolArray]:
    """Whether the network is right about each picture that it is asked, as it is and mirrored."""
    small, pictures = _reduced(train.images), _reduced(asked.images)
    recipe = preset("fast", small.shape[1:], len(small), classes).override({"epochs": EPOCHS, "keep_best": False})
    result = Fitting(recipe, Examples.of(small, train.labels), None, classes, "cpu", threads=1).run()
    of_mirrored = result.right(np.ascontiguousarray(pictures[:, :, ::-1]), asked.labels)
    return result.right(pictures, asked.labels), of_mirrored


def _reduced(images: UInt8Array) -> UInt8Array:
    """Images (N, H, W, C) with sides a whole factor shorter: the mean of each square."""
    n, height, width, channels = images.shape
    factor = max(1, -(-min(height, width) // LARGEST))
    if factor == 1:
        return np.asarray(images)
    tall, wide = height // factor, width // factor
    cut = images[:, : tall * factor, : wide * factor].reshape(n, tall, factor, wide, factor, channels)
    reduced: UInt8Array = cut.mean(axis=(2, 4)).round().astype(np.uint8)
    return reduced


# Answering with the mirror image


def with_mirror_image(trained: Trained) -> Trained:
    """The training, its network joined with its mirror image if that is surely better on validation images.

    Asked of a network that has learned from mirrored images, where `mirror_image` has its like. Each answer then takes
    twice the time.
    """
    result, held = trained.result, trained.splits.validation
    asked = trained.recipe.augment.get("flip") and trained.members == 1 and result.best_epoch and len(held)
    if not asked or result.ending == "stopped":
        return trained
    with using_threads(result.threads):
        mirrored = mirror_image(result.network, trained.splits.image_shape)
        if mirrored is None:
            return trained
        joined = replace(result, network=join([result.network, mirrored]))
        found = paired(*(each.right(held.images, held.labels) for each in (joined, result)))
    if found.p_value >= SIGNIFICANCE or found.only_a <= found.only_b:
        return trained
    sentence = (
        "Each picture is answered together with its mirror image, which takes twice the time: "
        f"{percent(found.accuracy_a.value, 2)} of {found.n:,} validation images are right, alone "
        f"{percent(found.accuracy_b.value, 2)} (p = {found.p_value:.2g})."
    )
    return replace(trained, result=joined, members=2, mirrored=sentence)
