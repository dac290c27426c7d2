"""Adding pictures: files as they were dropped or drawn, and zip archives with or without class folders."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ..data.decode import see_bytes
from ..data.filetree import MAX_MEMBERS, FileTree, archive_tree
from ..data.folder import is_unlabelled, wrapper_of
from ..data.layouts import arrange
from ..data.tables import csv_cells
from ..data.values import STANDARD
from ..errors import BadFileError, DataError
from ..places import FULL
from ..units import plural, printable
from .errors import StudioError, of_disk
from .folder import Folder
from .listing import facts_of
from .names import GROUPS, check_class_name, file_name, suffix_of

MOST_UNPACKED = 4 << 30
"""Bytes of all pictures in the archives of one request."""

_NAMED = 1000  # refusals that are named; all are counted

_FORMATS = (
    (b"\x89PNG", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF8", "GIF"), (b"BM", "BMP"), (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)  # fmt: skip


class Given(NamedTuple):
    """A picture to add: what the client calls it, its content, its class (None: the tray) and its group."""

    name: str
    content: Callable[[], bytes]
    label: str | None
    group: str | None


@dataclass
class Added:
    """What became of the files of a request."""

    added: list[str] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    same: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused_count: int = 0

    def refuse(self, name: str, reason: str) -> None:
        """Count a file that is not added, and name it with the reason."""
        self.refused_count += 1
        if len(self.refused) < _NAMED:
            self.refused.append({"name": printable(name[:200]), "reason": printable(reason[:300])})

    def to_dict(self) -> dict[str, Any]:
        """For the page."""
        return vars(self)


def checked(name: str, content: bytes) -> str:
    """The suffix of a picture that can be read: it is decoded once, where that can be stopped.

    Raises:
        BadFileError: it is no picture, damaged, or would take too much time or memory.
    """
    see_bytes(content, printable(name[:100]) or "picture", STANDARD)
    known = next((kind for mark, kind in _FORMATS if content.startswith(mark)), None)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        known = "WEBP"
    return suffix_of(known, name)


def add_all(
    folder: Folder, given: Iterable[Given], *, create: bool = False, found: Added | None = None,
    progress: Callable[[int], bool] = lambda _: True,
) -> Added:  # fmt: skip
    """Add pictures to a studio's folder; exact copies of pictures that are there are kept out.

    Each picture is decoded before the folder is locked. On a full disk all that this call has added is removed again.

    Args:
        create: make classes that are not there.
        found: where to count.
        progress: called with the number of pictures that are done; False stops, and keeps what was added.

    Raises:
        StudioError: 507 for a full disk; an unknown class.
    """
    found = found or Added()
    writer = _Writer(folder, found, create)
    try:
        for number, each in enumerate(given, 1):
            writer.add(each)
            if not progress(number):
                break
    except OSError as error:
        if error.errno in FULL:
            writer.discard()
        else:
            writer.finish()
        raise of_disk(error, folder.root) from error
    writer.finish()
    return found


class _Writer:
    """Adds pictures one by one, as one change."""

    def __init__(self, folder: Folder, found: Added, create: bool) -> None:
        self._folder, self._found, self._create = folder, found, create
        self._ids: list[str] = []
        self._made: list[str] = []
        self._groups: dict[str, str] = {}
        self._by_size: dict[int, list[str]] | None = None

    def add(self, given: Given) -> None:
        """Check, compare and write one."""
        try:
            content = given.content()
            suffix = checked(given.name, content)
        except BadFileError as error:
            self._found.refuse(given.name, f"{error.reason}. {error.remedy}".strip())
            return
        folder = self._folder
        with folder.lock:
            if not self._has_class(given):
                return
            if (same := self._same(content)) is not None:
                self._found.same.append({"name": printable(given.name[:200]), "as": same})
                return
            id = folder.store(given.label, file_name(given.name, suffix), suffix, content)
            self._ids.append(id)
            self._found.added.append(id)
            assert self._by_size is not None
            self._by_size.setdefault(len(content), []).append(id)
            if given.group:
                self._groups[id] = given.group

    def finish(self) -> None:
        """Make one undoable change of all."""
        folder = self._folder
        with folder.changing():
            folder.added(f"Add {plural(len(self._ids), 'picture')}", self._ids, self._groups, self._made)

    def discard(self) -> None:
        """Remove all again."""
        with self._folder.lock:
            self._folder.discard(self._ids, self._made)
            self._found.added.clear()

    def _has_class(self, given: Given) -> bool:
        folder, label = self._folder, given.label
        if label is None or label in folder.listing.shelves:
            return True
        if not self._create:
            folder.check_class(label)
        try:
            check_class_name(label)
        except StudioError as error:
            self._found.refuse(given.name, str(error))
            return False
        folder.make_class(label)
        self._made.append(label)
        return True

    def _same(self, content: bytes) -> str | None:
        """The id of a picture with the same content; only files of the same size are read."""
        listing = self._folder.listing
        if self._by_size is None:
            self._folder.refresh()
            self._by_size = {}
            for id in listing.all_ids():
                self._by_size.setdefault(listing.entry(id).state[0], []).append(id)
        hash = ""
        for id in self._by_size.get(len(content), ()):
            hash = hash or facts_of(content).hash
            try:
                if listing.facts(id).hash == hash:
                    return id
            except (OSError, KeyError):
                continue
        return None


# Zip archives


def in_zip(path: Path, name: str, label: str | None, tray: bool, group: str | None, found: Added) -> Iterator[Given]:
    """The pictures in a zip archive.

    Args:
        path: where it lies.
        name: what the client called it.
        label: their class; None with ``tray`` for the tray, and without it for the class folders in the archive.
        group: their group; None for those of a ``metadata.csv`` in the archive.
        found: counts members whose names lead outside, and other members that are not read.
    """
    try:
        tree = archive_tree(path)
    except DataError as error:
        found.refuse(name, str(error).replace(os.fspath(path), name))
        return
    for member in tree.outside:
        found.refuse(member, "its name leads outside the archive's folder")
    names, others = tree.pictures()
    if len(names) > MAX_MEMBERS:
        found.refuse(name, f"it holds more than {MAX_MEMBERS:,} pictures. Divide it")
        return
    others.pop(".csv", None)
    if others:
        found.notes.append(f"{name}: {plural(sum(others.values()), 'member')} of other kinds than pictures: not read.")
    labels = _labels(tree, names, name, label, tray, found)
    groups = _groups(tree)
    spent = [0]

    def content(member: str) -> bytes:
        unpacked = tree.content(member)
        spent[0] += len(unpacked)
        if spent[0] > MOST_UNPACKED:
            reason = f"the archive unpacks to more than {MOST_UNPACKED >> 30} GiB"
            raise BadFileError(member, reason, "Add it in parts.")
        return unpacked

    for member, own in labels:
        yield Given(member, partial(content, member), own, group or groups.get(member))


def _labels(
    tree: FileTree, names: list[str], name: str, label: str | None, tray: bool, found: Added
) -> Iterator[tuple[str, str | None]]:
    """Each member with its class, None for the tray."""
    if label is not None or tray:
        yield from ((member, label) for member in names)
        return
    wrapper = wrapper_of(names)
    aside = [member for member in names if is_unlabelled(member, wrapper)]
    yield from ((member, None) for member in aside)
    inside = [member for member in names if not is_unlabelled(member, wrapper)]
    if not inside:
        return
    try:
        arranged = arrange(inside, name)
    except DataError as error:
        found.refuse(name, f"{error} Or choose a class for them".replace("\n", " "))
        return
    found.notes += [*arranged.notes, *arranged.warnings]
    if any(part for _, _, part in arranged.rows):
        found.notes.append(f"{name}: the parts in it are put together: the studio divides the data itself.")
    yield from ((member, own) for member, own, _ in arranged.rows)


def _groups(tree: FileTree) -> dict[str, str]:
    """Member → group, as a table of groups in the archive says."""
    table = next((name for name in tree.names if posixpath.basename(name) == GROUPS), None)
    if table is None:
        return {}
    try:
        cells = csv_cells(tree.content(table), table)
    except DataError:
        return {}
    columns = [title.strip().lower() for title in cells.columns]
    if "file_name" not in columns or "group" not in columns:
        return {}
    file, group, inside = columns.index("file_name"), columns.index("group"), posixpath.dirname(table)
    rows = (row for _, row in cells.rows if len(row) > max(file, group))
    return {posixpath.normpath(posixpath.join(inside, row[file])): row[group] for row in rows if row[group]}
