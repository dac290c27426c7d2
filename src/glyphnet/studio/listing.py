"""The pictures in a studio's folder, by class: listed from the disk, and listed again where the disk has changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..data.decode import MAX_FILE_BYTES, header_size
from ..data.filetree import head_of, is_wanted
from ..data.folder import UNLABELLED_PARTS
from ..data.guard import plain_size
from ..data.listing import class_order
from ..errors import BadFileError, DataError
from ..filekinds import is_picture
from ..places import read_plain
from ..units import fault_of, listed, plural
from .names import RUNS, TRAY, VERSIONS

_SETTLED = 0.05  # seconds after which a folder's time of change tells of every change before


class Facts(NamedTuple):
    """What the content of a picture says: its SHA-256, and its size in pixels, 0 where no picture can be read."""

    hash: str
    width: int
    height: int


@dataclass(slots=True)
class Entry:
    """One picture's file: size and times tell whether the facts still hold."""

    state: tuple[int, int, int, int]  # size, times of change of content and of status, inode
    facts: Facts | None = None


def state_of(status: os.stat_result) -> tuple[int, int, int, int]:
    """Changes whenever the file does."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


@dataclass
class Shelf:
    """The pictures of one class, or of the tray.

    Attributes:
        entries: by id, the path from the studio's folder.
        folders: path → time of change, of the class's folder and of those in it.
        skipped: files and links that are no pictures.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    read_at: float = 0.0
    _order: list[str] | None = None

    def ids(self) -> list[str]:
        """All ids, in a stable order: that of the names."""
        if self._order is None:
            self._order = sorted(self.entries)
        return self._order

    def holds_same(self, other: Shelf) -> bool:
        """Whether another shelf has the same files, none of them changed."""
        if self.entries.keys() != other.entries.keys():
            return False
        return all(entry.state == other.entries[id].state for id, entry in self.entries.items())

    def put(self, id: str, entry: Entry) -> None:
        """Add a picture."""
        self.entries[id] = entry
        self._order = None

    def take(self, id: str) -> Entry:
        """Remove a picture."""
        self._order = None
        return self.entries.pop(id)


class Listing:
    """All pictures below a folder. The caller holds a lock: one thread at a time.

    Attributes:
        shelves: class name, or the tray's → its pictures.
        tray: what the folder of unlabelled pictures is called.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shelves: dict[str, Shelf] = {}
        self.tray = TRAY
        self._root_time = -1
        self._loose = 0
        self._odd = 0
        self.refresh()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of labels."""
        return class_order(name for name in self.shelves if name != self.tray)

    def shelf(self, name: str | None) -> Shelf:
        """The pictures of a class; None for the tray."""
        return self.shelves.setdefault(self.tray, Shelf()) if name is None else self.shelves[name]

    def __contains__(self, id: str) -> bool:
        top = id.partition("/")[0]
        return top in self.shelves and id in self.shelves[top].entries

    def entry(self, id: str) -> Entry:
        """The entry of an id that is listed; KeyError for any other."""
        return self.shelves[id.partition("/")[0]].entries[id]

    def all_ids(self) -> Iterator[str]:
        """Every picture: classes in their order, then the tray."""
        for name in (*self.classes, self.tray):
            if name in self.shelves:
                yield from self.shelves[name].ids()

    @property
    def notes(self) -> list[str]:
        """What lies in the folder and is not shown."""
        skipped = sum(shelf.skipped for shelf in self.shelves.values())
        notes = []
        if self._loose:
            notes.append(f"{plural(self._loose, 'file')} beside the class folders: not shown. Move them into one.")
        if self._odd:
            notes.append(f"{plural(self._odd, 'folder')} with names that are no valid text: not shown. Rename them.")
        if skipped:
            notes.append(f"{plural(skipped, 'file')} in class folders that are links or no pictures: not shown.")
        return notes

    def refresh(self, *, whole: bool = False) -> bool:
        """List again what has changed on the disk; whether anything had.

        Args:
            whole: list everything again, whatever the folders' times say.
        """
        changed = self._refresh_root(whole)
        for name, shelf in list(self.shelves.items()):
            if whole or self._is_stale(shelf):
                found = self._read(name, shelf)
                changed = changed or found.skipped != shelf.skipped or not found.holds_same(shelf)
                self.shelves[name] = found
        return changed

    def noted(self, *names: str) -> None:
        """Take the folders' times of change as they are now: the change was made here, and the listing has it."""
        for name in names:
            if name in self.shelves:
                shelf = self.shelves[name]
                for folder in list(shelf.folders) or [name]:
                    with contextlib.suppress(OSError):
                        shelf.folders[folder] = os.stat(self.root / folder).st_mtime_ns
                shelf.read_at = time.time() + _SETTLED

    def is_current(self, name: str) -> bool:
        """Whether nothing has changed in a class since it was listed."""
        return name in self.shelves and not self._is_stale(self.shelves[name])

    def facts(self, id: str) -> Facts:
        """Hash and size of a listed picture, read where they are not known or the file has changed.

        Raises:
            KeyError: it is not listed.
            OSError: it cannot be read.
        """
        entry = self.entry(id)
        now = state_of(os.lstat(self.root / id))
        if entry.facts is None or entry.state != now:
            content = read_plain(self.root / id, MAX_FILE_BYTES)
            entry.state, entry.facts = now, facts_of(content)
        return entry.facts

    def _refresh_root(self, whole: bool) -> bool:
        time_now = os.stat(self.root).st_mtime_ns
        if time_now == self._root_time and not whole and time.time() - time_now / 1e9 > _SETTLED:
            return False
        self._root_time = time_now
        names, self._loose, self._odd = set(), 0, 0
        with os.scandir(self.root) as entries:
            for entry in entries:
                if not is_wanted(entry.name) or entry.name in (RUNS, VERSIONS):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if _is_text(entry.name):
                        names.add(entry.name)
                    else:
                        self._odd += 1
                elif is_picture(entry.name, lambda _: b"text\n"):
                    self._loose += 1
        trays = sorted(name for name in names if name.lower() in UNLABELLED_PARTS)
        if len(trays) > 1:
            raise DataError(f"{self.root}: there are {listed(trays)}. Put the unlabelled pictures into one of them.")
        self.tray = trays[0] if trays else TRAY
        gone = self.shelves.keys() - names
        for name in gone:
            del self.shelves[name]
        new = names - self.shelves.keys()
        for name in new:
            self.shelves[name] = Shelf()
        return bool(gone or new)

    def _is_stale(self, shelf: Shelf) -> bool:
        if not shelf.folders:
            return True
        for folder, then in shelf.folders.items():
            try:
                now = os.stat(self.root / folder).st_mtime_ns
            except OSError:
                return True
            if now != then or shelf.read_at - now / 1e9 < _SETTLED:
                return True
        return False

    def _read(self, name: str, before: Shelf) -> Shelf:
        shelf = Shelf(read_at=time.time())
        waiting = [name]
        while waiting:
            folder = waiting.pop()
            try:
                shelf.folders[folder] = os.stat(self.root / folder).st_mtime_ns
                with os.scandir(self.root / folder) as entries:
                    inside = list(entries)
            except OSError:
                continue  # it has gone meanwhile: the root's time says so
            for entry in inside:
                if not is_wanted(entry.name):
                    continue
                path = f"{folder}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif not entry.is_file(follow_symlinks=False) or not _is_text(entry.name):
                    shelf.skipped += 1
                elif is_picture(entry.name, partial(_head_in, self.root / folder)):
                    with contextlib.suppress(OSError):
                        state = state_of(entry.stat(follow_symlinks=False))
                        known = before.entries.get(path)
                        shelf.entries[path] = known if known and known.state == state else Entry(state)
                else:
                    shelf.skipped += 1
        return shelf


def facts_of(content: bytes) -> Facts:
    """Hash and size of an encoded picture."""
    width = height = 0
    size = plain_size(content)
    if size is not None:
        width, height = size
    else:
        with contextlib.suppress(BadFileError, OSError):
            width, height = header_size(content, "picture")
    return Facts(hashlib.sha256(content).hexdigest(), width, height)


def _head_in(folder: Path, name: str) -> bytes:
    return head_of(folder / name)


def _is_text(name: str) -> bool:
    """Whether a name is valid Unicode without control characters, so that lists and pages can hold it."""
    return not fault_of(name)
