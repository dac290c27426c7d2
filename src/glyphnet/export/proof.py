"""The proof of an export: its predictions are compared with the model's before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..answers import Answers
from ..classifier import Classifier
from ..data.dataset import UInt8Array
from ..errors import ExportError

Float32Array = npt.NDArray[np.float32]

_RANDOM_IMAGES = 32


@dataclass(frozen=True, eq=False)
class HeldOutImages:
    """Images for the proof of an export.

    Attributes:
        images: uint8 (N, H, W, C).
        source: what they are, with their number: "1,000 images (mnist, test part)".
        note: a sentence for the user if they prove little, or "".
    """

    images: UInt8Array
    source: str
    note: str = ""


class Given(NamedTuple):
    """Predictions of an export for N images: probabilities, float32 (N, K), and how unlike the training images each is,
    float32 (N,); None if the format has no such output."""

    probabilities: Float32Array
    foreign: Float32Array | None = None


@dataclass(frozen=True)
class Proof:
    """Comparison of an export's predictions with the model's.

    Attributes:
        images: number of images; ``source`` says what they are.
        same_labels: number of images with the same most probable class.
        difference, foreign_difference: largest difference of two probabilities, and of two scores (0 without scores).
        same_reasons: number of images with the same reason for rejection, or none; a score or confidence closer to its
            threshold than rounding counts as the same.
    """

    images: int
    source: str
    same_labels: int
    difference: float
    foreign_difference: float
    same_reasons: int

    def holds(self, tolerance: float) -> bool:
        """Whether labels and reasons are the same, and probabilities and scores within ``tolerance``."""
        same = self.same_labels == self.images and self.same_reasons == self.images
        return same and self.difference <= tolerance and self.foreign_difference <= tolerance


def images_of(classifier: Classifier) -> HeldOutImages:
    """The held-out images in the model file, or random ones if it has none."""
    if classifier.samples is not None:
        return HeldOutImages(classifier.samples, f"{len(classifier.samples):,} held-out images of the model file")
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (_RANDOM_IMAGES, *classifier.input_shape), dtype=np.uint8)
    return HeldOutImages(
        images,
        f"{_RANDOM_IMAGES} random images",
        "The model file holds no held-out images, so the export was proved on random ones, which resemble none of "
        "its classes. For a stronger proof name data: --verify DATA.",
    )


def compare(expected: Answers, given: Given, source: str) -> Proof:
    """Compare the predictions of an export with the model's."""
    own, other = expected.probabilities, given.probabilities
    if other.shape != own.shape or not np.isfinite(other).all():
        raise ExportError(f"The export gave {other.shape} finite probabilities, not {own.shape}: nothing is written.")
    difference = float(np.abs(own - other).max(initial=0.0))
    same_reasons, apart = len(own), 0.0
    if given.foreign is not None and expected.foreign is not None:
        if given.foreign.shape != expected.foreign.shape or not np.isfinite(given.foreign).all():
            raise ExportError(f"The export gave {given.foreign.shape} finite scores, not {expected.foreign.shape}.")
        apart = float(np.abs(expected.foreign - given.foreign).max(initial=0.0))
        reasons = expected.rules.reasons(other, given.foreign, [None] * len(own))
        same = [mine == theirs for mine, theirs in zip(expected.reasons, reasons, strict=True)]
        same_reasons = int((np.array(same, dtype=bool) | _undecided(expected, difference, apart)).sum())
    labels = int((own.argmax(axis=1) == other.argmax(axis=1)).sum())
    return Proof(len(own), source, labels, difference, apart, same_reasons)


def _undecided(expected: Answers, difference: float, apart: float) -> npt.NDArray[np.bool_]:
    """Images so close to a threshold that another runtime's rounding may decide: bool (N,)."""
    rules, found = expected.rules, np.zeros(len(expected), dtype=bool)
    if rules.foreign is not None and expected.foreign is not None:
        found |= np.abs(expected.foreign - rules.foreign) <= apart
    if rules.confidence is not None:
        found |= np.abs(expected.confidence - rules.confidence) <= difference
    return found


def demand(proof: Proof, tolerance: float) -> None:
    """Raise ExportError unless the proof holds, with probabilities and scores within ``tolerance``."""
    if not proof.holds(tolerance):
        raise ExportError(
            f"The export differs from the model: of {proof.source} {proof.same_labels:,} get the same label "
            f"and {proof.same_reasons:,} the same reason; probabilities are off by up to {proof.difference:.2g} and "
            f"scores by {proof.foreign_difference:.2g} (allowed: {tolerance:g}). Nothing is written."
        )
