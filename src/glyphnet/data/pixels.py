"""Arrays of pixels as people save them, brought to uint8 (N, H, W, C)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .dataset import UInt8Array

_Array = npt.NDArray[Any]

_PIECE = 32 << 20  # bytes looked at in one go: float images may be a memory map larger than memory


def conform_images(arrays: Mapping[str, _Array]) -> tuple[dict[str, UInt8Array], tuple[str, ...]]:
    """Bring image arrays to uint8 (N, H, W, C) in 0..255, all by the same rule.

    Args:
        arrays: name to array, such as x_train and x_test. Shapes (N, H, W), (N, H, W, 1 or 3) and
            (N, 1 or 3, H, W); whole numbers in 0..255, floats in [0, 1] or whole in 0..255, or booleans.

    Returns:
        The arrays by the same names (uint8 arrays as views, never copied), and notes on what was done.

    Raises:
        DataError: a shape, type or value that is none of these; it names the array, the place and the value.
    """
    notes: list[str] = []
    shaped = {name: _conform_shape(name, array, notes) for name, array in arrays.items()}
    scale = _choose_scale(shaped)
    if scale != 1:
        kinds = ", ".join(sorted({str(array.dtype) for array in shaped.values()}))
        notes.append(f"The images are {kinds} in [0, 1]: they were multiplied by 255.")
    return {name: _to_uint8(array, scale) for name, array in shaped.items()}, tuple(notes)


def _conform_shape(name: str, array: _Array, notes: list[str]) -> _Array:
    if array.ndim == 3:
        array = array[..., np.newaxis]
    elif array.ndim == 4 and array.shape[3] not in (1, 3) and array.shape[1] in (1, 3):
        notes.append(f"{name} has the shape {array.shape}: read as (image, channel, row, column).")
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[3] not in (1, 3):
        raise DataError(f"{name} has the shape {array.shape}. {_shape_remedy(name, array.shape)}")
    if 0 in array.shape:
        raise DataError(f"{name} is empty: its shape is {array.shape}. Save at least one image.")
    return array


def _shape_remedy(name: str, shape: tuple[int, ...]) -> str:
    wanted = "Images must be (N, H, W), (N, H, W, 1) or (N, H, W, 3)"
    if len(shape) == 2 and (side := math.isqrt(shape[1])) ** 2 == shape[1]:
        return f"{wanted}: for square images, save {name}.reshape(-1, {side}, {side})."
    if len(shape) == 4 and shape[3] == 4:
        return f"{wanted}: remove the alpha channel, {name}[..., :3]."
    return f"{wanted}."


def _choose_scale(arrays: Mapping[str, _Array]) -> int:
    """255 if the values of all arrays lie in [0, 1], else 1; raises where a value fits neither reading."""
    if all(array.dtype == np.uint8 for array in arrays.values()):
        return 1
    if all(array.dtype == np.bool_ for array in arrays.values()):
        return 255
    largest, fraction, floating = 0.0, "", False
    for name, array in arrays.items():
        if array.dtype == np.uint8:
            largest = 255.0  # bytes say by their type that the range is 0..255
            continue
        if array.dtype.kind not in "buif":
            raise DataError(f"{name} is of type {array.dtype}. Pixels must be numbers: save it as uint8, 0 to 255.")
        floating = floating or array.dtype.kind == "f"
        for start, piece in _pieces(array):
            _refuse(name, start, piece, ~np.isfinite(piece), "is no number", "Replace such values before saving.")
            wrong = (piece < 0) | (piece > 255)
            _refuse(name, start, piece, wrong, "lies outside 0..255", "Scale the images to 0..255 or to [0, 1].")
            largest = max(largest, float(piece.max()))
            if not fraction and array.dtype.kind == "f":
                fraction = _describe_first(name, start, piece, piece != np.rint(piece))
    if largest <= 1 and floating:
        return 255
    if fraction:
        raise DataError(
            f"{fraction} is a fraction, but the largest value is {largest:g}. Save whole numbers in 0..255 "
            "or fractions in [0, 1]."
        )
    return 1


def _pieces(array: _Array) -> Iterator[tuple[int, _Array]]:
    step = max(1, _PIECE // max(1, array[0].nbytes))
    for start in range(0, len(array), step):
        yield start, np.asarray(array[start : start + step])


def _refuse(name: str, start: int, piece: _Array, wrong: npt.NDArray[np.bool_], what: str, remedy: str) -> None:
    if first := _describe_first(name, start, piece, wrong):
        raise DataError(f"{first} {what}. {remedy}")


def _describe_first(name: str, start: int, piece: _Array, wrong: npt.NDArray[np.bool_]) -> str:
    """ "x_train[3, 0, 5, 0] = nan" for the first wrong value, "" if there is none."""
    if not wrong.any():
        return ""
    place = np.unravel_index(int(wrong.argmax()), wrong.shape)
    index = ", ".join(str(int(i) + start * (axis == 0)) for axis, i in enumerate(place))
    return f"{name}[{index}] = {piece[place]}"


def _to_uint8(array: _Array, scale: int) -> UInt8Array:
    if array.dtype == np.uint8:
        return array
    result = np.empty(array.shape, np.uint8)
    for start, piece in _pieces(array):
        scaled = piece.astype(np.float32) * scale if scale != 1 else piece
        result[start : start + len(piece)] = np.rint(scaled) if scaled.dtype.kind == "f" else scaled
    return result
