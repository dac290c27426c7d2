"""From stored inputs to network inputs: the only preprocessing in the project."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from math import isqrt
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from ..errors import SettingsError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Mode = Literal["standardize", "unit_range", "unit_norm"]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


_Statistics = tuple[float, ...]


class _StatisticsOnDevices:
    """Means and standard deviations as tensors, kept for each device.

    Copying them for each batch would cost time, and is forbidden while a CUDA graph is captured. They are no part of
    the value: they make no two preprocessings differ, and are not pickled.
    """

    def __init__(self) -> None:
        self._kept: dict[torch.device, tuple[_Statistics, _Statistics, torch.Tensor]] = {}

    def on(self, device: torch.device, mean: _Statistics, std: _Statistics) -> tuple[torch.Tensor, torch.Tensor]:
        """Both as float32 tensors on a device."""
        kept = self._kept.get(device)
        if kept is None or kept[0] is not mean or kept[1] is not std:
            # Made as ordinary tensors even when prediction comes first: gradients may be asked for later.
            import torch  # a description loads none

            with torch.inference_mode(False):
                pair = torch.from_numpy(np.array([mean, std], dtype=np.float32)).to(device)
            kept = self._kept[device] = (mean, std, pair)
        return kept[2][0], kept[2][1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _StatisticsOnDevices)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __reduce__(self) -> tuple[type[_StatisticsOnDevices], tuple[()]]:
        return _StatisticsOnDevices, ()


class Preprocessing(BaseModel):
    """How inputs become what the network sees.

    - ``standardize``: (x - mean) / std, each channel of images in [0, 1], or each feature of vectors.
    - ``unit_range``: pixels / 255 and no more; vectors stay as they are.
    - ``unit_norm``: each image or vector divided by its Euclidean norm; an all-black image stays zero.

    Attributes:
        mode: one of the three.
        mean: for ``standardize``: one a channel or feature, in units of [0, 1] for images. Else empty.
        std: likewise; 1 where the training inputs are constant. All are float32 values, which come back from
            JSON bit for bit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode = "standardize"
    mean: tuple[_Finite, ...] = ()
    std: tuple[_Positive, ...] = ()
    _tensors: _StatisticsOnDevices = PrivateAttr(default_factory=_StatisticsOnDevices)

    @model_validator(mode="after")
    def _statistics_fit_the_mode(self) -> Preprocessing:
        if len(self.mean) != len(self.std):
            raise ValueError(f"has {len(self.mean)} means but {len(self.std)} standard deviations")
        if bool(self.mean) != (self.mode == "standardize"):
            raise ValueError(f'mode "{self.mode}" has {len(self.mean)} means: only "standardize" has any')
        return self

    @classmethod
    def measure(cls, inputs: Inputs, mode: Mode = "standardize") -> Preprocessing:
        """The preprocessing for these training inputs, uint8 (N, H, W, C) or float (N, D), on any device.

        Read in parts, so a memory map is never whole in memory. For images the sums are whole numbers and the
        result is exact; for vectors it is computed in float64, in two passes.

        Raises:
            SettingsError: there are no inputs, or a feature is not finite in float32.
        """
        if mode != "standardize":
            return cls(mode=mode)
        mean, std = pixel_moments(inputs) if inputs.ndim == 4 else feature_moments(inputs)
        return cls(mode=mode, mean=tuple(map(float, mean)), std=tuple(map(float, std)))

    def to_float(self, inputs: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, C) to float32 (N, C, H, W) in [0, 1], channels last; float (N, D) to float32."""
        import torch

        if inputs.dtype == torch.uint8 and inputs.ndim == 4:
            return inputs.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)
        return inputs.to(torch.float32)

    def normalise(self, x: torch.Tensor) -> torch.Tensor:
        """The output of :meth:`to_float`, augmented or not, as network input: same shape, float32."""
        if self.mode == "unit_range":
            return x
        if self.mode == "unit_norm":
            import torch

            norm: torch.Tensor = torch.linalg.vector_norm(x, dim=tuple(range(1, x.ndim)), keepdim=True)
            return x / norm.clamp_min(torch.finfo(x.dtype).tiny)
        mean, std = self._tensors.on(x.device, self.mean, self.std)
        if x.ndim == 4:
            mean, std = mean[:, None, None], std[:, None, None]
        return (x - mean).div_(std)

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Stored inputs to network inputs: ``normalise(to_float(inputs))``."""
        return self.normalise(self.to_float(inputs))


Inputs: TypeAlias = "npt.NDArray[Any] | Tensor"


def as_tensor(inputs: Inputs) -> Tensor:
    """An array or memory map as a tensor over the same memory; a tensor as it is."""
    import torch

    if isinstance(inputs, torch.Tensor):
        return inputs
    with warnings.catch_warnings():
        # A read-only memory map cannot be written through a tensor either: nothing here writes to inputs.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.asarray(inputs))


# Mean and standard deviation of training inputs: exact, and the same bits every time

Float32Array = npt.NDArray[np.float32]

_PART_BYTES = 1 << 19
"""Size of a part of vectors."""

_PART_PIXELS = 1 << 15
"""Bytes of a part of images; as whole numbers, eight times as large, it is still in a cache."""


def pixel_moments(images: Inputs) -> tuple[Float32Array, Float32Array]:
    """Mean and standard deviation of each channel of uint8 (N, H, W, C), in units of [0, 1]; float32 (C,).

    Sums of bytes and of their squares are whole numbers: they are added without error, in whatever order.

    Raises:
        SettingsError: there are no images.
    """
    _need_some(images)
    channels = images.shape[3]
    total, squares, pixels = [0] * channels, [0] * channels, 0
    for part in _parts(images, 1, _PART_PIXELS):
        pixels += part[..., 0].numel()
        for channel in range(channels):
            values = part[..., channel].numpy().reshape(-1).astype(np.int64)
            total[channel] += int(values.sum())
            squares[channel] += int(np.dot(values, values))  # of whole numbers: without BLAS and its threads
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
        for part in _parts(features, 8, _PART_BYTES):
            values = part.numpy().astype(np.float64)
            total += values.sum(axis=0)
            lowest, highest = np.minimum(lowest, values.min(axis=0)), np.maximum(highest, values.max(axis=0))
        mean = total / rows
        squares = np.zeros(columns)
        for part in _parts(features, 8, _PART_BYTES):
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


def _parts(inputs: Inputs, itemsize: int, size: int) -> Iterator[Tensor]:
    """Consecutive rows, about ``size`` bytes of them at a time, in memory."""
    row = max(1, itemsize * int(np.prod(inputs.shape[1:])))
    step = max(1, size // row)
    for start in range(0, inputs.shape[0], step):
        part = inputs[start : start + step]
        # An array may run backwards, which no tensor can.
        yield as_tensor(np.ascontiguousarray(part) if isinstance(part, np.ndarray) else part).detach().cpu()
