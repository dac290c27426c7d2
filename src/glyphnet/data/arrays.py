"""Data sets saved as named arrays: one .npz archive, or .npy files side by side."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .filetree import AnyFile, as_file
from .npy import MAX_BYTES, NpzFile, map_npy

_Array = npt.NDArray[Any]

NAMES = {
    "train": (
        ("x_train", "y_train"),
        ("train_images", "train_labels"),
        ("train_x", "train_y"),
        ("train_data", "train_labels"),
        ("train_data", "train_target"),
        ("train_set_x", "train_set_y"),
    ),
    "validation": (("x_val", "y_val"), ("x_valid", "y_valid"), ("val_images", "val_labels")),
    "test": (
        ("x_test", "y_test"),
        ("test_images", "test_labels"),
        ("test_x", "test_y"),
        ("test_data", "test_labels"),
        ("test_data", "test_target"),
        ("test_set_x", "test_set_y"),
    ),
    "all": (("images", "labels"), ("x", "y"), ("data", "labels"), ("data", "target"), ("data", "y")),
}
"""Part → the names, (images, labels), that it may be saved under; upper and lower case are the same."""

_ACCEPTED = "images and labels; x_train, y_train, x_test, y_test (and x_val, y_val); or train_images, train_labels, …"


class RawPart(NamedTuple):
    """Images and labels of one part, as they were saved.

    Attributes:
        images: (N, …), of any shape and numeric type that `pixels.conform` accepts.
        labels: (N,), (N, 1) or one-hot (N, K), numbers or text.
        images_name, labels_name: what messages call them.
    """

    images: _Array
    labels: _Array
    images_name: str = "images"
    labels_name: str = "labels"


@dataclass(frozen=True, eq=False)
class RawArrays:
    """A data set as it was saved, before its values become pixels and it is divided.

    Attributes:
        parts: by name "train", "validation" and "test", or "all".
        classes: the K class names, in label order; None where they are not known.
        notes: sentences for the user.
    """

    parts: Mapping[str, RawPart]
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def read_npz(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> RawArrays:
    """Read a .npz archive.

    Args:
        path: the archive; its arrays are called as in `NAMES`, and ``classes`` (strings) may be among them.
        max_bytes: refuse an archive whose arrays are larger than this together, before unpacking.

    Raises:
        BadFileError: not an archive, damaged, too large, or with arrays of Python objects.
        DataError: the arrays are no images and labels.
    """
    with NpzFile(path) as archive:
        roles = find_roles(path, archive.names)
        wanted = [name for pair in roles.values() for name in pair]
        given = next((name for name in archive.names if name.lower() == "classes"), None)
        arrays = archive.read([*wanted, *([given] if given else [])], max_bytes)
    return raw_arrays(path, roles, arrays, arrays[given] if given else None)


def is_npy_folder(path: str | os.PathLike[str]) -> bool:
    """Whether the folder holds .npy files with images under one of the accepted names."""
    folder = as_file(path)
    return folder.is_dir() and bool(_by_prefix(folder))


def read_npy_pair(path: str | os.PathLike[str]) -> RawArrays:
    """Read .npy files that lie side by side; the images are memory-mapped.

    Args:
        path: the folder, or one of the files. They are called ``images.npy`` and ``labels.npy``, or
            ``x_train.npy``, ``y_train.npy`` and so on as in `NAMES`, with or without one common beginning
            (``cats-images.npy``, ``cats-labels.npy``). A ``classes.npy`` of strings may lie beside them.

    Raises:
        BadFileError: a file is damaged or of Python objects.
        DataError: the files are not all there, or are no images and labels.
    """
    path = as_file(path)
    folder = path if path.is_dir() else path.parent
    sets = _by_prefix(folder)
    prefix = next(iter(sets), "") if path.is_dir() else _split_name(path.stem)[0]
    if path.is_dir() and len(sets) > 1:
        names = ", ".join(sorted(files[next(iter(files))].name for files in sets.values()))
        raise DataError(f"{path}: there are several data sets in it ({names}). Name the file of one of them.")
    files = sets.get(prefix, {})
    roles = find_roles(path, files)
    given = map_npy(files["classes"]) if "classes" in files else None
    arrays = {name: map_npy(files[name]) for pair in roles.values() for name in pair}
    return raw_arrays(path, roles, arrays, given)


def _split_name(stem: str) -> tuple[str, str]:
    """``"cats-x_train"`` to beginning and accepted name, ("cats-", "x_train"); ("", "") if it has none."""
    known = {name for pairs in NAMES.values() for pair in pairs for name in pair} | {"classes"}
    for name in sorted(known, key=len, reverse=True):
        prefix = stem[: len(stem) - len(name)]
        if stem.lower().endswith(name) and (not prefix or (prefix[-1] in "-_" and len(name) > 1)):
            return prefix, name
    return "", ""


def _by_prefix(folder: AnyFile) -> dict[str, dict[str, AnyFile]]:
    """The accepted .npy files of a folder: beginning → name → file. Only beginnings that have images."""
    found: dict[str, dict[str, AnyFile]] = {}
    files: list[AnyFile] = sorted(folder.glob("*.npy"))
    for path in files:
        prefix, name = _split_name(path.stem)
        if name:
            found.setdefault(prefix, {})[name] = path
    images = {images for pairs in NAMES.values() for images, _ in pairs}
    return {prefix: files for prefix, files in found.items() if images & files.keys()}


def find_roles(path: str | os.PathLike[str], names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Which arrays are the images and labels of which part: part → (images, labels).

    Raises:
        DataError: the names are none of `NAMES`, or some are missing or there twice.
    """
    there = {name.lower(): name for name in names}
    roles: dict[str, tuple[str, str]] = {}
    for part, pairs in NAMES.items():
        whole = [pair for pair in pairs if there.keys() >= set(pair)]
        if len(whole) > 1:
            axis = 0 if whole[0][0] != whole[1][0] else 1
            first, second = (there[pair[axis]] for pair in whole[:2])
            raise DataError(f"{os.fspath(path)}: both {first} and {second} are there. Keep one.")
        if whole:
            images, labels = whole[0]
            roles[part] = there[images], there[labels]
        elif halves := [pair for pair in pairs if not there.keys().isdisjoint(pair)]:
            images, labels = halves[0]
            has, misses = (labels, images) if labels in there else (images, labels)
            raise DataError(f"{os.fspath(path)}: there is {there[has]} but no {misses}. Save both.")
    if "train" not in roles and "all" not in roles:
        found = ", ".join(sorted(there.values())[:12]) or "none"
        raise DataError(f"{os.fspath(path)}: no arrays of training images. Found: {found}. Accepted: {_ACCEPTED}.")
    if "all" in roles and len(roles) > 1:
        extra = ", ".join(images for part, (images, _) in roles.items() if part != "all")
        raise DataError(f"{os.fspath(path)}: {roles['all'][0]} stands beside {extra}. Keep either, not both.")
    return roles


def raw_arrays(
    path: str | os.PathLike[str],
    roles: Mapping[str, tuple[str, str]],
    arrays: Mapping[str, _Array],
    classes: _Array | None,
) -> RawArrays:
    """The arrays of each part, and the class names.

    Raises:
        DataError: the class names are no list of text.
    """
    parts = {part: RawPart(arrays[images], arrays[labels], images, labels) for part, (images, labels) in roles.items()}
    try:
        return RawArrays(parts, None if classes is None else _class_names(classes))
    except DataError as error:
        raise DataError(f"{os.fspath(path)}: {error}") from None


def _class_names(classes: npt.NDArray[Any]) -> tuple[str, ...]:
    if classes.ndim != 1 or classes.dtype.kind not in "USiu":
        raise DataError(f"classes is {classes.dtype} of shape {classes.shape}. It must be a list of names, dtype 'U'.")
    try:
        return tuple(map(str, (np.char.decode(classes, "utf-8") if classes.dtype.kind == "S" else classes).tolist()))
    except UnicodeDecodeError as error:
        raise DataError(
            f"classes has a name that is no UTF-8, {error.object[:40]!r}. Write the names as text."
        ) from None
