"""The pictures of a user's folder: added, moved and recorded, and never replaced.

`glyphnet.files` replaces whole files; here a name that is taken is an error, and several renames happen together or
not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from .files import NO_FOLLOW, SAFE, AnyPath, fsync_folder, new_temporary, open_input, remove

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a disk, or of a share of it, that has no room."""

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK})


def add_file(path: AnyPath, content: bytes, *, durable: bool = False) -> None:
    """Write a new file, all or nothing.

    Args:
        durable: whether it must survive a power cut; that a killed process loses nothing holds anyway.

    Raises:
        FileExistsError: something has this name.
        OSError: the folder does not exist, or the disk is full; nothing is left behind.
    """
    target = Path(path)
    file, temporary = new_temporary(target.parent)
    try:
        with file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
            _give_name(temporary, target)
    finally:
        remove(temporary)
    if durable:
        fsync_folder(target.parent)


def _give_name(temporary: str, target: Path) -> None:
    """Name a finished file; unlike a rename, a link never replaces."""
    try:
        os.link(temporary, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(target)) from None
        os.rename(temporary, target)


def rename_all(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Rename files or folders, all or none; afterwards the new names survive a power cut.

    Raises:
        FileExistsError: a new name is taken.
        OSError: one cannot be renamed; those before it have their old names again.
    """
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in pairs:
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(target))
            os.rename(source, target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            with contextlib.suppress(OSError):
                os.rename(target, source)
        raise
    sync_folders(folder for pair in pairs for folder in (pair[1].parent, pair[0].parent))


def sync_folders(folders: Iterable[Path]) -> None:
    """Make the names in these folders survive a power cut; those that are gone are skipped."""
    for folder in dict.fromkeys(folders):
        with contextlib.suppress(FileNotFoundError):
            fsync_folder(folder)


def append_line(path: AnyPath, line: bytes, *, durable: bool = True) -> None:
    """Append a line, with its end, to a regular file, all or nothing.

    A last line without an end gets one first.

    Args:
        durable: wait until it is on the disk, and so survives a power cut; that a killed process loses nothing holds
            anyway.

    Raises:
        OSError: it does not exist, is a link, or the disk is full; the file is then as it was.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | SAFE | NO_FOLLOW)
    try:
        size = os.fstat(descriptor).st_size
        if size:
            os.lseek(descriptor, size - 1, os.SEEK_SET)
            line = line if os.read(descriptor, 1) == b"\n" else b"\r\n" + line
        try:
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))
            if durable:
                os.fsync(descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def cut(path: AnyPath, size: int) -> None:
    """Leave a regular file its first ``size`` bytes; OSError if it does not exist or is a link."""
    descriptor = os.open(path, os.O_RDWR | SAFE | NO_FOLLOW)
    try:
        os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def appended(path: AnyPath) -> Iterator[IO[bytes]]:
    """A file of ours that is appended to, made where it is absent; no link is followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | SAFE | NO_FOLLOW
    with os.fdopen(os.open(path, flags, 0o666), "ab") as file:
        yield file


def read_plain(path: AnyPath, limit: int) -> bytes:
    """The content of a regular file that is no link.

    Raises:
        OSError: it is absent, a link, no regular file, or larger than ``limit`` bytes.
    """
    if os.path.islink(path):
        raise OSError(errno.ELOOP, "it is a link, which is not followed here", os.fspath(path))
    with open_input(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", os.fspath(path))
    return content
