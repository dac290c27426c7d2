"""Plain layers computed by NumPy: for a few pictures, which would wait a second for torch to load.

Products are added in float64 and rounded to float32 after each layer, so that what overflows in torch does so here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from . import plain
from .plain import Float32Array, Layer
from .preprocessing import Preprocessing
from .prototypes import FLAT, OUTSIDE, Prototypes

Float64Array = npt.NDArray[np.float64]


def network_input(pixels: npt.NDArray[np.uint8], preprocessing: Preprocessing) -> Float32Array:
    """`Preprocessing` of uint8 (N, H, W, C): float32 of the same shape."""
    x: Float32Array = pixels.astype(np.float32) / np.float32(255)
    if preprocessing.mode == "unit_norm":
        norm = np.sqrt(np.square(x, dtype=np.float64).sum(axis=(1, 2, 3), keepdims=True)).astype(np.float32)
        x /= np.maximum(norm, np.finfo(np.float32).tiny)
    elif preprocessing.mode == "standardize":
        x -= np.array(preprocessing.mean, np.float32)
        x /= np.array(preprocessing.std, np.float32)
    return x


def compute(layers: Sequence[Layer], x: npt.NDArray[np.floating]) -> Float32Array:
    """What layers make of images (N, H, W, C), or of vectors (N, F)."""
    given = x.astype(np.float32)
    for layer in layers:
        given = _LAYERS[type(layer)](layer, given.astype(np.float64)).astype(np.float32)
    return given


def distance(features: Float32Array, prototypes: Prototypes) -> Float32Array:
    """As `scoring.NearestPrototype`: features (N, F or more) to (N,)."""
    x = features[:, : prototypes.features].astype(np.float64)
    length = np.maximum(np.sqrt((x * x).sum(axis=1, keepdims=True)), np.finfo(np.float32).tiny)
    distances = (1 - (x / length) @ prototypes.unit.T) * prototypes.weights
    nearest: Float32Array = distances.min(axis=1).astype(np.float32)
    return nearest


def score(x: Float32Array, nearest: Float32Array, prototypes: Prototypes) -> Float32Array:
    """As `scoring.score`, of network inputs (N, H, W, C)."""
    images = x.astype(np.float64)
    contrast = np.sqrt(np.square(images - images.mean(axis=(1, 2), keepdims=True)).mean(axis=(1, 2, 3)))
    steps = [np.abs(np.diff(images, axis=axis)) for axis in (1, 2) if images.shape[axis] > 1]
    total = nearest.astype(np.float64)
    if prototypes.contrast > 0:
        total += OUTSIDE * np.maximum(1 - contrast / prototypes.contrast, 0)
    if math.isfinite(prototypes.roughness) and steps:
        change = np.mean([step.mean(axis=(1, 2, 3)) for step in steps], axis=0)
        roughness = np.where(contrast > FLAT, change / np.maximum(contrast, FLAT), 0)
        total += OUTSIDE * np.maximum(roughness / prototypes.roughness - 1, 0)
    return total.astype(np.float32)


def _convolution(layer: plain.Convolution, x: Float64Array) -> Float64Array:
    padded = np.pad(x, ((0, 0), (layer.padding,) * 2, (layer.padding,) * 2, (0, 0)))
    height, width = (layer.stride * ((side - layer.kernel) // layer.stride) + 1 for side in padded.shape[1:3])
    total: Float64Array = layer.bias.astype(np.float64)
    for row, column in product(range(layer.kernel), repeat=2):  # one place of the kernel needs no copies of the image
        seen = padded[:, row : row + height : layer.stride, column : column + width : layer.stride]
        total = total + seen @ layer.weight[:, :, row, column].T.astype(np.float64)
    return total


def _max_pool(layer: plain.MaxPool, x: Float64Array) -> Float64Array:
    count, height, width, channels = x.shape
    height, width, size = height // layer.size, width // layer.size, layer.size
    whole = x[:, : height * size, : width * size]
    largest: Float64Array = whole.reshape(count, height, size, width, size, channels).max(axis=(2, 4))
    return largest


def _recurrent(layer: plain.Recurrent, x: Float64Array) -> Float64Array:
    rows = x.reshape(*x.shape[:2], -1)
    last: list[Float64Array] = []
    for readings in layer.levels:
        states = [_states(one, rows[:, ::way])[:, ::way] for one, way in zip(readings, (1, -1), strict=False)]
        last = [each[:, end] for each, end in zip(states, (-1, 0), strict=False)]
        rows = np.concatenate(states, axis=2)
    return np.concatenate(last, axis=1)


def _states(one: plain.Reading, rows: Float64Array) -> Float64Array:
    """The state of an LSTM after each of ``rows``, (N, H, I): (N, H, hidden)."""
    state = cell = np.zeros((len(rows), one.states.shape[1]))
    found = []
    for given in np.moveaxis(rows, 1, 0):
        gates = given @ one.inputs.T + state @ one.states.T + one.bias
        enter, keep, new, leave = np.split(gates, 4, axis=1)
        cell = _sigmoid(keep) * cell + _sigmoid(enter) * np.tanh(new)
        state = _sigmoid(leave) * np.tanh(cell)
        found.append(state)
    return np.stack(found, axis=1)


def _sigmoid(x: Float64Array) -> Float64Array:
    return (1 + np.tanh(x / 2)) / 2


_erf = np.vectorize(math.erf, otypes=[np.float64])

ACTIVATIONS: dict[str, Callable[[Float64Array], Float64Array]] = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "gelu": lambda x: x / 2 * (1 + _erf(x * math.sqrt(0.5))),
    "silu": lambda x: x * _sigmoid(x),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
}

_LAYERS: dict[type[Any], Callable[[Any, Float64Array], npt.NDArray[Any]]] = {
    plain.Convolution: _convolution,
    plain.Dense: lambda layer, x: x @ layer.weight.T.astype(np.float64) + layer.bias,
    plain.Affine: lambda layer, x: x * layer.scale + layer.shift,
    plain.MaxPool: _max_pool,
    plain.MeanPixel: lambda layer, x: x.mean(axis=(1, 2), keepdims=True),
    plain.Flatten: lambda layer, x: x.reshape(len(x), -1),
    plain.Activation: lambda layer, x: ACTIVATIONS[layer.name](x),
    plain.Residual: lambda layer, x: compute(layer.branch, x).astype(np.float64) + compute(layer.shortcut, x),
    plain.SideBySide: lambda layer, x: np.concatenate([compute(part, x) for part in layer.parts], axis=1),
    plain.Recurrent: _recurrent,
}
