"""What folders and tables are read into before any picture is opened: labelled image files."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import BadFileError, DataError
from .dataset import Int64Array

# The part of a data set that a folder's name, or the word in a table, stands for.
PART_NAMES = {"train": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}
TRAIN, VALIDATION, TEST = 0, 1, 2

# progress(done, total, what)
Progress = Callable[[int, int, str], None]


class BadFile(NamedTuple):
    """A file that cannot be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Labelled image files, in the order of their names whatever the order on disk.

    Attributes:
        root: the folder that the names start from.
        names: N paths relative to ``root``, with forward slashes.
        labels: int64 (N,), each in [0, K).
        classes: K class names, in label order.
        parts: int8 (N,): 0 train, 1 validation, 2 test; all 0 where the data do not come divided.
        bad: files that were found unusable while listing.
        notes: sentences for the user.
    """

    root: Path
    names: Sequence[str]
    labels: Int64Array
    classes: tuple[str, ...]
    parts: npt.NDArray[np.int8]
    bad: tuple[BadFile, ...] = ()
    notes: tuple[str, ...] = ()

    def stamp(self) -> str:
        """SHA-256 (hex) over place, name, size, times and inode of each file: any change of a file shows.

        The time of the last status change is part of it because, unlike that of the last modification, no
        program can set it back: a file that was replaced by one of the same size and date is seen.
        """
        digest = hashlib.sha256(os.fsencode(os.path.realpath(self.root)))
        root = os.fspath(self.root)
        for name in self.names:
            try:
                status = os.stat(f"{root}/{name}")
                state = f"\0{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}\0"
            except OSError as error:
                state = f"\0{error.errno}\0"
            digest.update(os.fsencode(name) + state.encode())
        return digest.hexdigest()


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Class names in label order: by number where all are numbers (2 before 10), else by code point."""
    distinct = set(names)
    if all(name.isascii() and name.isdigit() for name in distinct):
        return tuple(sorted(distinct, key=lambda name: (int(name), name)))
    return tuple(sorted(distinct))


def look_alikes(classes: Sequence[str]) -> list[str]:
    """A note for each set of class names that differ only in case or in how Unicode spells them."""
    alike: dict[str, list[str]] = {}
    for name in classes:
        alike.setdefault(unicodedata.normalize("NFC", name).casefold(), []).append(name)
    return [
        f"Classes {' and '.join(ascii(name) for name in names)} look alike: they are kept apart. "
        "Rename one if they are the same."
        for names in alike.values()
        if len(names) > 1
    ]


def check_classes(classes: Sequence[str], labels: Int64Array, parts: npt.NDArray[np.int8], where: str) -> None:
    """Refuse data that nothing can be learnt from.

    Raises:
        DataError: fewer than two classes with images, or a class that validation or test have and training
            has not.
    """
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


def listed(names: Sequence[str], most: int = 5) -> str:
    """``names`` in quotes, the first few of them, and how many more there are."""
    text = ", ".join(repr(name) for name in names[:most])
    return f"{text} and {len(names) - most:,} more" if len(names) > most else text


def refuse_bad_files(root: Path, bad: Sequence[BadFile], total: int) -> None:
    """Raise the one error that names the first few of the bad files and counts them all.

    Raises:
        DataError: there is a bad file (BadFileError if there is exactly one).
    """
    if not bad:
        return
    remedy = "or pass --on-bad-file skip."
    if len(bad) == 1:
        raise BadFileError(root / bad[0].name, bad[0].reason, f"Mend or remove it, {remedy}")
    raise DataError(
        f"{root}: {len(bad):,} of {total:,} files cannot be used: {bad_in_words(bad)}. Mend or remove them, {remedy}"
    )


def bad_in_words(bad: Sequence[BadFile]) -> str:
    """The first few bad files with what is wrong with them, and how many more there are."""
    shown = "; ".join(f"{name} ({reason})" for name, reason in bad[:5])
    return f"{shown}; and {len(bad) - 5:,} more" if len(bad) > 5 else shown
