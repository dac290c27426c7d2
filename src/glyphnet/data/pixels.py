"""Arrays as people save them, brought to uint8 images (N, H, W, C) and int64 labels.

Every format that holds arrays (.npy, .npz, .mat, HDF5, IDX, CIFAR) comes through `conform`, so that a shape or a value
means the same in all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .arrays import RawArrays
from .classes import conform_labels
from .dataset import Int64Array, UInt8Array, size_in_words
from .survey import sample_rows
from .values import (
    EIGHT_BITS,
    NEARLY_BLACK,
    Reading,
    ValueRange,
    ValueSurvey,
    choose_for_8_bits,
    on_scale,
    pieces,
    range_sentence,
    scaled_to_8_bits,
)

_Array = npt.NDArray[Any]

_FAR_APART = 100  # times that the values of one part may exceed those of another on the same scale


@dataclass(frozen=True, eq=False)
class Conformed:
    """A data set of arrays, ready to be divided.

    Attributes:
        parts: images uint8 (N, H, W, C) and labels int64 (N,) of "train", "validation" and "test", or of "all".
        classes: the K class names, in label order.
        reading: how values became brightness.
        notes: sentences for the user.
    """

    parts: Mapping[str, tuple[UInt8Array, Int64Array]]
    classes: tuple[str, ...]
    reading: Reading
    notes: tuple[str, ...]


def conform(
    raw: RawArrays, where: str, size: tuple[int, int] | None = None, reading: Reading | None = None
) -> Conformed:
    """Bring the arrays of a data set to images and labels, all by the same rules.

    Args:
        raw: as they were saved. Images (N, H, W), (N, H, W, 1 or 3), (N, 1 or 3, H, W), or rows of H·W pixels
            (N, D); booleans or numbers.
        where: what errors call the file.
        size: (height, width) that rows of pixels have; None reads them as square images.
        reading: how values become brightness; None chooses a range from all of them.

    Raises:
        DataError: a shape, type or value that cannot be read, or that could be read in two ways; it names the array,
            the place and the value.
    """
    try:
        for images, labels, images_name, labels_name in raw.parts.values():
            if images.ndim and labels.ndim and len(images) != len(labels):
                counts = f"{images_name} holds {len(images):,} images, {labels_name} {len(labels):,} labels"
                raise DataError(f"{counts}. Save one label for each image.")
        arrays = {part.images_name: part.images for part in raw.parts.values()}
        pixels, chosen, notes = conform_images(arrays, size, reading)
        targets, classes, more = conform_labels(
            {part.labels_name: part.labels for part in raw.parts.values()}, raw.classes
        )
        _check_same_shape(pixels)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    parts = {name: (pixels[part.images_name], targets[part.labels_name]) for name, part in raw.parts.items()}
    return Conformed(parts, classes, chosen, (*raw.notes, *notes, *more))


def conform_images(
    arrays: Mapping[str, _Array], size: tuple[int, int] | None = None, reading: Reading | None = None
) -> tuple[dict[str, UInt8Array], Reading, tuple[str, ...]]:
    """Bring image arrays to uint8 (N, H, W, C); arguments and errors as for `conform`.

    Returns:
        The arrays by the same names (uint8 arrays as views where they stay as they are, never copied), how values
        became brightness, and notes on what was done.
    """
    notes: list[str] = []
    shaped = {name: _conform_shape(name, array, size, notes) for name, array in arrays.items()}
    for name, array in shaped.items():
        if array.dtype.kind not in "buif":
            raise DataError(f"{name} is of type {array.dtype}. Pixels must be numbers: save it as uint8, 0 to 255.")
    if reading is not None and reading.value_range is not None and not reading.window:
        return {name: on_scale(array, reading.value_range) for name, array in shaped.items()}, reading, tuple(notes)
    by_user = reading is not None and reading.value_range is not None
    value_range = reading.value_range if reading is not None and by_user else _choose_range(shaped)
    if value_range is None:
        value_range = EIGHT_BITS
    plain = value_range == EIGHT_BITS and all(array.dtype == np.uint8 for array in shaped.values())
    result: dict[str, UInt8Array] = {}
    outside = 0
    for name, array in shaped.items():
        if plain:
            result[name] = array
        else:
            result[name], more = scaled_to_8_bits(array, value_range)
            outside += more
    if value_range != EIGHT_BITS or outside:
        notes.append(range_sentence(value_range, reading if by_user else None, outside))
    return result, reading or Reading(value_range), tuple(notes)


def _conform_shape(name: str, array: _Array, size: tuple[int, int] | None, notes: list[str]) -> _Array:
    given = array.shape
    if array.ndim == 2:
        array = _rows_as_images(name, array, size, notes)
    elif array.ndim == 3:
        array = array[..., np.newaxis]
    elif array.ndim == 4 and array.shape[1] in (1, 3):
        if array.shape[3] in (1, 3):
            _, a, b, c = given
            raise DataError(
                f"{name} has the shape {given}: {a}×{b} pixels of {c} channels, or {b}×{c} pixels of {a}. Save "
                f"(N, H, W, C), by {name}.transpose(0, 2, 3, 1) if the channels come first, or without an axis of 1."
            )
        notes.append(f"{name} has the shape {given}: read as (image, channel, row, column).")
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[3] not in (1, 3):
        raise DataError(f"{name} has the shape {given}. {_shape_remedy(name, given)}")
    if 0 in array.shape:
        raise DataError(f"{name} is empty: its shape is {given}. Save at least one image.")
    return array


def _rows_as_images(name: str, array: _Array, size: tuple[int, int] | None, notes: list[str]) -> _Array:
    """Rows of D pixels as images, (N, h, w, 1)."""
    count = array.shape[1]
    side = math.isqrt(count)
    if size is not None and size[0] * size[1] == count:
        height, width = size
    elif side * side == count and count:
        height = width = side
        other = "" if size is None else f", brought to {size_in_words(*size)} later"
        notes.append(
            f"{name} has the shape {array.shape}: each row is read as a square image of {side}×{side} pixels{other}."
        )
    else:
        what = f"{name} has the shape {array.shape}: rows of {count:,} pixels"
        if size is not None and 3 * size[0] * size[1] == count:
            height, width = size
            raise DataError(
                f"{what}, {size_in_words(height, width)} in 3 channels. Save {name}.reshape(-1, 3, {height}, {width}) "
                f"if all of the red comes first (as in CIFAR), or .reshape(-1, {height}, {width}, 3)."
            )
        asked = "" if size is None else f" {size_in_words(*size)}, as asked for, has {size[0] * size[1]:,}."
        raise DataError(f"{what} are no square images.{asked} Pass --size HxW, height times width being {count:,}.")
    return array.reshape(-1, height, width, 1)


def _shape_remedy(name: str, shape: tuple[int, ...]) -> str:
    wanted = "Images must be (N, H, W), (N, H, W, 1) or (N, H, W, 3)"
    if len(shape) == 4 and shape[3] == 4:
        return f"{wanted}: remove the alpha channel, {name}[..., :3]."
    return f"{wanted}."


def _choose_range(arrays: Mapping[str, _Array]) -> ValueRange | None:
    """One range for all arrays; None where they hold 8 bits as they are."""
    if all(array.dtype == np.uint8 for array in arrays.values()):
        return _choose_for_bytes(list(arrays.values()))
    every = ValueSurvey()
    highs: dict[str, float] = {}
    parts = sum(max(1, array.size >> 20) for array in arrays.values())
    for name, array in arrays.items():
        own = ValueSurvey()
        for start, piece in pieces(array):
            if piece.dtype.kind == "f":
                _refuse_no_numbers(name, start, piece)
            own.add(piece, parts)
        highs[name] = max(abs(own.low), abs(own.high))
        every.merge(own)
    _refuse_two_scales(highs)
    return every.choose()


def _choose_for_bytes(arrays: Sequence[_Array]) -> ValueRange | None:
    """Of uint8 arrays, looking at few images first: most have bright pixels, and may be a memory map of any size."""
    highest = 0
    for array in arrays:
        highest = max(highest, *(int(array[row].max()) for row in sample_rows(len(array))))
        if highest > NEARLY_BLACK:
            return None
    return choose_for_8_bits(max(int(array.max()) for array in arrays))


def _refuse_two_scales(highs: Mapping[str, float]) -> None:
    """Refuse parts of which one is in fractions, say, and another in 0 to 255."""
    low, high = (choose(highs, key=highs.__getitem__) for choose in (min, max))
    if highs[high] > _FAR_APART * highs[low] > 0:
        raise DataError(
            f"{high} runs to {highs[high]:g} and {low} only to {highs[low]:g}: they are not on one scale. Save both on "
            "the same."
        )


def _refuse_no_numbers(name: str, start: int, piece: _Array) -> None:
    """Refuse NaN and infinity, saying where: "x_train[3, 0, 5, 0] = nan"."""
    wrong = ~np.isfinite(piece)
    if wrong.any():
        place = np.unravel_index(int(wrong.argmax()), wrong.shape)
        index = ", ".join(str(int(i) + start * (axis == 0)) for axis, i in enumerate(place))
        raise DataError(f"{name}[{index}] = {piece[place]} is no number. Replace such values before saving.")


def _check_same_shape(images: Mapping[str, UInt8Array]) -> None:
    shapes = {name: array.shape[1:] for name, array in images.items()}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise DataError(f"the images differ in size or channels: {told}. Save all parts at one size.")
