"""Lists the images of class folders: ``root/class/*``, or ``root/{train,validation,test}/class/*``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import DataError
from .listing import (
    PART_NAMES,
    TEST,
    TRAIN,
    BadFile,
    ImageFiles,
    check_classes,
    class_order,
    listed,
    look_alikes,
)

# What file managers and archivers leave behind. Files with a leading dot are left out as well.
JUNK = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir"}

LAYOUT = (
    "Lay it out as FOLDER/class/image.png, or as FOLDER/train/class/image.png with folders validation and "
    "test beside train."
)


@dataclass
class _Found:
    """What has been found so far: (name, class, part) of each file."""

    files: list[tuple[str, str, int]] = field(default_factory=list)
    bad: list[BadFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_folder(root: Path) -> ImageFiles:
    """The image files of a folder of class folders, flat or divided; no picture is opened.

    Class folders may hold folders of their own; links are followed, each folder once. Hidden files and what
    file managers leave behind are passed over; every other file in a class folder counts as an image.

    Raises:
        DataError: there are no class folders, or one only, one is empty, or the parts' classes do not agree.
    """
    folders, loose = _entries(root)
    found = _Found()
    if _is_divided(root, folders):
        _read_parts(root, folders, found)
    else:
        if loose and not folders:
            raise DataError(
                f"{root}: {len(loose):,} files lie directly in it ({listed(loose, 2)}), so none has a class. {LAYOUT}"
            )
        _refuse_wrapping(root, folders)
        _read_classes(root, "", folders, TRAIN, found)
    if not folders:
        raise DataError(f"{root}: the folder is empty. {LAYOUT}")
    if not found.files:
        raise DataError(f"{root}: there is no image in any of its {len(folders)} folders. {LAYOUT}")
    if loose:
        several = len(loose) > 1
        found.notes.append(
            f"{len(loose):,} {'files lie' if several else 'file lies'} outside the class folders "
            f"({listed(loose, 2)}): {'they were' if several else 'it was'} not read."
        )
    return _as_files(root, found)


def _as_files(root: Path, found: _Found) -> ImageFiles:
    rows = sorted(found.files)
    classes = class_order(label for _, label, _ in rows)
    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number[label] for _, label, _ in rows], dtype=np.int64)
    parts = np.array([part for _, _, part in rows], dtype=np.int8)
    check_classes(classes, labels, parts, str(root))
    names = tuple(name for name, _, _ in rows)
    notes = (*found.notes, *look_alikes(classes))
    return ImageFiles(root, names, labels, classes, parts, tuple(sorted(found.bad)), notes)


def _is_divided(root: Path, folders: list[str]) -> bool:
    """Whether the folders of ``root`` are parts, not classes: "train" may also be the name of a class."""
    parts = [name for name in folders if name.lower() in PART_NAMES]
    if not parts or not any(_entries(root / name)[0] for name in parts):
        return False
    if any(PART_NAMES[name.lower()] == TRAIN and _entries(root / name)[0] for name in parts):
        return True
    if len(parts) < len(folders):
        return False
    raise DataError(f"{root}: there are {listed(parts)}, but no folder 'train' with class folders in it. {LAYOUT}")


def _refuse_wrapping(root: Path, folders: list[str]) -> None:
    """Archives often unpack to one folder that holds the data set: one class it is not."""
    if len(folders) == 1 and len(_entries(root / folders[0])[0]) > 1:
        raise DataError(
            f"{root}: there is one class only, {folders[0]!r}, with folders in it. Did you mean {root / folders[0]}?"
        )


def _read_parts(root: Path, folders: list[str], found: _Found) -> None:
    taken: dict[int, str] = {}
    for name in folders:
        part = PART_NAMES.get(name.lower())
        if part is None:
            found.notes.append(f"The folder {name!r} is none of train, validation and test: it was not read.")
            continue
        if part in taken:
            raise DataError(f"{root}: {taken[part]!r} and {name!r} are the same part. Put them into one folder.")
        taken[part] = name
        classes, loose = _entries(root / name)
        if part == TEST and loose and not classes:  # as competitions hand them out
            found.notes.append(
                f"The {len(loose):,} files in {name!r} lie in no class folder: without labels nothing can be "
                "tested on them, so they were not read."
            )
            continue
        if loose:
            found.notes.append(f"{len(loose):,} files directly in {name!r} have no class: they were not read.")
        _read_classes(root, f"{name}/", classes, part, found)


def _read_classes(root: Path, prefix: str, classes: list[str], part: int, found: _Found) -> None:
    empty = []
    for name in classes:
        before = len(found.files) + len(found.bad)
        for path, fault in _walk(root, prefix + name):
            if fault:
                found.bad.append(BadFile(path, fault))
            else:
                found.files.append((path, name, part))
        if len(found.files) + len(found.bad) == before:
            empty.append(prefix + name)
    if empty and len(empty) < len(classes) and part == TRAIN:
        plural = "folders hold" if len(empty) > 1 else "folder holds"
        raise DataError(f"{root}: the class {plural} no images: {listed(empty)}. Put images there, or remove it.")


def _walk(root: Path, top: str) -> Iterator[tuple[str, str]]:
    """Every file below ``top``: its name from ``root`` on, and what is wrong with it ("" if nothing is)."""
    # Each real folder once, and never the root itself: links that lead back would go round for ever.
    seen = {_identity(root)}
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        identity = _identity(root / folder)
        if identity in seen:
            continue
        seen.add(identity)
        for entry in _scan(root / folder):
            if _is_folder(entry):
                waiting.append(f"{folder}/{entry.name}")
            else:
                yield f"{folder}/{entry.name}", _fault(entry)


def _fault(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_symlink() and not os.path.exists(entry.path):
            return f"a broken link to {os.readlink(entry.path)}"
        return "" if entry.is_file() else "not a regular file"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _identity(folder: Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """The folders and the files directly in ``folder``, by name, junk left out."""
    folders: list[str] = []
    files: list[str] = []
    for entry in _scan(folder):
        (folders if _is_folder(entry) else files).append(entry.name)
    return sorted(folders), sorted(files)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in ``folder``, junk left out.

    Raises:
        DataError: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if entry.name[0] != "." and entry.name.lower() not in JUNK]
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}). Check its permissions.") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
