"""Any model ready to predict: by torch, by ONNX Runtime, or a few pictures by NumPy, while torch would still load."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .answers import Float32Array, Predictor
from .data.dataset import UInt8Array
from .errors import DeviceError
from .modelfile import ModelHeader, read_described_model
from .nn.forward import compute, distance, network_input, score
from .nn.plain import Parted
from .nn.prototypes import Prototypes
from .onnxmodel import OnnxModel, load_onnx

MOST_WORK = 200_000_000
"""Multiplications, of all pictures together, up to which NumPy is done long before torch is loaded."""


def load_predictor(
    path: str | os.PathLike[str], device: str = "cpu", *, threads: int | None = None, pictures: int | None = None
) -> Predictor:
    """A model file (``.safetensors``) or what was exported from one (``.onnx``), ready to predict.

    Args:
        path: the file.
        device: where a model file computes.
        threads: of an ONNX file; a model file computes on those that torch is set to.
        pictures: how many it will be asked, where they are few: a model file may then do without torch.

    Raises:
        ModelFileError, MissingExtraError, DeviceError: see `glyphnet.load_model` and `load_onnx`.
    """
    if os.fspath(path).lower().endswith(".onnx"):
        if device not in ("auto", "cpu"):
            raise DeviceError(f"An ONNX model is run on the processor: the device {device!r} has no part in it.")
        return load_onnx(path, threads)
    if pictures is not None and device == "cpu" and (plain := load_plain(path, pictures)) is not None:
        return plain
    from .classifier import load_model  # torch, which takes a second to load

    return load_model(path, device)


@dataclass(frozen=True, eq=False)
class PlainSession:
    """Computes as the graph of an exported model does, with the same outputs: see `OnnxModel`."""

    layers: Parted
    header: ModelHeader
    prototypes: Prototypes | None

    def run(self, wanted: Sequence[str], inputs: Mapping[str, UInt8Array]) -> list[Float32Array]:
        """The outputs of these names for ``images``, uint8 (N, H, W, C)."""
        with np.errstate(over="ignore", invalid="ignore"):  # the answers show it
            x = network_input(inputs["images"], self.header.preprocessing)
            features = compute(self.layers.body, x)
            logits = compute(self.layers.rest, features).astype(np.float64) / self.header.temperature
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            outputs = {"probabilities": (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)}
            if self.prototypes is not None:
                outputs["distance"] = distance(features, self.prototypes)
                outputs["foreign"] = score(x, outputs["distance"], self.prototypes)
        return [outputs[name] for name in wanted]


def load_plain(path: str | os.PathLike[str], pictures: int) -> OnnxModel | None:
    """The model of a ``.safetensors`` file without torch, for so many pictures.

    None where `load_model` must be asked: the network takes torch or too long, or the file is refused.
    """
    found = read_described_model(path, most_work=MOST_WORK // max(1, pictures))
    if found is None:
        return None
    header, layers, prototypes = found
    session = PlainSession(layers, header, prototypes)
    ramp = np.arange(np.prod(header.input_shape)) % 256
    tried = np.stack([np.zeros_like(ramp), np.full_like(ramp, 255), ramp]).astype(np.uint8)
    if not np.isfinite(session.run(["probabilities"], {"images": tried.reshape(3, *header.input_shape)})[0]).all():
        return None
    return OnnxModel(
        session=session,
        input_shape=header.input_shape,
        classes=header.classes,
        temperature=header.temperature,
        threshold=header.threshold,
        scores=prototypes is not None,
        scores_twice=prototypes is not None and prototypes.twice,
        foreign_threshold=None if header.foreign is None else header.foreign.threshold,
        conformal=header.conformal,
        ink=header.ink,
        normalize=header.normalize,
        reading=header.reading,
        name=os.fspath(path),
    )
