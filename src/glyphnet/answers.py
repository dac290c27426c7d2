"""What a model answers: probabilities, whether to believe them, and why not; and the base of all models that predict.

The web page follows the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .conformal import Conformal
from .data.dataset import UInt8Array
from .data.decode import ImageShape
from .data.ink import InkSpec
from .data.values import Reading
from .errors import SettingsError
from .images import Images
from .units import joined

Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]

NONE_OF_THESE = "none of these"
"""What a rejected image is called."""

Reason: TypeAlias = Literal["no_drawing", "unlike_training", "low_confidence"]
"""Why an answer cannot be believed."""

REASONS: dict[str, str] = {
    "no_drawing": "nothing is drawn",
    "unlike_training": "unlike the training images",
    "low_confidence": "the model is not sure",
}
"""Each reason in words. If several hold, the first of this order is given."""


@dataclass(frozen=True)
class Rules:
    """When an answer is not believed; None turns a rule off.

    Attributes:
        foreign: the largest score of an image that is like the training images.
        confidence: the least probability of the likeliest class.
        conformal: the calibration of sets of classes.
    """

    foreign: float | None = None
    confidence: float | None = None
    conformal: Conformal | None = None

    def reasons(
        self, probabilities: Float32Array, foreign: Float32Array | None, drawn: Sequence[Literal["no_drawing"] | None]
    ) -> list[Reason | None]:
        """Why each of N answers cannot be believed.

        Args:
            probabilities: float32 (N, K).
            foreign: float32 (N,), or None where the model has no such score.
            drawn: N reasons that come from the pictures themselves.
        """
        unlike = unsure = np.zeros(len(probabilities), bool)
        if foreign is not None and self.foreign is not None:
            unlike = foreign > np.float32(self.foreign)
        if self.confidence is not None:
            unsure = probabilities.max(axis=1, initial=0) < np.float32(self.confidence)
        return [
            none or ("unlike_training" if strange else "low_confidence" if doubtful else None)
            for none, strange, doubtful in zip(drawn, unlike.tolist(), unsure.tolist(), strict=True)
        ]

    @property
    def rejects(self) -> bool:
        """Whether there is a rule that can reject an image."""
        return self.foreign is not None or self.confidence is not None

    def check_rejection(self) -> None:
        """Raise SettingsError unless a rule for rejection was measured."""
        if not self.rejects:
            raise SettingsError(
                "This model cannot reject: nothing was measured for that when it was trained, for there was no "
                "validation part. Predict without rejection, or train it again with one."
            )

    def need_conformal(self) -> Conformal:
        """The calibration of sets; raises SettingsError if there is none."""
        if self.conformal is None:
            raise SettingsError(
                "This model gives no sets: it was not calibrated for them, for it is from an older GlyphNet or had no "
                "validation part. Train it again with one."
            )
        return self.conformal


class OneAnswer(NamedTuple):
    """The answer for one image: a row of `Answers`, with the probabilities float32 (K,)."""

    probabilities: Float32Array
    foreign: float | None
    reason: Reason | None


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers for N images.

    Attributes:
        probabilities: float32 (N, K); rows sum to 1.
        foreign: float32 (N,): how unlike the training images each image is, 0 for one that is a prototype of them; None
            where the model has no such score.
        reasons: N: why the answer cannot be believed, or None: see `REASONS`.
        classes: the K class names, in label order.
        rules: how the reasons were found.
    """

    probabilities: Float32Array
    foreign: Float32Array | None
    reasons: list[Reason | None]
    classes: tuple[str, ...]
    rules: Rules = field(default_factory=Rules, repr=False)

    def __len__(self) -> int:
        return len(self.probabilities)

    def __getitem__(self, rows: slice) -> Answers:
        foreign = None if self.foreign is None else self.foreign[rows]
        return Answers(self.probabilities[rows], foreign, self.reasons[rows], self.classes, self.rules)

    def __iter__(self) -> Iterator[OneAnswer]:
        scores = [None] * len(self) if self.foreign is None else self.foreign.tolist()
        return map(OneAnswer, self.probabilities, scores, self.reasons)

    @property
    def labels(self) -> Int64Array:
        """The likeliest class of each image, whether it is believed or not: int64 (N,), in [0, K)."""
        labels: Int64Array = self.probabilities.argmax(axis=1).astype(np.int64)
        return labels

    @property
    def confidence(self) -> Float32Array:
        """The probability of that class: float32 (N,)."""
        confidence: Float32Array = self.probabilities.max(axis=1, initial=0)
        return confidence

    def names(self, *, reject: bool = False) -> list[str]:
        """The name of the likeliest class of each image; with ``reject`` "none of these" where there is a reason."""
        return [
            NONE_OF_THESE if reject and reason is not None else self.classes[label]
            for label, reason in zip(self.labels, self.reasons, strict=True)
        ]

    def sets(self, level: float = 0.95) -> list[tuple[str, ...]]:
        """For each image the classes that contain the true one with probability ``level``, the likeliest first.

        The guarantee holds for images like those that the model was calibrated on (exchangeable with them), on
        average over images: see `glyphnet.conformal`.

        Raises:
            SettingsError: the model cannot give sets, or not at this level.
        """
        labels = self.rules.need_conformal().labels(self.probabilities, level)
        return [tuple(self.classes[label] for label in row) for row in labels]


# What makes answers


class Predictor:
    """A model that predicts, with torch (`Classifier`) or ONNX Runtime (`OnnxModel`).

    ``images``, in every method, is what `image_batches` takes: uint8 arrays (N, H, W, C), (N, H, W), (H, W, C) or
    (H, W), an ImageDataset, PIL images, paths or bytes of image files, or a list of such. Equal pixels give equal
    answers in all these forms. One image counts as a batch of one: the results always have N rows. Images stream by
    batch, so a memory-mapped set is never whole in memory.

    In every method ``batch_size`` is how many images are computed at once (None chooses), and ``as_is`` decides for one
    call whether pictures are only resized (True) or normalised (False); None does what the model was found to do best.

    All methods raise DataError for something that is no image or an array of another dtype or shape, and BadFileError
    for an image file that cannot be decoded.
    """

    input_shape: ImageShape
    classes: tuple[str, ...]
    threshold: float | None
    foreign_threshold: float | None
    conformal: Conformal | None
    ink: InkSpec | None
    normalize: bool | None
    reading: Reading

    @property
    def scores_twice(self) -> bool:
        """Whether a picture that normalising changed is also scored as it was given."""
        raise NotImplementedError

    def answer(self, images: Images, *, batch_size: int | None = None, as_is: bool | None = None) -> Answers:
        """Probabilities, scores and reasons for each image: all other predictions are made of these."""
        raise NotImplementedError

    def predict_proba(
        self, images: Images, *, batch_size: int | None = None, as_is: bool | None = None
    ) -> Float32Array:
        """Probability of each class: float32 (N, K), rows sum to 1."""
        return self.answer(images, batch_size=batch_size, as_is=as_is).probabilities

    def predict_labels(self, images: Images, *, batch_size: int | None = None, as_is: bool | None = None) -> Int64Array:
        """The likeliest class of each image as a label: int64 (N,), in [0, K)."""
        probabilities = self.predict_proba(images, batch_size=batch_size, as_is=as_is)
        labels: Int64Array = probabilities.argmax(axis=1).astype(np.int64)
        return labels

    def predict(
        self, images: Images, *, batch_size: int | None = None, reject: bool = False, as_is: bool | None = None
    ) -> list[str]:
        """The name of the likeliest class of each image.

        With ``reject`` an image is called ``none of these`` where `answer` gives a reason not to believe the name.

        Raises:
            SettingsError: ``reject`` is asked for and the model has no thresholds.
        """
        if not reject:
            return [self.classes[label] for label in self.predict_labels(images, batch_size=batch_size, as_is=as_is)]
        self.rules.check_rejection()
        return self.answer(images, batch_size=batch_size, as_is=as_is).names(reject=True)

    def predict_sets(
        self, images: Images, level: float = 0.95, *, batch_size: int | None = None, as_is: bool | None = None
    ) -> list[tuple[str, ...]]:
        """Sets of class names that contain the true class with a probability of at least ``level``.

        No set is empty, and the likeliest class comes first. See `Answers.sets` for what the guarantee assumes.

        Raises:
            SettingsError: the model cannot give sets, or had too few validation images for this level.
        """
        self.rules.need_conformal().limit(level)
        return self.answer(images, batch_size=batch_size, as_is=as_is).sets(level)

    @property
    def rules(self) -> Rules:
        """When an answer is not believed."""
        return Rules(self.foreign_threshold, self.threshold, self.conformal)

    @property
    def lacking(self) -> str:
        """What this model lacks beside those of today, in one sentence, or ""."""
        rules = self.rules
        scored_once = rules.foreign is not None and self.ink is not None and self.normalize and not self.scores_twice
        missing = {
            "score for pictures unlike its training images": rules.foreign is None,
            "second score for pictures that normalising changes": scored_once,
            "calibration for sets": rules.conformal is None,
            "range of values (16 bits are divided by 257)": self.reading.value_range is None,
            "decision on normalising (pictures are, arrays of its size are not)": (
                self.normalize is None and self.ink is not None
            ),
        }
        names = [f"no {name}" for name, lacks in missing.items() if lacks]
        if not names:
            return ""
        inert = " With --reject it rejects nothing." if rules.foreign is None and rules.confidence == 0 else ""
        return (
            f"This model has {joined(names)}: it was made by an older GlyphNet or without a validation part. "
            f"Train it again for that.{inert}"
        )


def scored_twice(
    foreign: Float32Array, given: Sequence[UInt8Array | None], distances: Callable[[UInt8Array], Float32Array]
) -> Float32Array:
    """Scores in which the pictures themselves count half, where normalising changed them.

    Args:
        foreign: float32 (N,), the scores of what the network saw.
        given: N pictures, uint8 (H, W, C), as they were before; None where nothing was changed.
        distances: from such pictures, uint8 (M, H, W, C), to the distances of their features from the prototypes.
    """
    changed = [row for row, picture in enumerate(given) if picture is not None]
    if changed:
        foreign = foreign.copy()
        foreign[changed] = (foreign[changed] + distances(np.stack([p for p in given if p is not None]))) / 2
    return foreign
