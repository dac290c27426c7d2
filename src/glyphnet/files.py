"""Writing files so that a crash never leaves half of one, and keeping two runs out of one folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from .errors import RunFolderError

_UNFINISHED = ".unfinished-"  # beginning of a temporary name; what a killed process leaves is found by it


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of ``path`` only when it is complete.

    The bytes go to a temporary name in the same folder; at the end of the ``with`` block they are flushed and
    fsynced, the name is replaced in one step and the folder is fsynced. Whoever reads ``path``, at any moment
    and after any crash, finds the whole old content or the whole new one. If the block raises, the old file
    stays as it was and nothing is left behind. A symbolic link is followed; an existing file keeps its mode.

    Raises:
        OSError: the folder does not exist or cannot be written, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    temporary = target.parent / f"{_UNFINISHED}{secrets.token_hex(8)}"
    file = os.fdopen(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "w+b")
    try:
        with file:
            fcntl.flock(file, fcntl.LOCK_SH)  # says "my writer lives": see _remove_unfinished
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk does not say which
            error.filename = str(target)
        raise
    _fsync_folder(target.parent)


def atomic_write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, all or nothing: see `atomic_write`."""
    content = text.encode(errors="backslashreplace")  # of a name that is no Unicode; in JSON that is its own escape
    with atomic_write(path) as file:
        file.write(content)


class FolderLock:
    """The sole right to write into a folder, for the length of a ``with`` block.

    The lock is an ``flock`` on ``<folder>/.lock``: the kernel gives it back when the process ends, however it
    ends, so there are no stale locks. The folder is made if it is not there. Unfinished files that a killed
    process left in it are removed.

    Raises:
        RunFolderError: another process, or another lock in this one, holds the folder; told at once.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._file: BinaryIO | None = None

    def __enter__(self) -> FolderLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = open(self.folder / ".lock", "a+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read(20).decode("ascii", "replace").strip()
            file.close()
            raise RunFolderError(
                f"{self.folder}: in use by another run{f' (process {holder})' if holder else ''}. "
                "Wait until it ends, or choose another folder."
            ) from None
        except BaseException:
            file.close()
            raise
        file.truncate(0)
        file.write(f"{os.getpid()}\n".encode())
        file.flush()
        self._file = file
        _remove_unfinished(self.folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()  # the file itself stays: removing it would let two processes lock two files
            self._file = None


# A folder that holds all files of one of these sets is the output of a verb: of train, of train with several seeds or
# before its first epoch, of evaluate, tune, compare and lab.
_OUTPUTS = (
    {"recipe.yaml", "history.csv"},
    {"recipe.yaml", "model.safetensors"},
    {"recipe.yaml", "checkpoint.safetensors"},
    {"seeds.json"},
    {"evaluation.json", "predictions.csv"},
    {"trials.csv", "best.yaml"},
    {"comparison.json"},
    {"lab.html", "numbers.json"},
)


def is_output_folder(names: Iterable[str]) -> bool:
    """Whether a folder with files of these names holds GlyphNet's own output, which is never data.

    Where only ``.lock`` is in it, a process has just begun to write.
    """
    there = set(names)
    return there == {".lock"} or any(output <= there for output in _OUTPUTS)


def _fsync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_unfinished(folder: Path) -> None:
    """Remove the temporary files in ``folder`` whose writers are dead: the living hold a lock on theirs."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
