"""Whatever predicts, and how it is loaded: a model file with torch, an exported ONNX file without."""

from __future__ import annotations

import os
from typing import Protocol

from .answers import Answers, Rules
from .errors import DeviceError
from .images import Images, Reader
from .onnxmodel import Float32Array, load_onnx


class Predictor(Reader, Protocol):
    """What `Classifier` and `OnnxModel` have in common; see there."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names, in label order."""

    @property
    def threshold(self) -> float | None:
        """Confidence below which an answer is not believed."""

    @property
    def rules(self) -> Rules:
        """When an answer is not believed."""

    @property
    def lacking(self) -> str:
        """What it lacks beside models of today, in one sentence, or ""."""

    def answer(self, images: Images, *, batch_size: int | None = None, as_is: bool | None = None) -> Answers:
        """Probabilities, scores and reasons for each image."""

    def predict_proba(
        self, images: Images, *, batch_size: int | None = None, as_is: bool | None = None
    ) -> Float32Array:
        """Probability of each class: float32 (N, K)."""

    def predict(
        self, images: Images, *, batch_size: int | None = None, reject: bool = False, as_is: bool | None = None
    ) -> list[str]:
        """The name of the likeliest class of each image."""

    def predict_sets(
        self, images: Images, level: float = 0.95, *, batch_size: int | None = None, as_is: bool | None = None
    ) -> list[tuple[str, ...]]:
        """Sets of class names that contain the true class with probability ``level``."""


def load_predictor(path: str | os.PathLike[str], device: str = "cpu", *, threads: int | None = None) -> Predictor:
    """A model file (``.safetensors``) or what was exported from one (``.onnx``), ready to predict.

    Args:
        path: the file.
        device: where a model file computes.
        threads: of an ONNX file; a model file computes on those that torch is set to.

    Raises:
        ModelFileError, MissingExtraError, DeviceError: see `glyphnet.load_model` and `load_onnx`.
    """
    if os.fspath(path).lower().endswith(".onnx"):
        if device not in ("auto", "cpu"):
            raise DeviceError(f"An ONNX model is run on the processor: the device {device!r} has no part in it.")
        return load_onnx(path, threads)
    from .classifier import load_model  # torch, which takes a second to load

    return load_model(path, device)
