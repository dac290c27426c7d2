"""Arrays of labels as people save them, brought to int64 in [0, K) with K class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .dataset import Int64Array
from .listing import class_order

_Array = npt.NDArray[Any]


def conform_labels(
    arrays: Mapping[str, _Array], classes: Sequence[str] | None = None
) -> tuple[dict[str, Int64Array], tuple[str, ...], tuple[str, ...]]:
    """Bring label arrays to int64 (N,) in [0, K), the same classes for all.

    Args:
        arrays: name to array, such as y_train and y_test: whole numbers (N,) or (N, 1), one-hot (N, K), or
        strings.
        classes: the class names, in label order, where they are known.

    Returns:
        The labels by the same names, the class names, and notes on what was done. Where numbers have gaps
        (0, 1, 3) they are counted through, and the classes are called by the numbers.

    Raises:
        DataError: negative, fractional, missing or unknown labels; it names the array, the place and the
        value.
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
    gaps = kinds == {"number"} and not np.array_equal(values, np.arange(len(values)))
    return labels, names, (_describe_gaps(names),) if gaps else ()


def _describe_gaps(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    called = f"the {len(names)} classes are called by their numbers, {shown}"
    return f"The labels do not run from 0 without gaps: {called}."


def _by_given_classes(
    flat: Mapping[str, _Array], classes: tuple[str, ...]
) -> tuple[dict[str, Int64Array], tuple[str, ...], tuple[str, ...]]:
    if len(set(classes)) < len(classes):
        raise DataError("classes holds a name twice. Give each class a name of its own.")
    labels = {}
    for name, array in flat.items():
        if array.dtype.kind == "U":
            order = np.argsort(np.array(classes))
            found = order[np.searchsorted(np.array(classes), array, sorter=order).clip(max=len(classes) - 1)]
            _refuse(name, array, np.array(classes)[found] != array, "is not among classes", "Add it there.")
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
        array = np.array([_decode(name, i, value) for i, value in enumerate(array.tolist())], dtype=np.str_)
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


def _decode(name: str, index: int, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise DataError(f"{name}[{index}] = {value!r} is not UTF-8. Save the labels as text, dtype 'U'.") from None


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
