"""The table of export formats, and the verb: export a classifier to a file that is proved before it is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..classifier import Classifier
from ..data.dataset import UInt8Array
from ..errors import ExportError, SettingsError
from ..filekinds import check_suffix, suffix_of
from ..files import atomic_write, is_stream
from ..settings import suggestion
from .proof import Given, HeldOutImages, Proof, compare, demand, images_of

Float32Array = npt.NDArray[np.float32]

_CALIBRATION_IMAGES = 100


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        suffix: of its files.
        about: a line of help.
        make: the content of the file for a classifier; the images of the proof may settle choices.
        answer: predictions of that content for images, run as its user would run it.
        tolerance: upper bound of their difference to the classifier's.
        quantize: the same content with 8-bit weights, calibrated on images; None if not supported.
    """

    suffix: str
    about: str
    make: Callable[[Classifier, HeldOutImages], bytes]
    answer: Callable[[bytes, UInt8Array], Given]
    tolerance: float = 1e-4
    quantize: Callable[[bytes, UInt8Array], bytes] | None = None


def _from(module: str, name: str) -> Callable[..., Any]:
    """A function of a format's module, imported on use: a format must not need the packages of another."""
    return lambda *arguments: getattr(import_module(f".{module}", __package__), name)(*arguments)


def _format(suffix: str, about: str, module: str, **others: Any) -> Format:
    return Format(suffix, about, _from(module, "make"), _from(module, "answer"), **others)


FORMATS: dict[str, Format] = {
    "html": _format(".html", "a page that recognises drawings in any browser", "webpage", tolerance=1e-3),
    "onnx": _format(".onnx", "for ONNX Runtime and others", "onnx", quantize=_from("onnx", "quantize")),
    # TorchScript is deprecated since PyTorch 2.9; torch.export takes its place.
    "pt2": _format(".pt2", "a program for PyTorch (torch.export)", "program"),
}
"""Name → how it is made and proved."""


@dataclass(frozen=True, eq=False)
class Exported:
    """What was exported.

    Attributes:
        path: the file.
        format: a name in `FORMATS`.
        size: bytes.
        proof: comparison of its predictions with the model's.
        note: a sentence for the user, or "".
        expected, given: the model's and the export's probabilities for the images of the proof, float32 (N, K).
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
    """Write a classifier in another format. A file at ``path`` is replaced only after the proof.

    The proof compares predictions on held-out images: the same labels, the same reasons for rejection, and
    probabilities and scores within the format's tolerance. With 8-bit weights predictions differ a little: the result
    says by how much.

    Args:
        classifier: what to export.
        path: the file to write.
        format: a name in `FORMATS`; None: by the suffix of ``path``.
        verify: images of the proof; None: those in the model file, or random ones.
        quantize: 8-bit weights and activations (ONNX only).

    Raises:
        SettingsError: unknown format, one without 8-bit weights, or none that the suffix names.
        OutputError: the suffix of ``path`` is that of another format.
        ExportError: the format does not support this classifier, or the proof failed.
        MissingExtraError: a package for this format is not installed.
        OSError: the file cannot be written.
    """
    name = format_of(path) if format is None else format
    if name not in FORMATS:
        raise SettingsError(f'unknown export format "{name:.60}"{suggestion(name, FORMATS)}')
    row = FORMATS[name]
    if not is_stream(path):
        check_suffix(path, (row.suffix,))
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


def format_of(path: str | os.PathLike[str], suffixes: Mapping[str, str] | None = None) -> str:
    """The format that the suffix of a file names.

    Args:
        suffixes: name of a format → suffix of its files; None: those of `FORMATS`.

    Raises:
        SettingsError: it names none.
    """
    suffixes = suffixes or {name: row.suffix for name, row in FORMATS.items()}
    for name, suffix in suffixes.items():
        if suffix_of(path) == suffix:
            return name
    known = ", ".join(f"{suffix} ({name})" for name, suffix in suffixes.items())
    raise SettingsError(f"{os.fspath(path)}: the suffix names no format. Use {known}, or give the format.")


def _quantized(name: str, row: Format, content: bytes, classifier: Classifier, verify: HeldOutImages | None) -> bytes:
    """The content with 8 bits, calibrated on real images: random ones would give wrong ranges."""
    if row.quantize is None:
        having = ", ".join(other for other, each in FORMATS.items() if each.quantize is not None)
        raise SettingsError(f"The format {name} has no 8-bit weights: leave out --quantize, or use {having}.")
    if classifier.samples is not None:
        return row.quantize(content, classifier.samples)
    if verify is not None:
        return row.quantize(content, verify.images[:_CALIBRATION_IMAGES])
    raise ExportError(
        "8-bit weights are calibrated on real images, and the model file holds none. Name data: --verify DATA."
    )
