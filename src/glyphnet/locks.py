"""Locks of files and folders, and temporary folders that are recognised by their locks."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError, RunFolderError
from .files import NO_FOLLOW, SAFE, WINDOWS, AnyPath, is_same, make_folder, remove, remove_unfinished, try_lock
from .outputs import LOCK

_CONTENT = re.compile(rb"(glyphnet )?\d*\n?")  # earlier releases wrote the number alone


class FileLock:
    """A lock that the kernel releases when the process ends, however it ends: there are no stale locks.

    Its file is made without following links and holds "glyphnet" and the number of the process; a file with any other
    content is never locked, changed or removed. Release removes the file.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path = os.fspath(path)
        self._descriptor: int | None = None

    def exists(self) -> bool:
        """Whether there is such a file, held or not."""
        return os.path.lexists(self.path)

    def acquire(self, *, wait: bool = False) -> bool:
        """Try to take the lock, or wait for it; whether that succeeded.

        Raises:
            OutputError: the file has other content.
            OSError: the file cannot be made.
        """
        while True:
            descriptor = self._open(os.O_CREAT)
            try:
                # A holder removes the file before it releases the lock: then this would lock nothing.
                if try_lock(descriptor) and is_same(os.fstat(descriptor), self.path):
                    os.ftruncate(descriptor, 0)
                    os.lseek(descriptor, 0, os.SEEK_SET)
                    os.write(descriptor, f"glyphnet {os.getpid()}\n".encode())
                    self._descriptor, descriptor = descriptor, -1
                    return True
                is_there = is_same(os.fstat(descriptor), self.path)
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
            if is_there and not wait:
                return False
            time.sleep(0.02 if is_there else 0)

    def release(self) -> None:
        """Release it, if it is held."""
        if self._descriptor is not None:
            is_ours = is_same(os.fstat(self._descriptor), self.path)
            if is_ours and not WINDOWS:
                remove(self.path)
            os.close(self._descriptor)
            self._descriptor = None
            if is_ours and WINDOWS:
                with contextlib.suppress(PermissionError):  # the next holder has it open already
                    remove(self.path)

    def is_held(self) -> bool:
        """Whether a living process, or another lock in this one, holds it; nothing is made or changed."""
        try:
            descriptor = self._open(0)
        except FileNotFoundError:
            return False
        try:
            return not try_lock(descriptor)
        finally:
            os.close(descriptor)

    def holder(self) -> str:
        """The number of the process that holds it or held it last; "" where unknown."""
        with contextlib.suppress(OSError, OutputError):
            descriptor = self._open(0)
            try:
                return _content(descriptor).decode("ascii").removeprefix("glyphnet").strip()
            finally:
                os.close(descriptor)
        return ""

    def _open(self, create: int) -> int:
        try:
            flags = os.O_RDWR | SAFE | NO_FOLLOW | create
            descriptor = os.open(self.path, flags, 0o666)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise self._foreign() from None
            raise
        status = os.fstat(descriptor)
        is_single = stat.S_ISREG(status.st_mode) and status.st_nlink <= 1
        if not is_single or not _CONTENT.fullmatch(_content(descriptor)):
            os.close(descriptor)
            raise self._foreign()
        return descriptor

    def _foreign(self) -> OutputError:
        return OutputError(
            f"{self.path}: is needed for a lock, and holds something else. Move it away, or choose another folder."
        )


def _content(descriptor: int) -> bytes:
    """What a lock's file holds; nothing where its holder alone may read it, as on Windows."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        return os.read(descriptor, 64)
    except PermissionError:
        return b""


class FolderLock:
    """The sole right to write into a folder, for the length of a ``with`` block.

    The lock is the file ``.lock`` in it, see `FileLock`. The folder is made if it is absent, and unfinished files of
    killed processes in it are removed.

    Args:
        wait: wait for the holder to release the folder.

    Raises:
        RunFolderError: another process, or another lock in this one, holds the folder; not with ``wait``.
        OutputError: a ``.lock`` that is not ours is there.
    """

    def __init__(self, folder: AnyPath, *, wait: bool = False) -> None:
        self.folder = Path(folder)
        self._wait = wait
        self._lock = FileLock(self.folder / LOCK)

    def __enter__(self) -> FolderLock:
        make_folder(self.folder)
        while not self._lock.acquire():
            if not self._wait:
                raise _in_use(self.folder, self._lock)
            time.sleep(0.1)
            make_folder(self.folder)  # its last holder may have removed it
        remove_unfinished(self.folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def refuse_if_in_use(folder: AnyPath) -> None:
    """Raise RunFolderError if a process writes into a folder now; nothing is touched."""
    lock = FileLock(Path(folder) / LOCK)
    if lock.is_held():
        raise _in_use(Path(folder), lock)


def _in_use(folder: Path, lock: FileLock) -> RunFolderError:
    holder = lock.holder()
    return RunFolderError(
        f"{folder}: in use by another run{f' (process {holder})' if holder else ''}. "
        "Wait until it ends, or choose another folder."
    )


# Temporary folders

_TEMPORARY = "glyphnet-"
_UNLOCKED = 3600.0  # seconds after which an empty one without a lock is abandoned: a process locks its own at once


@contextmanager
def temporary_folder(near: AnyPath | None = None) -> Iterator[Path]:
    """A folder that is removed after the block, as are those of killed processes.

    Args:
        near: the folder to make it in; else the system's folder for temporary files.
    """
    base = Path(tempfile.gettempdir() if near is None else near)
    _remove_abandoned(base)
    with contextlib.ExitStack() as held:
        yield _new_folder(base, held)


def _new_folder(base: Path, held: contextlib.ExitStack) -> Path:
    """A new folder, locked, and removed when ``held`` ends."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=base))
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            held.enter_context(FolderLock(folder))
        except (FileNotFoundError, RunFolderError):
            continue  # between the making of the lock's file and the lock another process took it for abandoned
        return folder


def _remove_abandoned(base: Path) -> None:
    """Remove temporary folders of ours whose processes are dead, recognised by owner, mode and lock."""
    with contextlib.suppress(OSError), os.scandir(base) as entries:
        for entry in entries:
            if not re.fullmatch(rf"{_TEMPORARY}[a-z0-9_]{{8}}", entry.name):
                continue
            with contextlib.suppress(OSError, OutputError):
                status = entry.stat(follow_symlinks=False)
                is_own = stat.S_ISDIR(status.st_mode)
                if hasattr(os, "getuid"):  # elsewhere the folder for temporary files is the user's own
                    is_own = is_own and stat.S_IMODE(status.st_mode) == 0o700 and status.st_uid == os.getuid()
                if not is_own:
                    continue
                lock = FileLock(os.path.join(entry.path, LOCK))
                if lock.exists() and lock.acquire():
                    shutil.rmtree(entry.path, ignore_errors=True)
                    lock.release()
                elif not lock.exists() and time.time() - status.st_mtime > _UNLOCKED:
                    os.rmdir(entry.path)  # killed before it had its lock; if anything is in it, it stays
