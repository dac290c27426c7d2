"""Layers as the page carries them: a description in JSON, and the weights as bytes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .layers import (
    Activation,
    Affine,
    Convolution,
    Dense,
    Flatten,
    Float32Array,
    Layer,
    MaxPool,
    MeanPixel,
    Recurrent,
    Residual,
    SideBySide,
)

Encoding: TypeAlias = Literal["int16", "float32"]

_STEPS = 32767  # of an int16, to either side


class Weights:
    """The tensors so far, as the page reads them.

    Weights have their outputs as the last axis there. As ``int16`` they are whole multiples of a float32 for each
    output; everything else, a small part, is float32.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._content = bytearray()
        self.tensors: list[dict[str, int]] = []

    def plain(self, values: Float32Array) -> int:
        """Add a tensor as it is; its number in the list."""
        return self._add(values.size, 0, values)

    def weight(self, values: Float32Array) -> int:
        """Add weights (…, outputs); their number in the list."""
        if self._encoding == "float32":
            return self.plain(values)
        scale = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0) / np.float32(_STEPS)
        steps = np.rint(values / np.where(scale > 0, scale, 1)).clip(-_STEPS, _STEPS)
        return self._add(values.size, values.shape[-1], scale.astype(np.float32), steps.astype("<i2"))

    def small(self, values: npt.NDArray[np.int8]) -> int:
        """Add whole numbers of 8 bits; their number in the list."""
        return self._add(values.size, -1, values)

    def base64(self) -> str:
        """All of them, one behind the other."""
        return base64.b64encode(bytes(self._content)).decode()

    def _add(self, length: int, outputs: int, *parts: npt.NDArray[np.generic]) -> int:
        self.tensors.append({"offset": len(self._content), "length": length, "outputs": outputs})
        for part in parts:
            little = part.astype(part.dtype.newbyteorder("<"))
            self._content += np.ascontiguousarray(little).tobytes()
        return len(self.tensors) - 1


def read_tensors(tensors: Sequence[dict[str, int]], text: str) -> list[Float32Array]:
    """What ``pages/js/weights.js`` makes of what `Weights` wrote, each flat."""
    content = base64.b64decode(text)
    return [_read(content, **tensor) for tensor in tensors]


def _read(content: bytes, offset: int, length: int, outputs: int) -> Float32Array:
    if outputs < 0:
        return np.frombuffer(content, "i1", length, offset).astype(np.float32)
    if outputs == 0:
        return np.frombuffer(content, "<f4", length, offset)
    scale = np.frombuffer(content, "<f4", outputs, offset)
    steps = np.frombuffer(content, "<i2", length, offset + 4 * outputs)
    values: Float32Array = (steps.reshape(-1, outputs) * scale).astype(np.float32).reshape(-1)
    return values


def described(layers: Sequence[Layer], weights: Weights) -> list[dict[str, Any]]:
    """Each layer as plain JSON values, with the numbers of its tensors; ``weights`` takes the tensors in."""
    return [_DESCRIBERS[type(layer)](layer, weights) for layer in layers]


def _convolution(layer: Convolution, weights: Weights) -> dict[str, Any]:
    return {
        "type": "convolution",
        "kernel": layer.weight.shape[2],
        "stride": layer.stride,
        "padding": layer.padding,
        "weight": weights.weight(layer.weight.transpose(2, 3, 1, 0)),
        "bias": weights.plain(layer.bias),
    }


def _dense(layer: Dense, weights: Weights) -> dict[str, Any]:
    return {"type": "dense", "weight": weights.weight(layer.weight.T), "bias": weights.plain(layer.bias)}


def _affine(layer: Affine, weights: Weights) -> dict[str, Any]:
    return {"type": "affine", "scale": weights.plain(layer.scale), "shift": weights.plain(layer.shift)}


def _residual(layer: Residual, weights: Weights) -> dict[str, Any]:
    branch, shortcut = described(layer.branch, weights), described(layer.shortcut, weights)
    return {"type": "residual", "branch": branch, "shortcut": shortcut}


def _side_by_side(layer: SideBySide, weights: Weights) -> dict[str, Any]:
    return {"type": "sideBySide", "parts": [described(part, weights) for part in layer.parts]}


def _recurrent(layer: Recurrent, weights: Weights) -> dict[str, Any]:
    levels = [
        [
            {
                "inputs": weights.weight(one.inputs.T),
                "states": weights.weight(one.states.T),
                "bias": weights.plain(one.bias),
            }
            for one in level
        ]
        for level in layer.levels
    ]
    return {"type": "recurrent", "levels": levels}


_DESCRIBERS: dict[type[Any], Callable[[Any, Weights], dict[str, Any]]] = {
    Convolution: _convolution,
    Dense: _dense,
    Affine: _affine,
    MaxPool: lambda layer, _: {"type": "maxPool", "size": layer.size},
    MeanPixel: lambda _, __: {"type": "meanPixel"},
    Flatten: lambda _, __: {"type": "flatten"},
    Activation: lambda layer, _: {"type": "activation", "name": layer.name},
    Residual: _residual,
    SideBySide: _side_by_side,
    Recurrent: _recurrent,
}
