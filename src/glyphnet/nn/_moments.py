"""Mean and standard deviation of training inputs: exact, in parts, the same bits every time."""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import SettingsError
from .inputs import Inputs, as_tensor

Float32Array = npt.NDArray[np.float32]

_PART_BYTES = 1 << 19
"""Size of a part as uint8; its float64 form, eight times as large, is still in a cache or nearly."""


def pixel_moments(images: Inputs) -> tuple[Float32Array, Float32Array]:
    """Mean and standard deviation of each channel of uint8 (N, H, W, C), in units of [0, 1]; float32 (C,).

    Sums of bytes and of their squares are whole numbers: they are added without error, in whatever order.

    Raises:
        SettingsError: there are no images.
    """
    _need_some(images)
    channels = images.shape[3]
    total, squares, pixels = [0] * channels, [0] * channels, 0
    for part in _parts(images, itemsize=1):
        values = part.reshape(-1, channels).to(torch.float64)  # whole numbers below 2**53: float64 is exact
        pixels += len(values)
        total = [t + int(s) for t, s in zip(total, values.sum(0).tolist(), strict=True)]
        squares = [t + int(s) for t, s in zip(squares, values.square_().sum(0).tolist(), strict=True)]
    mean = np.array([t / (pixels * 255) for t in total], dtype=np.float32)
    # n·Σx² - (Σx)² is n² times the variance, as a whole number; 64 more bits keep its root precise.
    roots = [isqrt((pixels * q - t * t) << 128) / 2**64 for t, q in zip(total, squares, strict=True)]
    std = np.array([root / (pixels * 255) for root in roots], dtype=np.float32)
    return mean, np.where(std > 0, std, np.float32(1))


def feature_moments(features: Inputs) -> tuple[Float32Array, Float32Array]:
    """Mean and standard deviation of each feature of float (N, D); two float32 (D,).

    Raises:
        SettingsError: there are no rows, or a feature holds values that float32 cannot.
    """
    _need_some(features)
    rows, columns = features.shape
    total = np.zeros(columns)
    lowest, highest = np.full(columns, np.inf), np.full(columns, -np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        for part in _parts(features, itemsize=8):
            values = part.numpy().astype(np.float64)
            total += values.sum(axis=0)
            lowest, highest = np.minimum(lowest, values.min(axis=0)), np.maximum(highest, values.max(axis=0))
        mean = total / rows
        squares = np.zeros(columns)
        for part in _parts(features, itemsize=8):
            squares += np.square(part.numpy().astype(np.float64) - mean).sum(axis=0)
        std = np.sqrt(squares / rows).astype(np.float32)
        # A constant column can have a tiny std from rounding alone; its extremes tell it for sure.
        std = np.where((std > 0) & (lowest < highest), std, np.float32(1))
        mean32 = mean.astype(np.float32)
    bad = np.flatnonzero(~(np.isfinite(mean32) & np.isfinite(std)))
    if bad.size:
        raise SettingsError(
            f"feature {bad[0]} of the inputs holds NaN, infinite values or values too large for float32 "
            f"({bad.size} of {columns} features do). Replace or rescale them first."
        )
    return mean32, std


def _need_some(inputs: Inputs) -> None:
    if inputs.shape[0] == 0:
        raise SettingsError("there are no training inputs to measure a mean from.")


def _parts(inputs: Inputs, itemsize: int) -> Iterator[Tensor]:
    """Consecutive rows, about ``_PART_BYTES`` of them at a time, in memory."""
    row = max(1, itemsize * int(np.prod(inputs.shape[1:])))
    step = max(1, _PART_BYTES // row)
    for start in range(0, inputs.shape[0], step):
        part = inputs[start : start + step]
        # An array may run backwards, which no tensor can.
        yield (part if isinstance(part, Tensor) else as_tensor(np.ascontiguousarray(part))).detach().cpu()
