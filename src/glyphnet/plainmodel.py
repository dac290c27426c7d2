"""A model file that predicts a few pictures by NumPy, in the time that torch would take to load."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .answers import Float32Array
from .data.dataset import UInt8Array
from .modelfile import ModelHeader, read_described_model
from .nn.forward import compute, distance, network_input, score
from .nn.plain import Parted
from .nn.prototypes import Prototypes
from .onnxmodel import OnnxModel

MOST_WORK = 1_000_000_000
"""Multiplications, of all pictures together: half a second. Beyond it torch is quicker, with its own start."""


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
