"""The studio's folder as a zip archive that every verb reads, made while it is sent."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator

from ..data.decode import MAX_FILE_BYTES
from ..places import read_plain
from .folder import Folder
from .names import DECISIONS, GROUPS

_PIECE = 1 << 18


class _Stream:
    """What `zipfile` writes to: bytes that are taken away as they come."""

    def __init__(self) -> None:
        self._ready = bytearray()

    def write(self, data: bytes, /) -> int:
        """Append."""
        self._ready += data
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """There is nothing to close."""

    def take(self) -> bytes:
        """What has come."""
        ready, self._ready = bytes(self._ready), bytearray()
        return ready

    def __len__(self) -> int:
        return len(self._ready)


def zipped(folder: Folder) -> Iterator[bytes]:
    """The archive, piece by piece: pictures of classes and tray, and the tables; no runs, versions or trash.

    A picture that is removed meanwhile is left out. Pictures are packed already, so they are stored as they are.
    """
    with folder.lock:
        folder.refresh()
        names = list(folder.listing.all_ids())
    file = _Stream()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in (*names, GROUPS, DECISIONS):
            try:
                content = read_plain(folder.root / name, MAX_FILE_BYTES)
            except OSError:
                continue
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content)
            if len(file) > _PIECE:
                yield file.take()
    yield file.take()
