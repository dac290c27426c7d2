"""Predicting with an exported ``.onnx`` by ONNX Runtime: no torch is loaded, and no onnx."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ._onnxwire import Graph, OutsideError, check_graph, check_seal, read_graph
from .answers import Answers, Predictor, scored_twice
from .conformal import Conformal
from .data.dataset import UInt8Array
from .data.decode import ImageShape
from .data.ink import InkSpec, NoDrawing
from .data.values import STANDARD, Reading, check_page, check_range
from .errors import (
    CorruptFileError,
    MissingExtraError,
    ModelFileError,
    SettingsError,
    UnsupportedFileError,
)
from .filekinds import ONNX, looks_like
from .files import open_input
from .images import Images, image_batches
from .settings import default_batch_size
from .units import fault_of, first_line

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Float32Array = npt.NDArray[np.float32]

FORMAT_VERSION = 1
"""The version of what `glyphnet export` writes into an ONNX file; raise it when the code of before would err. Code of
before passes over outputs and metadata that it does not know."""

LARGEST_FILE = 1 << 30
"""Bytes of an ONNX file that is opened; networks of small images take a few millions."""

_NEEDED = "an .onnx file that glyphnet export wrote is needed"
_ROUNDING = 1e-3  # by which a probability, or the sum of all, may be off
_UNSEALED = "This file was exported before files had a checksum, so damage goes unnoticed: export it again."


class Session(Protocol):
    """What computes an `OnnxModel`: ONNX Runtime, or `predictor.PlainSession`."""

    def run(self, wanted: Sequence[str], inputs: Mapping[str, UInt8Array]) -> list[Float32Array]:
        """The outputs of these names for ``images``, uint8 (N, H, W, C)."""


@dataclass(frozen=True, eq=False)
class OnnxModel(Predictor):
    """An exported model, which predicts as the `Classifier` that it was made of: see `Predictor`.

    Attributes:
        session: what computes.
        temperature: already applied to the probabilities.
        scores: whether the graph scores how unlike the training images an image is; older ones do not.
        scores_twice: whether it also scores what a picture was before normalising changed it.
        about: what else the file holds, as plain JSON values: network, metrics, provenance and so on.
        name: of the file, for errors.
        sealed: whether the file has a checksum, which was right; files of earlier versions have none.

    Everything else: see `Classifier`.
    """

    session: Session = field(repr=False)
    input_shape: ImageShape
    classes: tuple[str, ...]
    temperature: float = 1.0
    threshold: float | None = None
    scores: bool = False
    scores_twice: bool = False
    foreign_threshold: float | None = None
    conformal: Conformal | None = field(default=None, repr=False)
    ink: InkSpec | None = None
    normalize: bool | None = None
    reading: Reading = STANDARD
    about: Mapping[str, Any] = field(default_factory=dict, repr=False)
    name: str = "model.onnx"
    sealed: bool = True

    def answer(self, images: Images, *, batch_size: int | None = None, as_is: bool | None = None) -> Answers:
        """Probabilities, scores and reasons for each image."""
        if batch_size is not None and batch_size < 1:
            raise SettingsError(f"batch_size (={batch_size}) must be 1 or more.")
        size = batch_size or default_batch_size(self.input_shape)
        wanted = ["probabilities", *(["foreign"] if self.scores else [])]
        parts = []
        drawn: list[NoDrawing | None] = []
        for batch in image_batches(images, self, size, as_is):
            found = self._run(wanted, batch.pixels)
            if self.scores_twice:
                found[1] = scored_twice(found[1], batch.given, self._distances)
            parts.append(found)
            drawn += batch.reasons
        empty = [np.empty((0, len(self.classes)), np.float32), np.empty(0, np.float32)][: len(wanted)]
        gathered = [np.concatenate(each) for each in zip(*parts, strict=True)] if parts else empty
        probabilities, foreign = gathered[0], gathered[1] if self.scores else None
        reasons = self.rules.reasons(probabilities, foreign, drawn)
        return Answers(probabilities, foreign, reasons, self.classes, self.rules)

    def _distances(self, pixels: UInt8Array) -> Float32Array:
        """How far the features of images, uint8 (N, H, W, C), are from the prototypes: float32 (N,)."""
        return self._run(["probabilities", "distance"], pixels)[1]

    def _run(self, wanted: list[str], pixels: npt.NDArray[np.uint8]) -> list[Float32Array]:
        """The outputs of the graph for a batch; a stranger's graph may give anything."""
        try:
            outputs: list[Float32Array] = self.session.run(wanted, {"images": np.ascontiguousarray(pixels)})
        except Exception as error:  # its own exceptions have no base of their own
            raise ModelFileError(f"{self.name}: ONNX Runtime failed on it ({first_line(error)}).") from None
        probabilities = outputs[0]
        if [each.shape for each in outputs] != [(len(pixels), len(self.classes)), (len(pixels),)][: len(wanted)]:
            raise CorruptFileError(f"{self.name}: its graph gives outputs of {[each.shape for each in outputs]}.")
        sums = probabilities.sum(axis=1)  # NaN and infinity fail both comparisons
        if not (np.all(probabilities >= -_ROUNDING) and np.all(np.abs(sums - 1) <= _ROUNDING)):
            raise CorruptFileError(
                f"{self.name}: its outputs are not probabilities (from {probabilities.min():g} to "
                f"{probabilities.max():g}, sums from {sums.min():g} to {sums.max():g}). Export the model again."
            )
        if not all(np.isfinite(each).all() for each in outputs[1:]):
            raise CorruptFileError(f"{self.name}: gives a score that is not finite. Export the model again.")
        return outputs

    @property
    def lacking(self) -> str:
        """What this model lacks beside those of today, in one or two sentences, or ""."""
        return " ".join(filter(None, [super().lacking, "" if self.sealed else _UNSEALED]))


def load_onnx(path: str | os.PathLike[str], threads: int | None = None) -> OnnxModel:
    """Read an ONNX file that ``glyphnet export`` wrote.

    Args:
        path: the file.
        threads: how many predict one batch; None takes all that the process may use.

    Raises:
        CorruptFileError: no ONNX file, damaged, or not one of ours.
        UnsupportedFileError: written by a newer GlyphNet, or its weights lie in other files.
        ModelFileError: it is not there, cannot be read or is too large.
        MissingExtraError: ONNX Runtime is not installed.
    """
    return parse_onnx(_read(path), path, threads)


def parse_onnx(content: bytes, name: str | os.PathLike[str], threads: int | None = None) -> OnnxModel:
    """The model in the content of an ONNX file, which errors call ``name``; raises as `load_onnx` does."""
    if (what := looks_like(content)) and what != ONNX.what:
        raise CorruptFileError(f"{name}: looks like {what}; {_NEEDED}.")
    graph, sealed = _checked(content, name)
    session = _session(content, name, threads)
    try:
        told = {key: json.loads(text) for key, text in graph.metadata.items()}
        return replace(_described(session, told), name=os.fspath(name), sealed=sealed)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptFileError(
            f"{name}: its metadata do not fit its graph ({str(error)[:200]}). Export it again."
        ) from None


def _checked(content: bytes, name: str | os.PathLike[str]) -> tuple[Graph, bool]:
    """The graph of a file, which is one that `glyphnet export` writes; and whether the file has a checksum."""
    try:
        graph = read_graph(content)
    except OutsideError:
        raise UnsupportedFileError(
            f"{name}: keeps weights in other files, which are never opened; {_NEEDED}."
        ) from None
    except ValueError as error:
        raise CorruptFileError(f"{name}: is no ONNX file ({error}); {_NEEDED}.") from None
    version = graph.metadata.get("glyphnet")
    if version is None:
        raise CorruptFileError(f"{name}: says nothing of classes and images, so GlyphNet did not export it; {_NEEDED}.")
    if version != str(FORMAT_VERSION):
        raise UnsupportedFileError(
            f"{name}: has format version {version[:20]!r}, and this GlyphNet reads {FORMAT_VERSION}. "
            "Upgrade with: pip install --upgrade glyphnet"
        )
    try:
        sealed = check_seal(content, graph.metadata)
    except ValueError as error:
        raise CorruptFileError(f"{name}: {error}. Get or export it again.") from None
    try:
        check_graph(graph)
    except ValueError as error:
        raise CorruptFileError(
            f"{name}: its graph is not one that GlyphNet exports ({error}). Export it again."
        ) from None
    return graph, sealed


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        with open_input(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST_FILE:
                raise ModelFileError(f"{path}: {size:,} bytes, more than the limit of {LARGEST_FILE:,}.")
            return file.read()
    except FileNotFoundError:
        raise ModelFileError(f"{path}: there is no such file.") from None
    except IsADirectoryError:
        raise CorruptFileError(f"{path}: is a folder; {_NEEDED}.") from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}.") from None
    except ValueError as error:  # a NUL in the name
        raise ModelFileError(f"{path!r}: cannot be read: {error}.") from None


def without_telemetry() -> None:
    """Before ONNX Runtime is imported, the only time when it looks: since 1.31 it reports each use to its maker."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def _session(content: bytes, name: str | os.PathLike[str], threads: int | None) -> InferenceSession:
    without_telemetry()
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("Predicting with an ONNX model", "export") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # we raise what is wrong
    if threads is not None:
        options.intra_op_num_threads = threads
    elif hasattr(os, "sched_getaffinity"):  # it would count the machine's cores, not those that it may use
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own exceptions have no base of their own
        raise CorruptFileError(f"{name}: ONNX Runtime cannot load it ({first_line(error)}). Export it again.") from None


def _described(session: InferenceSession, told: dict[str, Any]) -> OnnxModel:
    """The model from its graph and its metadata, held against each other; raises ValueError and the like."""
    inputs = {one.name: (one.type, one.shape[1:]) for one in session.get_inputs()}
    outputs = {one.name: (one.type, one.shape[1:]) for one in session.get_outputs()}
    classes, threshold, ink = told.pop("classes"), told.pop("threshold"), told.pop("ink", None)
    value_range, window, page = told.pop("value_range", None), told.pop("window", False), told.pop("page", 1)
    if (normalize := told.pop("normalize", None)) not in (None, True, False):
        raise ValueError(f"normalize is {normalize!r}")
    if not (isinstance(classes, list) and classes and all(isinstance(name, str) for name in classes)):
        raise ValueError("the classes are no list of names")
    if len(set(classes)) < len(classes):
        raise ValueError("two classes have the same name")
    if fault := next(filter(None, map(fault_of, classes)), ""):
        raise ValueError(f"the name of a class is none: {fault}")
    if threshold is not None and not 0 <= float(threshold) <= 1:
        raise ValueError(f"the threshold is {threshold}")
    foreign, conformal = told.pop("foreign_threshold", None), told.pop("conformal", None)
    scores = outputs.get("foreign") == ("tensor(float)", [])
    kind, shape = inputs.get("images", ("", []))
    if len(inputs) != 1 or kind != "tensor(uint8)" or len(shape) != 3 or shape[2] not in (1, 3):
        raise ValueError("its input is not `images`, uint8 (N, H, W, C)")
    if not all(isinstance(side, int) and 1 <= side <= 4096 for side in shape):
        raise ValueError(f"its images are of {shape}")
    if outputs.get("probabilities") != ("tensor(float)", [len(classes)]):
        raise ValueError(f"its output is not `probabilities`, float32 (N, {len(classes)})")
    height, width, channels = shape
    return OnnxModel(
        session=session,
        input_shape=(height, width, channels),
        classes=tuple(classes),
        temperature=float(told.pop("temperature")),
        threshold=None if threshold is None else float(threshold),
        scores=scores,
        scores_twice=scores and outputs.get("distance") == ("tensor(float)", []),
        foreign_threshold=None if foreign is None or not scores else float(foreign),
        conformal=None if conformal is None else Conformal.model_validate(conformal),
        ink=None if ink is None else InkSpec.model_validate(ink),
        normalize=normalize,
        reading=Reading(check_range(value_range), check_page(page), bool(window)),
        about=told,
    )
