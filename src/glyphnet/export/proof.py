"""What an export has to show before it takes its place: that it answers as the model does."""

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
    """Images by which an export is proved.

    Attributes:
        images: uint8 (N, H, W, C).
        source: what they are, with their number: "1,000 images (mnist, test part)".
        note: a sentence for the user where they prove little, or "".
    """

    images: UInt8Array
    source: str
    note: str = ""


class Given(NamedTuple):
    """What an export gives for N images.

    Attributes:
        probabilities: float32 (N, K).
        foreign: float32 (N,), how unlike the training images each is; None where the format has no such output.
    """

    probabilities: Float32Array
    foreign: Float32Array | None = None


@dataclass(frozen=True)
class Proof:
    """How near an export's answers are to the model's.

    Attributes:
        images: how many were looked at.
        source: what they are.
        same_labels: on how many of them the likeliest class is the same.
        difference: the largest between two probabilities.
        foreign_difference: the largest between two scores; 0 where the export gives none.
        same_reasons: on how many of them the same reason, or none, is given not to believe the answer; a score or a
            confidence nearer to its threshold than rounding counts as the same.
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


def compare(expected: Answers, given: Given, source: str) -> Proof:
    """Hold what an export gives against the model's own answers."""
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
    """Which images lie so near to a threshold that the rounding of another runtime may decide: bool (N,)."""
    rules, found = expected.rules, np.zeros(len(expected), dtype=bool)
    if rules.foreign is not None and expected.foreign is not None:
        found |= np.abs(expected.foreign - rules.foreign) <= apart
    if rules.confidence is not None:
        found |= np.abs(expected.confidence - rules.confidence) <= difference
    return found


def demand(proof: Proof, tolerance: float) -> None:
    """Let an export pass that answers as the model does, with probabilities and scores within ``tolerance``.

    Raises:
        ExportError: it does not.
    """
    if not proof.holds(tolerance):
        raise ExportError(
            f"The export does not answer as the model does: of {proof.source} {proof.same_labels:,} get the same label "
            f"and {proof.same_reasons:,} the same reason; probabilities are off by up to {proof.difference:.2g} and "
            f"scores by {proof.foreign_difference:.2g} (allowed: {tolerance:g}). Nothing is written."
        )
