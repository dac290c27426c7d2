"""Versions of the data: one list each of all pictures with the SHA-256 of their content, as ``sha256sum`` writes it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ..files import atomic_write_text, read_input
from .errors import StudioError
from .folder import Folder
from .listing import Listing
from .names import GROUPS

_NAME = re.compile(r"(\d{4,9})-([0-9a-f]{12})\.txt")


@dataclass(frozen=True, eq=False)
class Version:
    """One version of the data.

    Attributes:
        number: from 1, in the order in which they were made.
        text: the list: a line ``sha256  file`` for each picture, labelled or not, and for the table of groups.
    """

    number: int
    path: Path
    text: str
    made: float

    @property
    def name(self) -> str:
        """For people: ``0003``."""
        return f"{self.number:04d}"

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the list."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def files(self) -> dict[str, str]:
        """File → SHA-256 of its content."""
        lines = (line.partition("  ") for line in self.text.splitlines())
        return {file: hash for hash, _, file in lines if file}

    def diff(self, before: Version | None) -> dict[str, int]:
        """How many pictures were added, removed and moved since another version."""
        now, then = self.files, before.files if before else {}
        new, gone = now.keys() - then.keys(), then.keys() - now.keys()
        hashes = {then[file] for file in gone}
        moved = sum(now[file] in hashes for file in new)
        changed = sum(now[file] != then[file] for file in now.keys() & then.keys() if file != GROUPS)
        return {"added": len(new) - moved + changed, "removed": len(gone) - moved + changed, "moved": moved}


class Versions:
    """The versions in a studio's folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._known: dict[str, tuple[object, Version]] = {}

    def all(self) -> list[Version]:
        """Every version, the oldest first; other files are passed over."""
        found = []
        for entry in sorted(os.scandir(self._folder.versions), key=lambda entry: entry.name):
            name = _NAME.fullmatch(entry.name)
            if name is None or not entry.is_file(follow_symlinks=False):
                continue
            status = entry.stat(follow_symlinks=False)
            state = (status.st_mtime_ns, status.st_size, status.st_ino)
            if self._known.get(entry.name, (None,))[0] != state:
                self._known[entry.name] = state, version_at(Path(entry.path))
            found.append(self._known[entry.name][1])
        return found

    def latest(self) -> Version | None:
        """The newest version."""
        return next(iter(self.all()[::-1]), None)

    def of(self, hash: str | None) -> Version | None:
        """The version of a hash."""
        return next((version for version in self.all() if version.hash == hash), None)

    def take(self) -> Version:
        """The version of the data as they are now; a new one unless the latest is the same.

        Raises:
            StudioError: a picture cannot be read.
        """
        folder = self._folder
        with folder.lock:
            folder.refresh()
            text = self._text()
            latest = self.latest()
            if latest is not None and latest.text == text:
                return latest
            number = latest.number + 1 if latest else 1
            hash = hashlib.sha256(text.encode()).hexdigest()
            with folder.changing():
                atomic_write_text(folder.versions / f"{number:04d}-{hash[:12]}.txt", text)
            made = self.latest()
            assert made is not None
            return made

    def is_changed(self) -> bool:
        """Whether the data differ from the latest version; the content of files that are older is not read again."""
        folder = self._folder
        with folder.lock:
            latest = self.latest()
            if latest is None:
                return True
            return differs(folder.listing, latest)

    def _text(self) -> str:
        listing = self._folder.listing
        lines = []
        for id in sorted(listing.all_ids()):
            try:
                lines.append(f"{listing.facts(id).hash}  {id}\n")
            except OSError as error:
                raise StudioError(409, f"{id}: cannot be read ({error.strerror}). Mend or remove it.") from None
        if (table := _table_hash(listing.root)) is not None:
            lines.append(f"{table}  {GROUPS}\n")
        return "".join(lines)


def differs(listing: Listing, version: Version) -> bool:
    """Whether the data differ from a version; the content of files that are older than it is not read again."""
    ids = set(listing.all_ids())
    if ids != version.files.keys() - {GROUPS} or _table_hash(listing.root) != version.files.get(GROUPS):
        return True
    made = int(version.made * 1e9)
    newer = (id for id in ids if max(listing.entry(id).state[1:3]) >= made)
    try:
        return any(listing.facts(id).hash != version.files[id] for id in newer)
    except (OSError, KeyError):
        return True


def version_at(path: Path) -> Version:
    """The version in a file; OSError if it cannot be read."""
    name = _NAME.fullmatch(path.name)
    text = read_input(path).decode("utf-8", "replace")
    return Version(int(name[1]) if name else 0, path, text, path.stat().st_mtime)


def _table_hash(root: Path) -> str | None:
    """Of the table of groups, None where there is none."""
    path = root / GROUPS
    return hashlib.sha256(read_input(path)).hexdigest() if path.is_file() else None


def history(versions: list[Version], runs: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """For the page: each version with its changes and the runs that were trained on it, by the version's hash."""
    found = []
    before: Version | None = None
    for version in versions:
        found.append({
            "hash": version.hash,
            "name": version.name,
            "made": datetime.fromtimestamp(version.made, UTC).isoformat(timespec="seconds"),
            "count": len(version.files.keys() - {GROUPS}),
            **version.diff(before),
            "runs": runs.get(version.hash, []),
        })  # fmt: skip
        before = version
    return found
