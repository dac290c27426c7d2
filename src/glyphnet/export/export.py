"""The verb: export a classifier to a file that has proved itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..classifier import Classifier
from ..errors import ExportError, SettingsError
from ..files import atomic_write
from ..settings import suggestion
from .formats import FORMATS, Float32Array, Format
from .proof import HeldOutImages, Proof, compare, demand, images_of

_CALIBRATING = 100  # images


@dataclass(frozen=True, eq=False)
class Exported:
    """What was exported.

    Attributes:
        path: the file.
        format: a name in `FORMATS`.
        size: bytes.
        proof: how near its answers are to the model's.
        note: a sentence that the user must know, or "".
        expected: the model's probabilities for the images of the proof, float32 (N, K).
        given: the export's.
    """

    path: Path
    format: str
    size: int
    proof: Proof
    note: str
    expected: Float32Array
    given: Float32Array


def export(
    classifier: Classifier,
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    verify: HeldOutImages | None = None,
    quantize: bool = False,
) -> Exported:
    """Write a classifier in another format; whatever was at ``path`` stays unless the export has proved itself.

    Its answers on held-out images are held against the classifier's: the same label for all, the same reason not to
    believe it, and probabilities and scores within the format's tolerance. An export with 8-bit weights answers a
    little otherwise: how near it comes is told.

    Args:
        classifier: what is exported.
        path: the file to write.
        format: a name in `FORMATS`; None takes the one whose suffix the path has.
        verify: the images; None takes those that the classifier carries, or else random ones.
        quantize: whether weights and sums get 8 bits (ONNX only).

    Raises:
        SettingsError: there is no such format, or it knows no 8-bit weights.
        ExportError: the classifier cannot be exported so, or the export does not answer as the classifier does.
        MissingExtraError: a package for this format is not installed.
        OSError: the file cannot be written.
    """
    name = _named(path, format)
    row = FORMATS[name]
    images = verify or images_of(classifier)
    content = row.make(classifier, images)
    expected, given = classifier.answer(images.images, as_is=True), row.answer(content, images.images)
    proof = compare(expected, given, images.source)
    demand(proof, row.tolerance)
    if quantize:
        content = _quantized(name, row, content, classifier, verify)
        given = row.answer(content, images.images)
        proof = compare(expected, given, images.source)
    with atomic_write(path, follow=True) as file:
        file.write(content)
    return Exported(Path(path), name, len(content), proof, images.note, expected.probabilities, given.probabilities)


def _named(path: str | os.PathLike[str], format: str | None) -> str:
    by_suffix = {row.suffix: name for name, row in FORMATS.items()}
    name = by_suffix.get(Path(path).suffix.lower()) if format is None else format
    if name is None:
        raise SettingsError(f"{path}: its ending names no format. Give one of {', '.join(FORMATS)}.")
    if name not in FORMATS:
        raise SettingsError(f'unknown export format "{name:.60}"{suggestion(name, FORMATS)}')
    return name


def _quantized(name: str, row: Format, content: bytes, classifier: Classifier, verify: HeldOutImages | None) -> bytes:
    """The content with 8 bits, its ranges measured on real images: on random ones they would be wrong."""
    if row.quantize is None:
        having = ", ".join(other for other, each in FORMATS.items() if each.quantize is not None)
        raise SettingsError(f"The format {name} has no 8-bit weights: leave --quantize out, or take {having}.")
    if classifier.samples is not None:
        return row.quantize(content, classifier.samples)
    if verify is not None:
        return row.quantize(content, verify.images[:_CALIBRATING])
    raise ExportError(
        "8-bit ranges are measured on real images, and the model file carries none. Name data: --verify DATA."
    )
