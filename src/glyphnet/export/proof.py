"""What an export has to show before it takes its place: that it answers as the model does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..classifier import Classifier
from ..data.dataset import UInt8Array
from ..errors import ExportError

Float32Array = npt.NDArray[np.float32]

_RANDOM_IMAGES = 32


@dataclass(frozen=True, eq=False)
class HeldOutImages:
    """Images by which an export is proved.

    Attributes:
        images: uint8 (N, H, W, C).
        source: what they are, with their number: "1,000 images (mnist, test part)".
        note: a sentence for the user where they prove little, or "".
    """

    images: UInt8Array
    source: str
    note: str = ""


@dataclass(frozen=True)
class Proof:
    """How near an export's answers are to the model's.

    Attributes:
        images: how many were looked at.
        source: what they are.
        same_labels: on how many of them the likeliest class is the same.
        difference: the largest between two probabilities.
    """

    images: int
    source: str
    same_labels: int
    difference: float


def images_of(classifier: Classifier) -> HeldOutImages:
    """The held-out images that the model file carries, or random ones where it carries none."""
    if classifier.samples is not None:
        return HeldOutImages(classifier.samples, f"{len(classifier.samples):,} held-out images of the model file")
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (_RANDOM_IMAGES, *classifier.input_shape), dtype=np.uint8)
    return HeldOutImages(
        images,
        f"{_RANDOM_IMAGES} random images",
        "The model file carries no held-out images, so the export was proved on random ones, which look like none "
        "of its classes. For a stronger proof name data: --verify DATA.",
    )


def compare(expected: Float32Array, given: Float32Array, source: str) -> Proof:
    """Hold an export's probabilities (N, K) against the model's own."""
    if given.shape != expected.shape or not np.isfinite(given).all():
        raise ExportError(
            f"The export gave {given.shape} finite probabilities, not {expected.shape}: nothing is written."
        )
    same = int((expected.argmax(axis=1) == given.argmax(axis=1)).sum())
    return Proof(len(expected), source, same, float(np.abs(expected - given).max(initial=0.0)))


def demand(proof: Proof, tolerance: float) -> None:
    """Let an export pass that gives the model's label for every image, and its probabilities within ``tolerance``.

    Raises:
        ExportError: it does not.
    """
    if proof.same_labels < proof.images or not proof.difference <= tolerance:
        raise ExportError(
            f"The export does not answer as the model does: the same label on {proof.same_labels:,} of {proof.source}, "
            f"probabilities off by up to {proof.difference:.2g} (allowed: {tolerance:g}). Nothing is written."
        )
