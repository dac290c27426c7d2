"""Arrays of .npy files and .npz archives, and data sets that are saved so: one archive, or files side by side.

`numpy.load` allocates what a header announces: a file of a kilobyte can make it ask for terabytes. Here the header must
first agree with the size of the file, or with the zip directory and the limit. Nothing is ever unpickled.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import BadFileError, DataError
from .filetree import AnyFile, ArchivePath, as_file, byte_count, openable, opened

MAX_BYTES = 2 << 30  # of one archive, unpacked; .npy files are memory-mapped and have no limit
MAX_HEADER = 10_000  # bytes; NumPy's own limit, and a plain array's header has about a hundred

NAMES = {
    "train": (
        ("x_train", "y_train"), ("train_images", "train_labels"), ("train_x", "train_y"),
        ("train_data", "train_labels"), ("train_data", "train_target"), ("train_set_x", "train_set_y"),
    ),
    "validation": (("x_val", "y_val"), ("x_valid", "y_valid"), ("val_images", "val_labels")),
    "test": (
        ("x_test", "y_test"), ("test_images", "test_labels"), ("test_x", "test_y"),
        ("test_data", "test_labels"), ("test_data", "test_target"), ("test_set_x", "test_set_y"),
    ),
    "all": (("images", "labels"), ("x", "y"), ("data", "labels"), ("data", "target"), ("data", "y")),
}  # fmt: skip
"""Part → the names, (images, labels), that it may be saved under; upper and lower case are the same."""
_IMAGES = frozenset(images for pairs in NAMES.values() for images, _ in pairs)
_NOT_IMAGES = frozenset(labels for pairs in NAMES.values() for _, labels in pairs) | {"classes"}

_ACCEPTED = "images and labels; x_train, y_train, x_test, y_test (and x_val, y_val); or train_images, train_labels, …"
_AGAIN = "Copy or download the file again."
_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

_Array = npt.NDArray[Any]


class RawPart(NamedTuple):
    """Images and labels of one part, as they were saved.

    Attributes:
        images_name, labels_name: what messages call them.
    """

    images: _Array  # (N, …), of any shape and numeric type that `pixels.conform` accepts
    labels: _Array  # (N,), (N, 1) or one-hot (N, K), numbers or text
    images_name: str = "images"
    labels_name: str = "labels"


@dataclass(frozen=True, eq=False)
class RawArrays:
    """A data set as it was saved, before its values become pixels and it is divided."""

    parts: Mapping[str, RawPart]  # by name "train", "validation" and "test", or "all"
    classes: tuple[str, ...] | None = None  # the K class names, in label order; None where they are not known
    notes: tuple[str, ...] = ()  # sentences for the user


# Files of arrays


class _Announced(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    size: int  # bytes of header and values

    def __str__(self) -> str:
        return f"announces shape {self.shape} {self.dtype}, {self.size:,} bytes in all"


def _read_header(file: IO[bytes], path: AnyFile, what: str) -> _Announced:
    """What the header of an array in .npy format announces; ``what`` names the array in errors."""
    head = io.BytesIO(file.read(MAX_HEADER))  # NumPy checks the length of a header only after it was read
    try:
        shape, _, dtype = _HEADER_READERS[np.lib.format.read_magic(head)](head)
    except Exception:  # NumPy parses the header as Python, which can fail in many ways
        reason = f"{what} is not an array in NumPy's format, or its header is damaged or longer than {MAX_HEADER:,}"
        raise BadFileError(path, f"{reason} bytes", _AGAIN) from None
    if any(side < 0 for side in shape):
        raise BadFileError(path, f"{what} announces the shape {shape}", _AGAIN)
    if dtype.hasobject:
        reason = f"{what} holds Python objects, which only pickle could read; it was not read and nothing was run"
        remedy = "Save plain numbers or strings: numpy.stack(images), labels.astype('int64') or astype('str')."
        raise BadFileError(path, reason, remedy)
    return _Announced(shape, dtype, head.tell() + math.prod(shape) * dtype.itemsize)


def map_npy(path: str | os.PathLike[str]) -> _Array:
    """Memory-map a .npy file, read-only: an array larger than memory can be used.

    Any other file, a truncated one and an array of Python objects raise BadFileError.
    """
    path = as_file(path)
    with opened(path) as file:
        announced = _read_header(file, path, "it")
    stored = byte_count(path)
    if stored != announced.size:
        state = "truncated" if stored < announced.size else "followed by bytes that do not belong to it"
        raise BadFileError(path, f"{announced}, but has {stored:,}: the file is {state}", _AGAIN)
    # An empty region of a file cannot be mapped, nor can one in an archive.
    may_map = math.prod(announced.shape) and not isinstance(path, ArchivePath)
    mapped: _Array = np.load(openable(path), mmap_mode="r" if may_map else None, allow_pickle=False)
    return mapped


def npz_arrays(path: str | os.PathLike[str], choose: Callable[[list[str]], Iterable[str]]) -> dict[str, _Array]:
    """The arrays of a .npz archive that ``choose`` picks from all names.

    Nothing is unpacked before all of them were found to be as large as they say and, together, within the limit. An
    archive that is damaged, too large, or has an array twice or of Python objects raises BadFileError.
    """
    path = as_file(path)
    file = openable(path)
    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:  # Python's own reader fails in many ways on damage
        raise BadFileError(path, f"not a .npz archive, or a truncated one ({error})", _AGAIN) from None
    with archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            reason = f"holds the array {twice[0]!r} {names.count(twice[0])} times, and which is meant is not known"
            raise BadFileError(path, reason, "Save it again with each array once.")
        chosen = list(choose(names))
        try:
            total = sum(_checked_size(archive, name, path) for name in chosen)
            if total > MAX_BYTES:
                reason = f"{', '.join(chosen)} unpack to {total:,} bytes; the limit is {MAX_BYTES:,}"
                remedy = "Save them as .npy files (images.npy, labels.npy): those are mapped and have no limit."
                raise BadFileError(path, reason, remedy)
            return {name: _unpacked(archive, name) for name in chosen}
        except BadFileError:
            raise
        except Exception as error:  # of many kinds, as above
            raise BadFileError(path, f"the archive is damaged or encrypted ({error})", _AGAIN) from None


def npz_images(path: AnyFile) -> dict[str, _Array]:
    """The arrays of a .npz archive that are images by their names or, failing that, may be; raises as `npz_arrays`."""

    def choose(names: list[str]) -> list[str]:
        known = [name for name in names if name.lower() in _IMAGES]
        return known or [name for name in names if name.lower() not in _NOT_IMAGES]

    return npz_arrays(path, choose)


def _checked_size(archive: zipfile.ZipFile, name: str, path: AnyFile) -> int:
    """Bytes of an array, header included, which its header and the zip directory must agree on."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as file:
        announced = _read_header(file, path, f"array {name!r}")
    if announced.size != info.file_size:
        raise BadFileError(path, f"array {name!r} {announced}, but the archive says {info.file_size:,}", _AGAIN)
    return announced.size


def _unpacked(archive: zipfile.ZipFile, name: str) -> _Array:
    with archive.open(f"{name}.npy") as file:
        array: _Array = np.load(file, allow_pickle=False)
        file.read(1)  # the checksum is compared only at the end of the member
    return array


# Data sets


def read_npz(path: str | os.PathLike[str]) -> RawArrays:
    """Read a .npz archive; its arrays are called as in `NAMES`, and ``classes`` (strings) may be among them.

    It raises as `npz_arrays` and `find_roles` do.
    """
    return raw_arrays(path, npz_arrays(path, lambda names: _needed(path, names)))


def _needed(path: str | os.PathLike[str], names: Iterable[str]) -> list[str]:
    """The names of the images, of the labels and of the class names."""
    pairs = find_roles(path, names).values()
    return [*(name for pair in pairs for name in pair), *(name for name in names if name.lower() == "classes")]


def is_npy_folder(path: str | os.PathLike[str]) -> bool:
    """Whether the folder holds .npy files with images under one of the accepted names."""
    folder = as_file(path)
    return folder.is_dir() and bool(_by_prefix(folder))


def read_npy_pair(path: str | os.PathLike[str]) -> RawArrays:
    """Read .npy files that lie side by side, of which ``path`` is the folder or one; the images are memory-mapped.

    They are called ``images.npy`` and ``labels.npy``, or ``x_train.npy``, ``y_train.npy`` and so on as in `NAMES`, with
    or without one common beginning (``cats-images.npy``, ``cats-labels.npy``). A ``classes.npy`` of strings may lie
    beside them. It raises as `map_npy` and `find_roles` do.
    """
    path = as_file(path)
    folder = path if path.is_dir() else path.parent
    sets = _by_prefix(folder)
    prefix = next(iter(sets), "") if path.is_dir() else _split_name(path.stem)[0]
    if path.is_dir() and len(sets) > 1:
        names = ", ".join(sorted(files[next(iter(files))].name for files in sets.values()))
        raise DataError(f"{path}: there are several data sets in it ({names}). Name the file of one of them.")
    files = sets.get(prefix, {})
    return raw_arrays(path, {name: map_npy(files[name]) for name in _needed(path, files)})


def _split_name(stem: str) -> tuple[str, str]:
    """``"cats-x_train"`` to beginning and accepted name, ("cats-", "x_train"); ("", "") if it has none."""
    for name in sorted(_IMAGES | _NOT_IMAGES, key=len, reverse=True):
        prefix = stem[: len(stem) - len(name)]
        if stem.lower().endswith(name) and (not prefix or (prefix[-1] in "-_" and len(name) > 1)):
            return prefix, name
    return "", ""


def _by_prefix(folder: AnyFile) -> dict[str, dict[str, AnyFile]]:
    """The accepted .npy files of a folder: beginning → name → file. Only beginnings that have images."""
    found: dict[str, dict[str, AnyFile]] = {}
    files: list[AnyFile] = sorted(path for path in folder.iterdir() if path.suffix == ".npy")
    for path in files:
        prefix, name = _split_name(path.stem)
        if name:
            found.setdefault(prefix, {})[name] = path
    return {prefix: files for prefix, files in found.items() if _IMAGES & files.keys()}


def find_roles(path: str | os.PathLike[str], names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Which arrays are the images and labels of which part: part → (images, labels).

    Names that are none of `NAMES`, are missing or there twice raise DataError.
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


def raw_arrays(path: str | os.PathLike[str], arrays: Mapping[str, _Array]) -> RawArrays:
    """A data set out of arrays that are called as in `NAMES`, and maybe ``classes``, a list of text, else DataError."""
    roles = find_roles(path, arrays)
    classes = next((array for name, array in arrays.items() if name.lower() == "classes"), None)
    parts = {part: RawPart(arrays[images], arrays[labels], images, labels) for part, (images, labels) in roles.items()}
    try:
        return RawArrays(parts, None if classes is None else _class_names(classes))
    except DataError as error:
        raise DataError(f"{os.fspath(path)}: {error}") from None


def _class_names(classes: _Array) -> tuple[str, ...]:
    if classes.ndim != 1 or classes.dtype.kind not in "USiu":
        raise DataError(f"classes is {classes.dtype} of shape {classes.shape}. It must be a list of names, dtype 'U'.")
    try:
        return tuple(map(str, (np.char.decode(classes, "utf-8") if classes.dtype.kind == "S" else classes).tolist()))
    except UnicodeDecodeError as error:
        what = f"classes has a name that is no UTF-8, {error.object[:40]!r}"
        raise DataError(f"{what}. Write the names as text.") from None
