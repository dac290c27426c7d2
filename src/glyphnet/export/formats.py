"""The table of export formats: what each is called, how it is made, and how it is run again to prove itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..classifier import Classifier
from ..data.dataset import UInt8Array
from ..errors import MissingExtraError
from .proof import Given, HeldOutImages

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        suffix: of its files.
        about: a line of help.
        make: the content of the file for a classifier; the images, by which it will be proved, may settle choices.
        answer: what such a content gives for images, run as its user would run it.
        tolerance: how far these may be from the classifier's own.
        quantize: the same content with 8-bit weights, given images to measure ranges on; None where there is no such.
    """

    suffix: str
    about: str
    make: Callable[[Classifier, HeldOutImages], bytes]
    answer: Callable[[bytes, UInt8Array], Given]
    tolerance: float = 1e-4
    quantize: Callable[[bytes, UInt8Array], bytes] | None = None


# Each in functions that import on use: one format must not need what only another does.


def _page(classifier: Classifier, held_out: HeldOutImages) -> bytes:
    from .webpage import make

    return make(classifier, held_out)


def _page_answers(content: bytes, images: UInt8Array) -> Given:
    from .replay import answer

    return answer(content, images)


def _need_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Exporting to ONNX", "export") from error


def _onnx(classifier: Classifier, _: HeldOutImages) -> bytes:
    _need_onnx()
    from .onnxformat import make

    return make(classifier)


def _onnx_answers(content: bytes, images: UInt8Array) -> Given:
    from ..onnxmodel import parse_onnx

    answers = parse_onnx(content, "the export").answer(images, as_is=True)
    return Given(answers.probabilities, answers.foreign)


def _quantized_onnx(content: bytes, images: UInt8Array) -> bytes:
    from .quantization import quantize

    return quantize(content, images)


def _program(classifier: Classifier, _: HeldOutImages) -> bytes:
    from .program import make

    return make(classifier)


def _program_answers(content: bytes, images: UInt8Array) -> Given:
    from .program import answer

    return Given(answer(content, images))


FORMATS: dict[str, Format] = {
    "html": Format(".html", "a page that recognises drawings in any browser", _page, _page_answers, tolerance=1e-3),
    "onnx": Format(".onnx", "for ONNX Runtime and others", _onnx, _onnx_answers, quantize=_quantized_onnx),
    # TorchScript is deprecated since PyTorch 2.9; torch.export takes its place.
    "pt2": Format(".pt2", "a program for PyTorch (torch.export)", _program, _program_answers),
}
"""Name of a format → how it is made and proved."""
