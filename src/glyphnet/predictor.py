"""What every trained model can do, whether it computes with torch (`Classifier`) or ONNX Runtime (`OnnxModel`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .answers import Answers, Float32Array, Int64Array, Rules
from .conformal import Conformal
from .data.dataset import UInt8Array
from .data.decode import ImageShape
from .data.ink import InkSpec
from .data.values import Reading
from .images import Images
from .units import joined


class Predictor:
    """A model that predicts.

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
