"""The one door to the disk: what is opened for reading, and every file and folder that is written.

The user's files are never destroyed unless the user asked for it:

- `Replacing` looks before the work begins: is it an input, a folder, somebody else's file?
- `atomic_write` replaces regular files only. Pipes and devices are written to. Links are followed only where the
  user named the file.
- Locks and temporary files are known by their content and inode, not by their names alone.

Only this module, `glyphnet.places` and `glyphnet.locks` open files for writing, make folders or remove something;
``tests/test_files.py`` checks that.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, TypeAlias, overload

from .errors import OutputError
from .filekinds import check_folder_name, check_suffix
from .outputs import LOCK, is_output_folder

AnyPath: TypeAlias = str | os.PathLike[str]

_PIPED_BYTES = 64 * 2**20  # read from a pipe: settings and tables, not data sets
_LINK = ": is a link, which is not followed here. Remove the link, or choose another folder."
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
# Never wait for a pipe, never hand the descriptor to a child, never translate line ends: what the system has of these.
SAFE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
WINDOWS = os.name == "nt"
"""Windows neither renames nor removes an open file, and a locked byte of it can be read by its holder alone."""
_STALE = 60.0  # seconds after which an unfinished file is abandoned, where it is not locked until it has its name
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a disk"),
    (stat.S_ISLNK, "a link"),
    (stat.S_ISREG, "a file"),
)


# Reading


@overload
def open_input(path: AnyPath) -> io.BufferedReader: ...


@overload
def open_input(path: AnyPath, *, piped: bool) -> io.BufferedReader | io.BytesIO: ...


def open_input(path: AnyPath, *, piped: bool = False) -> io.BufferedReader | io.BytesIO:
    """Open a regular file for reading: a pipe or a device might never end, and would hang the program.

    Args:
        path: the file; links are followed.
        piped: also read ``/dev/stdin``, ``<(…)`` and other pipes that the shell has opened for this process, up to
            64 MiB: for settings and tables that the user names.

    Raises:
        OSError: it is absent, cannot be read or is no regular file.
    """
    descriptor = _descriptor(path) if piped else None
    if descriptor is not None and not stat.S_ISREG(os.fstat(descriptor).st_mode):
        with os.fdopen(os.dup(descriptor), "rb") as pipe:
            content = pipe.read(_PIPED_BYTES + 1)
        if len(content) > _PIPED_BYTES:
            raise OSError(errno.EFBIG, f"gives more than {_PIPED_BYTES >> 20} MiB; save it as a file", os.fspath(path))
        return io.BytesIO(content)
    _check_regular(os.stat(path), path)  # before opening: opening a device can have effects
    file = os.fdopen(os.open(path, os.O_RDONLY | SAFE), "rb")
    try:
        _check_regular(os.fstat(file.fileno()), path)
    except OSError:
        file.close()
        raise
    return file


def open_text(
    path: AnyPath,
    *,
    encoding: str = "utf-8",
    errors: str | None = None,
    newline: str | None = None,
    piped: bool = False,
) -> io.TextIOWrapper:
    """Open a regular file as text: see `open_input`."""
    return io.TextIOWrapper(open_input(path, piped=piped), encoding=encoding, errors=errors, newline=newline)


def separator_of(head: str) -> str:
    """The separator of the cells in a first line: comma, semicolon, tab or bar; "" where there is one cell."""
    best = max(",;\t|", key=head.count)
    return best if best in head else ""


def read_input(path: AnyPath, *, piped: bool = False) -> bytes:
    """The whole content of a file: see `open_input`."""
    with open_input(path, piped=piped) as file:
        return file.read()


def _check_regular(status: os.stat_result, path: AnyPath) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EOPNOTSUPP, f"it is {_kind(status)}, not a regular file", os.fspath(path))


def _kind(status: os.stat_result) -> str:
    return next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "not a regular file")


# Pipes and devices


def is_stream(path: AnyPath) -> bool:
    """Whether a path names a pipe, a character device or a descriptor of this process: those are written to."""
    if _descriptor(path) is not None:
        return True
    with contextlib.suppress(OSError, ValueError):
        mode = os.stat(path).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)
    return False


def is_stdout(path: AnyPath) -> bool:
    """Whether a path names this process's standard output."""
    return _descriptor(path) == 1


def _descriptor(path: AnyPath) -> int | None:
    """The number of the open descriptor that ``/dev/stdout``, ``/dev/fd/63`` or a link to such names."""
    place = os.path.abspath(path)
    for _ in range(40):  # as many links as Linux follows
        folder, name = os.path.split(place)
        if name.isdecimal() and (folder == "/dev/fd" or re.fullmatch(r"/proc/(self|\d+)(/task/\d+)?/fd", folder)):
            if folder.startswith("/proc/") and folder.split("/")[2] not in ("self", str(os.getpid())):
                return None
            with contextlib.suppress(OSError):
                os.fstat(int(name))
                return int(name)
            return None
        if not os.path.islink(place):
            return None
        place = os.path.normpath(os.path.join(os.path.realpath(folder), os.readlink(place)))
    return None


@contextmanager
def _stream(path: AnyPath) -> Iterator[BinaryIO]:
    """A file whose content is sent to the pipe or device if the block succeeds; writers may seek in it."""
    with tempfile.SpooledTemporaryFile(max_size=_PIPED_BYTES) as spool:
        yield spool  # type: ignore[misc]  # it has all that BinaryIO has
        spool.seek(0)
        descriptor = _descriptor(path)
        if descriptor == 1:
            sys.stdout.flush()  # printed text comes first
        opened = os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0)) if descriptor is None else os.dup(descriptor)
        with os.fdopen(opened, "wb") as target:
            shutil.copyfileobj(spool, target)


# What may be replaced


@dataclass(frozen=True)
class Replacing:
    """Checks before the work begins, without touching anything, what a command may replace.

    A file may be written where there is none or an empty one; pipes and devices may be written to. A folder, a disk,
    a socket and an input are never replaced.

    Attributes:
        inputs: files and folders that the command reads; names of data sets are ignored.
        overwrite: whether the user asked to replace existing files.
        is_default: whether the command chose the path itself: then its own earlier output may be replaced.
    """

    inputs: tuple[AnyPath, ...] = ()
    overwrite: bool = False
    is_default: bool = False

    def check(self, path: AnyPath, written: Collection[str], *, follow: bool = True, in_place: bool = False) -> None:
        """Check that a file may be written.

        Args:
            written: the suffixes of what is written: see `check_suffix`.
            follow: for a file that the user named: follow links, and accept pipes and devices.
            in_place: whether the file is changed, not replaced: then it must be a regular file with one name.

        Raises:
            OutputError: it would destroy an existing file, or its name says that it is of another format.
            OSError: its folder cannot be written, or it is a folder.
        """
        if not is_stream(path):
            check_suffix(path, written)
        target = Path(os.path.realpath(path) if follow else path)
        if in_place and target.is_file() and target.stat().st_nlink > 1:
            raise OutputError(f"{path}: has several names (hard links), and is changed in place. Choose another name.")
        if in_place and not target.parent.exists():
            self.check_in(target.parent, ())
        elif in_place or not follow or not is_stream(path):
            self._check(target, os.fspath(path))

    def check_in(self, folder: AnyPath, names: Iterable[str]) -> None:
        """Check that files of these names may be written into a folder, which need not exist yet.

        Raises:
            OutputError: a file would destroy an existing one, or is a link; the folder is an input or no folder, or
                is to be made by a name that only a file has.
            OSError: the folder cannot be written.
        """
        place = Path(folder)
        try:
            status = os.stat(place)
        except FileNotFoundError:
            if place.is_symlink():
                raise OutputError(f"{place}: is a link to nowhere. Choose another name.") from None
            if not self.is_default:  # that of table.csv may be evaluation-table.csv
                check_folder_name(place)
            _check_writable(next(each for each in Path(os.path.abspath(place)).parents if each.exists()), place)
            return
        if not stat.S_ISDIR(status.st_mode):
            raise OutputError(f"{place}: is {_kind(status)}, where a folder is needed. Choose another name.")
        if any(is_same(status, each) for each in self.inputs) or self._is_inside_input(place):
            raise OutputError(f"{place}: is an input of this command. Choose another folder to write to.")
        _check_writable(place, place)
        for name in names:
            self._check(place / name, os.fspath(place / name))

    def _is_inside_input(self, folder: Path) -> bool:
        """Whether a folder lies in an input and holds data: with our files in it, it would no longer be read."""
        real = Path(os.path.realpath(folder))
        if not any(os.path.isdir(each) and real.is_relative_to(os.path.realpath(each)) for each in self.inputs):
            return False
        with os.scandir(folder) as entries:
            there = {entry.name: entry.is_dir() for entry in entries}
        if is_output_folder(there):
            return False
        return not all(
            is_output_folder(os.listdir(folder / name)) if is_folder else is_left_behind(name) or is_ours(folder / name)
            for name, is_folder in there.items()
        )

    def _check(self, target: Path, named: str) -> None:
        try:
            status = os.lstat(target)
        except FileNotFoundError:
            try:
                os.stat(target.parent)
            except OSError as error:
                error.filename = named
                raise
            _check_writable(target.parent, named)
            return
        _refuse_kind(status, named)
        _check_writable(target.parent, named)
        if _is_input(target, status, self.inputs):
            raise OutputError(f"{named}: is an input of this command, and is never replaced. Choose another name.")
        if self.overwrite or not status.st_size or (self.is_default and is_ours(target)):
            return
        foreign = ", and GlyphNet did not write it" if self.is_default else ""
        raise OutputError(f"{named}: is there already{foreign}. Choose another place by --out, or pass --overwrite.")


def _refuse_kind(status: os.stat_result, named: str) -> None:
    """Refuse everything but a regular file."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), named)
    if stat.S_ISLNK(status.st_mode):
        raise OutputError(f"{named}{_LINK}")
    if not stat.S_ISREG(status.st_mode):
        raise OutputError(f"{named}: is {_kind(status)}, and is never replaced. Choose another name.")


def _check_writable(folder: Path, named: AnyPath) -> None:
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        read_only = os.statvfs(folder).f_flag & os.ST_RDONLY if hasattr(os, "statvfs") else False
        number = errno.EROFS if read_only else errno.EACCES
        raise OSError(number, os.strerror(number), os.fspath(named))


def is_same(status: os.stat_result, path: AnyPath) -> bool:
    """Whether a status is that of the file ``path``."""
    with contextlib.suppress(OSError, ValueError):  # no such file, or a NUL in its name
        return os.path.samestat(status, os.stat(path))
    return False


def _is_input(target: Path, status: os.stat_result, inputs: Iterable[AnyPath]) -> bool:
    """Whether a file is one of the inputs, by any name, or lies in one of them and is not our own output."""
    for each in inputs:
        if is_same(status, each):
            return True
        if os.path.isdir(each):
            if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(each)) and not is_ours(target):
                return True
            if status.st_nlink > 1 and any(
                is_same(status, os.path.join(base, name)) for base, _, names in os.walk(each) for name in names
            ):
                return True
    return False


_HEAD, _TAIL = 4096, 65536  # bytes of a file that may hold its mark
_MARKS = {
    ".html": re.compile(rb'<meta name="generator" content="GlyphNet'),
    ".png": re.compile(rb"tEXtSoftware\0GlyphNet"),
    ".onnx": re.compile(rb"\x12\x08GlyphNet"),
    ".pt2": re.compile(rb"/extra/glyphnet\.json"),
    ".safetensors": re.compile(rb'\A.{8}\{"__metadata__":\{"sha256":"[0-9a-f]{64}","glyphnet":', re.DOTALL),
    ".yaml": re.compile(rb"\Adata:.*?\nnetwork:\n  kind: ", re.DOTALL),
    ".json": re.compile(
        rb'\A\{\n  "(data": .*\n  "(n|images|a)": |lab": .*\n  "made": |method": |seeds": |recipe": |budget_seconds": )'
        rb'|\A\{"model": .*, "predictions": \['
    ),
    ".md": re.compile(rb"\A---\nlibrary_name: glyphnet\n"),
    ".jsonl": re.compile(rb'\A\{"event": "start", "run": '),
    ".csv": re.compile(
        rb"\A(epoch,loss,accuracy,|file,true,predicted|file,label,|part,file,given,suggested,score,decision|"
        rb"trial,ending,|seed,|kind,level,similarity)"
    ),
}
"""Suffix → the mark in the first or the last bytes of our own files of that kind."""


def is_ours(path: AnyPath) -> bool:
    """Whether GlyphNet wrote a file, by its content. A link is nobody's."""
    mark = _MARKS.get(Path(path).suffix.lower())
    if mark is None:
        return False
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | SAFE | NO_FOLLOW), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return False
            head = file.read(_HEAD)
            file.seek(max(0, status.st_size - _TAIL))
            return bool(mark.search(head) or mark.search(file.read(_TAIL)))
    except OSError:
        return False


# Files


@contextmanager
def atomic_write(path: AnyPath, *, follow: bool = False) -> Iterator[BinaryIO]:
    """Open a binary file that replaces ``path`` only when it is complete.

    The bytes go to a temporary name in the same folder; at the end of the ``with`` block they are flushed and
    fsynced, the name is replaced in one step and the folder is fsynced. A reader of ``path``, at any time and after any
    crash, finds the whole old content or the whole new one. If the block raises, the old file stays and nothing is left
    behind. An existing file keeps its mode.

    Args:
        path: only a regular file is replaced.
        follow: for a file that the user named: follow a link, and write to an existing pipe or device.

    Raises:
        OutputError: the path is a link, a pipe or a device.
        OSError: the folder does not exist or cannot be written, or the disk is full. It names ``path``.
    """
    if follow and is_stream(path):
        with _stream(path) as file:
            yield file
        return
    target = Path(os.path.realpath(path) if follow else path)
    temporary = ""
    try:
        mode = None
        with contextlib.suppress(FileNotFoundError):
            status = os.lstat(target)
            _refuse_kind(status, os.fspath(path))
            mode = stat.S_IMODE(status.st_mode)
        if follow:
            remove_unfinished(target.parent)
        file, temporary = new_temporary(target.parent)
        with file:
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if WINDOWS:
                file.close()
            _replace(temporary, target)
    except BaseException as error:
        if temporary:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        # The error of a full disk names no file, or the temporary one.
        if isinstance(error, OSError) and (error.filename is None or _UNFINISHED in str(error.filename)):
            error.filename, error.filename2 = os.fspath(path), None
        raise
    fsync_folder(target.parent)


def atomic_write_text(path: AnyPath, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, all or nothing: see `atomic_write`.

    A name that is no valid Unicode is written as ``\\udce9``: JSON and YAML read the same name.
    """
    with atomic_write(path) as file:
        file.write(text.encode(errors="backslashreplace"))


def atomic_write_json(path: AnyPath, value: object) -> None:
    """Write plain values without NaN and infinity as JSON, all or nothing: see `atomic_write_text`."""
    atomic_write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2) + "\n")


def atomic_write_csv(
    path: AnyPath, rows: Iterable[Iterable[object]], *, follow: bool = False, line_end: str = "\n"
) -> None:
    """Write rows as CSV in UTF-8: see `atomic_write`. A file name in them that is no valid Unicode keeps its bytes."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end).writerows(rows)
    with atomic_write(path, follow=follow) as file:
        file.write(text.getvalue().encode(errors="surrogateescape"))


def new_file(path: AnyPath) -> BinaryIO:
    """Open a new file for writing, in a folder of our own; an existing name is an error."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFE | NO_FOLLOW
    return os.fdopen(os.open(path, flags, 0o666), "wb")


def nameless_file(folder: AnyPath | None = None) -> IO[bytes]:
    """A file without a name, to write and to read; closing removes it."""
    return tempfile.TemporaryFile(dir=folder)


def move(source: AnyPath, target: AnyPath) -> None:
    """Give a finished file of ours its name, in one step; only a regular file is replaced."""
    with contextlib.suppress(FileNotFoundError):
        _refuse_kind(os.lstat(target), os.fspath(target))
    _replace(source, target)
    fsync_folder(Path(target).parent)


def _replace(source: AnyPath, target: AnyPath) -> None:
    """Rename over a file; Windows refuses while another process reads that, so there it is tried for a second."""
    for _ in range(50 * WINDOWS):
        with contextlib.suppress(PermissionError):
            return os.replace(source, target)
        time.sleep(0.02)
    return os.replace(source, target)


def remove(*paths: AnyPath) -> None:
    """Remove files of ours, if they exist."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


_UNFINISHED = ".unfinished-"
_UNFINISHED_NAME = re.compile(r"\.unfinished-[0-9a-f]{16}")


def new_temporary(folder: Path) -> tuple[BinaryIO, str]:
    """A new file whose name shows that it is ours, as part of it comes from the inode.

    Its lock, taken before the file gets that name, shows that the writer lives.
    """
    token = secrets.token_hex(4)
    first = os.path.join(folder, f"{_UNFINISHED}{secrets.token_hex(8)}")
    file = os.fdopen(os.open(first, os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFE, 0o666), "w+b")
    name = os.path.join(folder, f"{_UNFINISHED}{token}{_bound(token, file.fileno())}")
    try:
        if WINDOWS:
            file.close()
            os.rename(first, name)
            file = os.fdopen(os.open(name, os.O_RDWR | SAFE), "w+b")
            try_lock(file.fileno())
        else:
            try_lock(file.fileno())
            os.rename(first, name)
    except BaseException:
        file.close()
        remove(first)
        raise
    return file, name


def _bound(token: str, descriptor: int) -> str:
    return hashlib.sha256(f"{token} {os.fstat(descriptor).st_ino}".encode()).hexdigest()[:8]


def is_left_behind(name: str) -> bool:
    """Whether a name is that of a lock or an unfinished file of ours, which `FolderLock` removes."""
    return name == LOCK or bool(_UNFINISHED_NAME.fullmatch(name))


def remove_unfinished(folder: Path) -> None:
    """Remove our temporary files in ``folder`` whose writers are dead: the living hold a lock on theirs."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _UNFINISHED_NAME.fullmatch(entry.name)]
        for name in names:
            path, token = os.path.join(folder, name), name[len(_UNFINISHED) :][:8]
            with contextlib.suppress(OSError):
                descriptor = os.open(path, os.O_RDWR | SAFE | NO_FOLLOW)
                try:
                    status = os.fstat(descriptor)
                    is_one = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
                    is_dead = is_one and name.endswith(token + _bound(token, descriptor)) and try_lock(descriptor)
                    if is_dead and not WINDOWS:
                        os.unlink(path)
                finally:
                    os.close(descriptor)
                if is_dead and WINDOWS and time.time() - status.st_mtime > _STALE:
                    os.unlink(path)


# Folders


def make_folder(path: AnyPath) -> None:
    """Make a folder and its parents where they are missing, and make them survive a power cut."""
    missing: list[Path] = []
    for folder in (Path(path), *Path(path).parents):
        if folder.exists():
            break
        missing.append(folder)
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        fsync_folder(folder.parent)
    if not os.path.isdir(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path))


def subfolder(folder: AnyPath, name: str) -> Path:
    """A folder of ours inside another one; neither need exist yet.

    Raises:
        OutputError: it is a link: its content could lie anywhere.
    """
    path = Path(folder) / name
    if path.is_symlink():
        raise OutputError(f"{path}{_LINK}")
    return path


def remove_empty_folder(path: AnyPath) -> None:
    """Remove a folder if nothing is in it."""
    with contextlib.suppress(OSError):
        os.rmdir(path)


def remove_folder(path: AnyPath) -> None:
    """Remove a folder of ours with its content; links in it are removed, not followed."""
    shutil.rmtree(path)


def fsync_folder(folder: Path) -> None:
    """Make a new name in ``folder`` survive a power cut, unless we may not read the folder."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file, unless another descriptor has it."""
    from filelock import lock_descriptor  # 40 ms, which `glyphnet --help` has not

    return lock_descriptor(descriptor, blocking=False)
