"""What sources are read into before any picture is opened: labelled image files, or unlabelled pictures."""

from __future__ import annotations

import hashlib
import math
import operator
import os
import struct
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import BadFileError, DataError
from ..units import listed, printable
from .dataset import BadFile, Int64Array
from .decode import picture_from_bytes, read_bytes
from .values import STANDARD, Reading

PARTS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = 0, 1, 2

_STATE = struct.Struct("<QqqQ")
_state_of = operator.attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Labelled image files, in the order of their names.

    Attributes:
        read: returns the content of a file that does not lie in a folder (in an archive, in a Parquet table); None: the
            names are paths below ``root``. Several threads call it.
    """

    root: Path  # the folder that the names start from
    names: Sequence[str]  # N paths relative to ``root``, with forward slashes
    labels: Int64Array  # (N,), each in [0, K)
    classes: tuple[str, ...]  # K class names, in label order
    parts: npt.NDArray[np.int8]  # (N,): 0 train, 1 validation, 2 test; all 0 where the data do not come divided
    bad: tuple[BadFile, ...] = ()  # files that were found unusable while listing
    notes: tuple[str, ...] = ()  # sentences for the user: what was concluded
    warnings: tuple[str, ...] = ()  # what was left out, and what is doubtful
    read: Callable[[str], bytes] | None = None
    state: str = ""  # changes with the file that holds all pictures; unused where ``read`` is None
    groups: Sequence[str | None] | None = None  # the group of each picture, where the user named a column for it
    label_column: str | None = None  # the column with the classes, where the user named it

    def content(self, name: str) -> bytes:
        """The encoded picture of this name; raises BadFileError if it cannot be read."""
        return read_bytes(f"{self.root}/{name}") if self.read is None else self.read(name)

    def picture(self, name: str, reading: Reading = STANDARD) -> Image.Image:
        """The picture of this name, as `decode.read_picture` gives it; raises BadFileError if it cannot be read."""
        return picture_from_bytes(self.content(name), name, reading)

    def stamp(self) -> str:
        """SHA-256 (hex) over place, name, size, times and inode of each file: any change of a file shows.

        Even a file replaced by one of the same size and date: no program sets back the time of the status change.
        """
        digest = hashlib.sha256(os.fsencode("\0".join([os.path.realpath(self.root), self.state, *self.names])))
        if self.read is None:
            start, states = f"{os.fspath(self.root)}/", []
            for name in self.names:
                try:
                    states.append(_STATE.pack(*_state_of(os.stat(start + name))))
                except OSError as error:
                    states.append(_STATE.pack(error.errno or 0, 0, 0, 0))
            digest.update(b"".join(states))
        return digest.hexdigest()


def image_files(
    root: Path, rows: Sequence[tuple[str, str, int]], classes: tuple[str, ...] = (), **fields: Any
) -> ImageFiles:
    """Image files from the (name, class, part) of each; the other ``fields`` are those of `ImageFiles`."""
    classes = classes or class_order(label for _, label, _ in rows)
    number = {name: index for index, name in enumerate(classes)}
    labels = np.array([number[label] for _, label, _ in rows], dtype=np.int64)
    parts = np.array([part for _, _, part in rows], dtype=np.int8)
    return ImageFiles(root, tuple(name for name, _, _ in rows), labels, classes, parts, **fields)


Content: TypeAlias = str | bytes | npt.NDArray[Any] | BadFileError
"""Of a picture: the path of its file, the bytes of a file, its pixels, or why there is none."""


class Picture(NamedTuple):
    """A picture to classify."""

    file: str  # the name of its answer: its path as given (in a folder, with the rest appended), or its name in a table
    place: str  # where it lies: its path, or ``FILE#ROW``, rows counted from 0
    content: Content


@dataclass(frozen=True)
class Unlabelled:
    """The pictures in one file that holds many, for prediction; labels beside them are ignored.

    Attributes:
        pictures: yields the picture of each row from the given one on, with a few at a time in memory.
    """

    count: int
    place: Callable[[int], str]  # where the picture of a row, counted from 0, lies
    pictures: Callable[[int], Iterator[Picture]]
    whole: npt.NDArray[Any] | None = None  # the array of a file that holds one alone, which may be a single image

    def is_one_image(self, image_shape: tuple[int, int, int]) -> bool:
        """Whether the file is one image rather than many, for a model of ``image_shape`` (H, W, C)."""
        shape = () if self.whole is None else self.whole.shape
        if len(shape) == 3:
            return bool(shape[2] in (1, 3) and shape[1:] != image_shape[:2])
        if len(shape) != 2 or shape == image_shape[:2]:
            return len(shape) == 2
        is_square = math.isqrt(shape[1]) ** 2 == shape[1]
        return bool(shape[1] != math.prod(image_shape) and (shape[0] == shape[1] or not is_square))


def unlabelled_rows(
    count: int,
    place: Callable[[int], str],
    content: Callable[[int], Content],
    called: Callable[[int], str] | None = None,
) -> Unlabelled:
    """Pictures that are read one by one; each is called by its place unless ``called`` gives another name."""

    def pictures(start: int) -> Iterator[Picture]:
        for row in range(start, count):
            yield Picture((called and called(row)) or place(row), place(row), content(row))

    return Unlabelled(count, place, pictures)


def unlabelled_arrays(path: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Unlabelled:
    """The images of an array file, (N, H, W), (N, H, W, C) or (N, D) as they were saved, array by array.

    Where there is more than one array, its name is part of the place: ``FILE#x_test/7``.
    """
    rows = [(name, row) for name, array in arrays.items() for row in range(len(array))]
    places = [f"{path}#{name}/{row}" if len(arrays) > 1 else f"{path}#{row}" for name, row in rows]

    def content(number: int) -> npt.NDArray[Any]:
        name, row = rows[number]
        return np.asarray(arrays[name][row])

    return unlabelled_rows(len(rows), places.__getitem__, content)


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Class names in label order: by number where all are numbers (2 before 10), else by code point."""
    distinct = set(names)
    if all(name.isascii() and name.isdigit() for name in distinct):
        return tuple(sorted(distinct, key=lambda name: (int(name), name)))
    return tuple(sorted(distinct))


def escaped(name: str) -> str:
    """A file's name of any bytes as text that can be stored and shown: ``\\xe9t\\xe9``, ``two\\nlines``."""
    return printable(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def look_alikes(classes: Sequence[str]) -> list[str]:
    """A warning for each set of class names that differ only in case, spaces, Unicode form or leading zeros."""
    alike: dict[str, list[str]] = {}
    for name in classes:
        plain = " ".join(unicodedata.normalize("NFKC", name).casefold().replace("_", " ").split())
        digits = plain.lstrip("0") or "0"
        alike.setdefault(digits if plain.isdecimal() else plain, []).append(name)
    return [
        f"Classes {' and '.join(ascii(name) for name in names[:4])} look alike: they are kept apart. "
        "Rename one if they are the same."
        for names in alike.values()
        if len(names) > 1
    ]


def check_classes(classes: Sequence[str], labels: Int64Array, parts: npt.NDArray[np.int8], where: str) -> None:
    """Raise DataError for fewer than two classes with images, or a class of validation or test that training lacks."""
    in_training = np.bincount(labels[parts == TRAIN], minlength=len(classes)) > 0
    for part, title in ((VALIDATION, "validation"), (TEST, "test")):
        unknown = [classes[label] for label in np.unique(labels[parts == part]) if not in_training[label]]
        if unknown:
            what = "the class" if len(unknown) == 1 else "the classes"
            raise DataError(
                f"{where}: the {title} part has {what} {listed(unknown)}, which the training part has not. "
                f"Add training images of it, or remove it from {title}."
            )
    present = [name for name, there in zip(classes, in_training, strict=True) if there]
    if len(present) < 2:
        only = f"images of one class only, {present[0]!r}" if present else "no training images"
        raise DataError(f"{where}: there are {only}; a classifier needs images of at least two classes.")


def refuse_bad_files(root: Path, bad: Sequence[BadFile], total: int) -> None:
    """Raise DataError that names the first few bad files and counts them, BadFileError if there is exactly one."""
    if not bad:
        return
    remedy = "or pass --on-bad-file skip."
    if len(bad) == 1:
        raise BadFileError(root / bad[0].name, bad[0].reason, f"Mend or remove it, {remedy}")
    raise DataError(
        f"{root}: {len(bad):,} of {total:,} files cannot be used: {bad_in_words(bad)}. Mend or remove them, {remedy}"
    )


def bad_in_words(bad: Sequence[BadFile]) -> str:
    """The first few bad files, those of the same fault together, and how many more there are."""
    alike: dict[str, list[str]] = {}
    for name, reason in bad:
        alike.setdefault(reason, []).append(name)
    if len(alike) == 1 and len(bad) > 2:
        [(reason, names)] = alike.items()
        return f"{', '.join(names[:2])} and {len(names) - 2:,} more ({reason})"
    shown = "; ".join(f"{name} ({reason})" for name, reason in bad[:5])
    return f"{shown}; and {len(bad) - 5:,} more" if len(bad) > 5 else shown


def skipped(bad: Sequence[BadFile]) -> list[str]:
    """A warning that counts the files that were skipped; none where none was."""
    if not bad:
        return []
    return [f"{len(bad):,} bad {'file was' if len(bad) == 1 else 'files were'} skipped: {bad_in_words(bad)}."]
