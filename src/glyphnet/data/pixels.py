"""Arrays of any format (.npy, .npz, .mat, HDF5, IDX, CIFAR), brought to uint8 images (N, H, W, C) and int64 labels.

A shape or a value means the same in all of them.
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
from .dataset import Int64Array, UInt8Array, size_in_words
from .listing import class_order
from .survey import sample_rows
from .values import (
    EIGHT_BITS,
    NEARLY_BLACK,
    STANDARD,
    Reading,
    ValueRange,
    ValueSurvey,
    choose_for_8_bits,
    on_scale,
    pieces,
    range_sentence,
    scaled_to_8_bits,
)  # fmt: skip

_Array = npt.NDArray[Any]

_FAR_APART = 100  # times that the values of one part may exceed those of another on the same scale


@dataclass(frozen=True, eq=False)
class Conformed:
    """A data set of arrays, ready to be divided."""

    parts: Mapping[str, tuple[UInt8Array, Int64Array]]
    """Images (N, H, W, C) and labels (N,) of "train", "validation" and "test", or of "all"."""
    classes: tuple[str, ...]  # in label order
    reading: Reading = STANDARD  # how values became brightness
    notes: tuple[str, ...] = ()  # sentences for the user


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
        if len({array.shape[1:] for array in pixels.values()}) > 1:
            shapes = ", ".join(f"{name} {array.shape[1:]}" for name, array in pixels.items())
            raise DataError(f"the images differ in size or channels: {shapes}. Save all parts at one size.")
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    parts = {name: (pixels[part.images_name], targets[part.labels_name]) for name, part in raw.parts.items()}
    return Conformed(parts, classes, chosen, (*raw.notes, *notes, *more))


def conform_images(
    arrays: Mapping[str, _Array], size: tuple[int, int] | None = None, reading: Reading | None = None
) -> tuple[dict[str, UInt8Array], Reading, tuple[str, ...]]:
    """Bring image arrays to uint8 (N, H, W, C); arguments and errors as for `conform`.

    Returns the arrays by the same names (uint8 arrays that need no change as views), how values became brightness, and
    notes for the user.
    """
    notes: list[str] = []
    shaped = {name: _conform_shape(name, array, size, notes) for name, array in arrays.items()}
    for name, array in shaped.items():
        if array.dtype.kind not in "buif":
            raise DataError(f"{name} is of type {array.dtype}. Pixels must be numbers: save it as uint8, 0 to 255.")
    asked = None if reading is None else reading.value_range
    if reading is not None and asked is not None and not reading.window:
        return {name: on_scale(array, asked) for name, array in shaped.items()}, reading, tuple(notes)
    value_range = asked or _choose_range(shaped) or EIGHT_BITS
    plain = value_range == EIGHT_BITS and all(array.dtype == np.uint8 for array in shaped.values())
    if plain:
        return shaped, reading or Reading(value_range), tuple(notes)
    scaled = {name: scaled_to_8_bits(array, value_range) for name, array in shaped.items()}
    outside = sum(count for _, count in scaled.values())
    if value_range != EIGHT_BITS or outside:
        notes.append(range_sentence(value_range, reading if asked else None, outside))
    return {name: array for name, (array, _) in scaled.items()}, reading or Reading(value_range), tuple(notes)


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
        remedy = f": remove the alpha channel, {name}[..., :3]" if len(given) == 4 and given[3] == 4 else ""
        raise DataError(
            f"{name} has the shape {given}. Images must be (N, H, W), (N, H, W, 1) or (N, H, W, 3){remedy}."
        )
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
    low, high = (choose(highs, key=highs.__getitem__) for choose in (min, max))
    if highs[high] > _FAR_APART * highs[low] > 0:  # such as fractions and 0 to 255
        raise DataError(
            f"{high} runs to {highs[high]:g} and {low} only to {highs[low]:g}: they are not on one scale. Save both on "
            "the same."
        )
    return every.choose()


def _choose_for_bytes(arrays: Sequence[_Array]) -> ValueRange | None:
    """`_choose_range` for uint8 arrays; a few images mostly show bright pixels, and a memory map may have any size."""
    highest = 0
    for array in arrays:
        highest = max(highest, *(int(array[row].max()) for row in sample_rows(len(array))))
        if highest > NEARLY_BLACK:
            return None
    return choose_for_8_bits(max(int(array.max()) for array in arrays))


def _refuse_no_numbers(name: str, start: int, piece: _Array) -> None:
    """Refuse NaN and infinity, saying where: "x_train[3, 0, 5, 0] = nan"."""
    wrong = ~np.isfinite(piece)
    if wrong.any():
        place = np.unravel_index(int(wrong.argmax()), wrong.shape)
        index = ", ".join(str(int(i) + start * (axis == 0)) for axis, i in enumerate(place))
        raise DataError(f"{name}[{index}] = {piece[place]} is no number. Replace such values before saving.")


# Labels


def conform_labels(
    arrays: Mapping[str, _Array], classes: Sequence[str] | None = None
) -> tuple[dict[str, Int64Array], tuple[str, ...], tuple[str, ...]]:
    """Bring label arrays to int64 (N,) in [0, K), the same classes for all.

    Args:
        arrays: by name, whole numbers (N,) or (N, 1), one-hot (N, K), or strings. Numbers with gaps (0, 1, 3) become
            0, 1, 2, and the classes are called by the numbers.
        classes: the class names, in label order, where they are known.

    Returns:
        The labels by the same names, the class names, and notes for the user.

    Raises:
        DataError: negative, fractional, missing or unknown labels; it names the array, the place and the value.
    """
    flat = {name: _flatten(name, array) for name, array in arrays.items()}
    kinds = {"text" if array.dtype.kind == "U" else "number" for array in flat.values()}
    if len(kinds) > 1:
        raise DataError(f"{', '.join(flat)}: some labels are text and some are numbers. Save all of one kind.")
    values = np.unique(np.concatenate([np.unique(array) for array in flat.values()]))
    if classes is not None:
        return _by_given_classes(flat, tuple(classes))
    names = class_order(map(str, values.tolist()))  # "2" before "10", also where the labels are text
    number = {name: i for i, name in enumerate(names)}
    order = np.array([number[str(value)] for value in values.tolist()], dtype=np.int64)
    labels = {name: order[np.searchsorted(values, array)] for name, array in flat.items()}
    if kinds == {"text"} or np.array_equal(values, np.arange(len(values))):
        return labels, names, ()
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    called = f"the {len(names)} classes are called by their numbers, {shown}"
    return labels, names, (f"The labels do not run from 0 without gaps: {called}.",)


def _by_given_classes(
    flat: Mapping[str, _Array], classes: tuple[str, ...]
) -> tuple[dict[str, Int64Array], tuple[str, ...], tuple[str, ...]]:
    if len(set(classes)) < len(classes):
        raise DataError("classes holds a name twice. Give each class a name of its own.")
    labels = {}
    for name, array in flat.items():
        if array.dtype.kind == "U":
            known = np.array(classes)
            order = np.argsort(known)
            found = order[np.searchsorted(known, array, sorter=order).clip(max=len(classes) - 1)]
            _refuse(name, array, known[found] != array, "is not among classes", "Add it there.")
            labels[name] = found.astype(np.int64)
        else:
            remedy = f"There are {len(classes)} names in classes: labels must lie in [0, {len(classes)})."
            _refuse(name, array, array >= len(classes), "has no class name", remedy)
            labels[name] = array.astype(np.int64)
    return labels, classes, ()


def _flatten(name: str, array: _Array) -> _Array:
    """The labels as (N,): unicode text or non-negative whole numbers."""
    array = np.asarray(array)
    if array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind in "buif":
        return _from_one_hot(name, array)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(f"{name} has the shape {array.shape}. Labels must be (N,), (N, 1), or one-hot (N, K).")
    if array.dtype.kind == "S":
        try:
            array = np.asarray(np.char.decode(array, "utf-8"))
        except UnicodeDecodeError as error:
            index = array.tolist().index(error.object)
            text = f"{name}[{index}] = {error.object!r} is not UTF-8."
            raise DataError(f"{text} Save the labels as text, dtype 'U'.") from None
    if array.dtype.kind == "U":
        _refuse(name, array, array == "", "is empty", "Give every image a label, or leave it out.")
    elif array.dtype.kind in "iu":
        _refuse(name, array, array < 0, "is negative", "Labels count from 0; leave unlabelled images out.")
    elif array.dtype.kind == "f":
        _refuse(name, array, ~np.isfinite(array), "is no number", "Give every image a label, or leave it out.")
        raise DataError(f"{name} is of type {array.dtype}. Labels must be whole numbers: save {name}.astype('int64').")
    elif array.dtype.kind == "b":
        array = array.astype(np.int64)
    else:
        raise DataError(f"{name} is of type {array.dtype}. Labels must be whole numbers or strings.")
    return array


def _from_one_hot(name: str, array: _Array) -> _Array:
    wrong = ~((array == 0) | (array == 1)).all(axis=1) | (np.count_nonzero(array, axis=1) != 1)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"{name}[{row}] = {np.array2string(array[row], threshold=12)} is not one-hot: each row must hold "
            "one 1 and zeros. Images with several labels, or none, cannot be used."
        )
    return np.asarray(array.argmax(axis=1))


def _refuse(name: str, array: _Array, wrong: npt.NDArray[np.bool_], what: str, remedy: str) -> None:
    if wrong.any():
        index = int(wrong.argmax())
        raise DataError(f"{name}[{index}] = {array[index].item()!r} {what}. {remedy}")
