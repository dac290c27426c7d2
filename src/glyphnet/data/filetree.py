"""The files of a folder or of an archive, by name, and their content.

An archive (zip, tar, tar.gz, tar.bz2, tar.xz) is read without unpacking it to disk, so that no member can land outside
a folder. Every size is checked before memory is allocated.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import posixpath
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import BadFileError, DataError
from ..filekinds import PICTURE_SUFFIXES, SMALLEST_HEAD, is_picture
from ..files import open_input
from ..outputs import is_output_folder
from ..units import first_line
from .decode import MAX_FILE_BYTES, read_bytes

# What file managers and archivers leave behind. Names with a leading dot are left out as well.
JUNK = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin"}

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MAX_MEMBERS = 2_000_000
MAX_UNPACKED = 2 << 30  # bytes of a compressed tar, which can only be read from its start: held in memory
MAX_RATIO = 1032  # deflate turns at most so many bytes into one (zlib's technical notes)
_LARGE = 1 << 20  # bytes; the last larger member stays in memory: it is recognised first and then read
PIECE = 1 << 20  # bytes to read at a time: small beside memory, large beside Python's overhead
_PACKED_PIECE = 1 << 16  # bytes of gzip to read at a time: what does not fit into a piece is copied for the next
_GZIP_MAGIC = b"\x1f\x8b"
_AGAIN = "Copy or download the file again."


@dataclass(frozen=True, eq=False)
class FileTree:
    """The files below a folder or in an archive; no picture is opened.

    Attributes:
        names: sorted paths of the files from ``root``, with forward slashes, without debris and GlyphNet's own output.
    """

    root: Path  # the folder or the archive
    names: tuple[str, ...]
    faults: Mapping[str, str]  # what is wrong with those that cannot be read: a broken link, a pipe
    folders: tuple[str, ...] = ()  # the folders below ``root`` that hold no file at all
    outputs: tuple[str, ...] = ()  # the folders that hold GlyphNet's own output and were skipped
    read: Callable[[str], bytes] | None = None  # returns the content of a member of an archive; None for a folder
    state: str = ""  # changes with the archive; "" for a folder
    outside: tuple[str, ...] = ()  # members of an archive whose names lead outside its folder; they are not read

    def content(self, name: str, limit: int = MAX_FILE_BYTES) -> bytes:
        """The content of a file, at most ``limit`` bytes on disk; raises BadFileError if it cannot be read."""
        return read_bytes(self.root / name, limit) if self.read is None else self.read(name)

    def file(self, name: str) -> AnyFile:
        """A file as its readers take it."""
        return self.root / name if self.read is None else ArchivePath(self, name)

    @functools.cached_property
    def below(self) -> Mapping[str, Mapping[str, bool]]:
        """Folder ("" for the root) → what lies directly in it → whether that is a folder."""
        found: dict[str, dict[str, bool]] = {"": {}}
        for name in self.names:
            folder, _, base = name.rpartition("/")
            found.setdefault(folder, {})[base] = False
            while folder:
                above, _, base = folder.rpartition("/")
                inside = found.setdefault(above, {})
                if base in inside:
                    break
                inside[base] = True
                folder = above
        return found

    def pictures(self) -> tuple[list[str], Counter[str]]:
        """The names of the pictures, and how many other files there are of each suffix: see `is_picture`."""
        found, others = [], Counter[str]()
        for name in self.names:
            known = name[name.rfind(".") :].lower() in PICTURE_SUFFIXES  # nearly all: the quickest test first
            if known or name in self.faults or is_picture(name, self._head):
                found.append(name)
            else:
                bare = name.removesuffix(".gz")  # .png.gz says more than .gz
                others[posixpath.splitext(bare)[1].lower() + name[len(bare) :] or posixpath.basename(name)] += 1
        return found, others

    def _head(self, name: str) -> bytes:
        return self.read(name)[:SMALLEST_HEAD] if self.read is not None else head_of(self.root / name)


def file_alone(path: Path) -> FileTree:
    """A single file, in the folder that it lies in."""
    return FileTree(path.parent, (path.name,), {})


class ArchivePath:
    """A file or folder in an archive, with as much of `Path` as the readers of array files use.

    Args:
        tree: the archive.
        inside: its name there; "" for the archive itself, as a folder.
    """

    def __init__(self, tree: FileTree, inside: str = "") -> None:
        self._tree, self.inside = tree, inside
        self.name = posixpath.basename(inside) or tree.root.name
        self.stem, self.suffix = posixpath.splitext(self.name)
        self.state = f"{tree.state}#{inside}"  # changes with the archive

    def __fspath__(self) -> str:
        """What messages call it; no path that can be opened."""
        return f"{self._tree.root}#{self.inside}" if self.inside else f"{self._tree.root}"

    __str__ = __fspath__

    def __lt__(self, other: ArchivePath) -> bool:
        return self.inside < other.inside

    def __truediv__(self, name: str) -> ArchivePath:
        return ArchivePath(self._tree, posixpath.normpath(posixpath.join(self.inside, name)))

    @property
    def parent(self) -> ArchivePath:
        """The folder that it lies in."""
        return ArchivePath(self._tree, posixpath.dirname(self.inside))

    def is_file(self) -> bool:
        """Whether it is a file."""
        return bool(self.inside) and not self._tree.below.get(posixpath.dirname(self.inside), {}).get(self.name, True)

    def is_dir(self) -> bool:
        """Whether there are files below it."""
        return self.inside in self._tree.below

    def children(self) -> Mapping[str, bool]:
        """What lies directly in this folder → whether it is a folder."""
        return self._tree.below.get(self.inside, {})

    def iterdir(self) -> Iterator[ArchivePath]:
        """What lies directly in this folder, in the order of the names."""
        return (self / name for name in sorted(self.children()))

    def content(self) -> bytes:
        """Its content; raises BadFileError if it cannot be read or is too large."""
        return self._tree.content(self.inside)


AnyFile: TypeAlias = Path | ArchivePath
"""A file or folder, on disk or in an archive."""

_File: TypeAlias = io.BytesIO | io.BufferedReader


def as_file(path: str | os.PathLike[str]) -> AnyFile:
    """A path as a `Path`, or the place in an archive that it is."""
    return path if isinstance(path, ArchivePath) else Path(path)


def opened(path: AnyFile) -> _File:
    """A file on disk or in an archive, open for reading: see `files.open_input`."""
    return io.BytesIO(path.content()) if isinstance(path, ArchivePath) else open_input(path)


def openable(path: AnyFile) -> Any:
    """What a library opens: the path of a regular file on disk, else its content."""
    file = opened(path)
    if isinstance(path, ArchivePath):
        return file
    file.close()
    return path


def byte_count(path: AnyFile) -> int:
    """The size of a file's content."""
    return len(path.content()) if isinstance(path, ArchivePath) else path.stat().st_size


def state_of(path: AnyFile) -> str:
    """Text that changes when a file does; no program can set back the time of its last status change."""
    if isinstance(path, ArchivePath):
        return path.state
    status = path.stat()
    size_and_times = status.st_size, status.st_mtime_ns, status.st_ctime_ns
    return repr((os.path.realpath(path), *size_and_times, status.st_ino))


def head_of(path: str | os.PathLike[str]) -> bytes:
    """The first 512 bytes of a regular file; b"" for a pipe, which might never answer."""
    if not os.path.isfile(path):
        return b""
    with open_input(path) as file:
        return file.read(SMALLEST_HEAD)


def count_in_words(others: Counter[str]) -> str:
    """ "12 .xml, 1 .txt and 3 others": the commonest suffixes of files with their counts."""
    shown = others.most_common(3)
    rest = sum(others.values()) - sum(count for _, count in shown)
    return ", ".join(f"{count:,} {suffix}" for suffix, count in shown) + (f" and {rest:,} more" if rest else "")


# gzip


def is_gzipped(path: AnyFile) -> bool:
    """Whether the file begins as gzip does; not by its name, because browsers unpack and keep ``.gz``."""
    with opened(path) as file:
        return file.read(2) == _GZIP_MAGIC


@contextlib.contextmanager
def unpacked(path: AnyFile) -> Iterator[_File | _Gunzip]:
    """A file, open for reading, gunzipped where it is gzip.

    Reading gzip that is truncated, damaged, or followed by something else raises BadFileError.
    """
    with opened(path) as file, _gunzipping(file, path) as content:
        yield content


def gunzipped(content: bytes, path: str | os.PathLike[str], limit: int) -> bytes:
    """Gzip in memory, unpacked; raises BadFileError as `unpacked`, and for more than ``limit`` bytes."""
    with _gunzipping(io.BytesIO(content), path) as file:
        plain = file.read(limit + 1)
    if len(plain) > limit:
        raise BadFileError(path, f"unpacks to more than {limit:,} bytes", "Divide it.")
    return plain


@contextlib.contextmanager
def _gunzipping(file: _File, path: str | os.PathLike[str]) -> Iterator[_File | _Gunzip]:
    is_packed = file.read(2) == _GZIP_MAGIC
    file.seek(0)
    try:
        yield _Gunzip(file) if is_packed else file
    except EOFError:
        raise BadFileError(path, "the gzip data end too early: the file is truncated", _AGAIN) from None
    except zlib.error as error:
        junk = "incorrect header check" in str(error)  # of a second member
        reason = "followed by bytes that are not gzip" if junk else f"damaged ({error})"
        raise BadFileError(path, f"the gzip data are {reason}", _AGAIN) from None


class _Gunzip:
    """Reads a gzip file unpacked, in four fifths of the time of `gzip.GzipFile`.

    Raises:
        EOFError, zlib.error: the file is truncated; damaged, or followed by something else.
    """

    def __init__(self, file: _File) -> None:
        self._file, self._packed = file, b""
        self._inflate = zlib.decompressobj(wbits=31)  # 31: gzip's own header and checksum are checked

    def read(self, size: int) -> bytes:
        """``size`` bytes, fewer only at the end."""
        pieces = []
        while size > 0 and (piece := self.read1(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def read1(self, most: int) -> bytes:
        """At most so many bytes, more than 0; none only at the end."""
        while True:
            packed = self._packed or self._file.read(_PACKED_PIECE)
            if self._inflate.eof:
                if not packed:
                    return b""
                self._inflate = zlib.decompressobj(wbits=31)  # gzip allows several members, one after another
            piece = self._inflate.decompress(packed, most)
            self._packed = self._inflate.unconsumed_tail or self._inflate.unused_data
            if piece:
                return piece
            if not packed and not self._inflate.eof:
                raise EOFError


# Folders


def folder_tree(root: Path) -> FileTree:
    """The files below a folder. Links are followed, except to a folder that contains the link.

    A folder that cannot be listed is a DataError.
    """
    names: list[str] = []
    faults: dict[str, str] = {}
    empty: list[str] = []
    outputs: list[str] = []
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    linked: set[tuple[str, tuple[int, int]]] = set()
    while waiting:
        folder, above = waiting.pop()
        identity, entries = _scan(root / folder if folder else root)
        if identity in above:
            continue
        if folder and is_output_folder(entry.name for entry in entries):
            outputs.append(folder)
            continue
        wanted = [entry for entry in entries if is_wanted(entry.name)]
        if folder and not wanted:
            empty.append(folder)
        start = f"{folder}/" if folder else ""
        for entry in wanted:
            name = start + entry.name
            if _says(entry.is_file, follow_symlinks=False):  # nearly all: the quickest test first
                names.append(name)
            elif is_folder(entry):
                if entry.is_symlink():  # however many links lead to it, it is read once below each top folder
                    status = entry.stat()
                    target = (name.split("/", 1)[0], (status.st_dev, status.st_ino))
                    if target in linked:
                        continue
                    linked.add(target)
                waiting.append((name, above | {identity}))
            elif folder or _says(entry.is_file) is not None:
                names.append(name)
                if fault := _fault(entry):
                    faults[name] = fault
    return FileTree(root, tuple(sorted(names)), faults, tuple(sorted(empty)), tuple(sorted(outputs)))


def is_wanted(name: str) -> bool:
    """Whether a file or folder of this name is data: neither hidden nor debris of file managers and archivers."""
    return name[:1] != "." and name.lower() not in JUNK


def _scan(folder: Path) -> tuple[tuple[int, int], list[os.DirEntry[str]]]:
    """The identity of a folder, and its entries."""
    try:
        status = os.stat(folder)
        with os.scandir(folder) as entries:
            return (status.st_dev, status.st_ino), list(entries)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}). Check its permissions.") from error


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; a link that leads to itself is none."""
    return bool(_says(entry.is_dir))


def _says(is_so: Callable[..., bool], **how: bool) -> bool | None:
    """What an entry says of itself; None for a link that leads to itself."""
    try:
        return is_so(**how)
    except OSError:
        return None


def _fault(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_symlink() and not os.path.exists(entry.path):
            return f"a broken link to {os.readlink(entry.path)}"
        return "" if entry.is_file() else "not a regular file"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


# Archives


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive, by its content; .npz and office files do not count."""
    if not path.is_file() or path.suffix.lower() in (".npz", ".docx", ".xlsx", ".odt", ".pt", ".pth", ".jar"):
        return False
    head = head_of(path)
    if head[:4] in (b"PK\3\4", b"PK\5\6") or head[257:262] == b"ustar":
        return True
    return _is_packed(head) and path.name.lower().endswith(ARCHIVE_SUFFIXES)


def _is_packed(head: bytes) -> bool:
    return head.startswith((_GZIP_MAGIC, b"BZh", b"\xfd7zXZ\0"))


def archive_tree(path: Path) -> FileTree:
    """The members of a zip or tar archive that are files.

    One that is damaged, has too many members, two of one name, or unpacks to too much is a DataError.
    """
    head = head_of(path)
    members: dict[str, Callable[[], bytes]] = {}
    outside: list[str] = []
    try:
        found = _zip_members(path) if head[:2] == b"PK" else _tar_members(path, _is_packed(head))
        for given, read in found:
            name = posixpath.normpath(given.replace("\\", "/").lstrip("/"))
            if name.startswith("../"):
                outside.append(given)
                continue
            if not all(is_wanted(part) for part in name.split("/")):
                continue
            if name in members:
                raise DataError(f"{path}: two members are called {name!r}. Make the archive again.")
            if len(members) >= MAX_MEMBERS:
                raise DataError(
                    f"{path}: more than the limit of {MAX_MEMBERS:,} files. Unpack it, and give the folder."
                )
            members[name] = read
    except DataError:
        raise
    except Exception as error:  # Python's own readers fail in many ways on damage
        raise DataError(f"{path}: a damaged archive ({first_line(error)}). Download or make it again.") from error
    tree = FileTree(
        path, tuple(sorted(members)), {}, read=_last_kept(members), state=state_of(path), outside=tuple(outside)
    )
    outputs = tuple(sorted(folder for folder, inside in tree.below.items() if folder and is_output_folder(inside)))
    if not outputs:
        return tree
    inside = tuple(f"{folder}/" for folder in outputs)
    names = tuple(name for name in tree.names if not name.startswith(inside))
    return replace(tree, names=names, outputs=outputs)


def _last_kept(members: Mapping[str, Callable[[], bytes]]) -> Callable[[str], bytes]:
    """Reads members; the last large one stays in memory."""
    kept: dict[str, bytes] = {}

    def read(name: str) -> bytes:
        content = kept.get(name)
        if content is None:
            content = members[name]()
            if len(content) > _LARGE:
                kept.clear()
                kept[name] = content
        return content

    return read


def _zip_members(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    archive = zipfile.ZipFile(openable(path))
    for info in archive.infolist():
        if not info.is_dir():
            yield info.filename, functools.partial(_read_zipped, archive, path, info)


def _read_zipped(archive: zipfile.ZipFile, path: Path, info: zipfile.ZipInfo) -> bytes:
    where = f"{path}#{info.filename}"
    if info.flag_bits & 1:
        raise BadFileError(where, "encrypted", "Unpack the archive with its password, and give the folder.")
    if info.file_size > min(MAX_FILE_BYTES, info.compress_size * MAX_RATIO + 64):
        raise BadFileError(where, f"unpacks to {info.file_size:,} bytes, more than is allowed", "Remove it.")
    try:
        with archive.open(info) as file:
            content = file.read(info.file_size + 1)
    except Exception as error:  # of many kinds, as above
        raise BadFileError(where, f"damaged ({first_line(error)})", "Make the archive again.") from error
    if len(content) != info.file_size:
        raise BadFileError(where, "not of the size that the archive announces", "Make the archive again.")
    return content


def _tar_members(path: Path, is_packed: bool) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Members of a plain tar are read from their places in the file; those of a compressed one are held in memory."""
    total = 0
    with tarfile.open(openable(path), "r|*" if is_packed else "r:") as archive:
        for info in archive:
            total += info.size
            if is_packed and total > MAX_UNPACKED:
                raise DataError(
                    f"{path}: unpacks to more than the limit of {MAX_UNPACKED >> 30} GiB for memory. "
                    "Unpack it (tar xf), and give the folder."
                )
            if not info.isreg() or info.issparse():
                continue
            if not is_packed:
                yield info.name, functools.partial(_read_tarred, path, info)
            elif (source := archive.extractfile(info)) is not None:
                yield info.name, functools.partial(bytes, source.read())


def _read_tarred(path: Path, info: tarfile.TarInfo) -> bytes:
    if info.size > MAX_FILE_BYTES:
        raise BadFileError(f"{path}#{info.name}", f"{info.size:,} bytes, more than is allowed", "Remove it.")
    with open_input(path) as file:
        file.seek(info.offset_data)
        content = file.read(info.size)
    if len(content) != info.size:
        raise BadFileError(f"{path}#{info.name}", "cut short", "Make the archive again.")
    return content


# Prediction


def files_in(paths: Iterable[str]) -> Iterator[str | BadFileError]:
    """The files in ``paths``; folders give all files in them, at any depth, in the order of their names.

    In folders, hidden files, debris and GlyphNet's own output are skipped, as in training; links are followed, each
    folder once. A path that is not a folder is given as it is, whether it exists or not. A folder that is empty or
    cannot be listed gives an error in its place. Only the names in the folders above a file are in memory.
    """
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        empty = True
        for file in _walk(path):
            empty = False
            yield file
        if empty:
            yield BadFileError(path, "there is no file in this folder", "Check the path.")


def _walk(folder: str) -> Iterator[str | BadFileError]:
    seen: set[tuple[int, int]] = set()  # folders: a link may lead back to where it lies
    levels: list[Iterator[str]] = [iter((folder,))]
    while levels:
        path = next(levels[-1], None)
        if path is None:
            levels.pop()
        elif not os.path.isdir(path):
            yield path
        else:
            try:
                status = os.stat(path)
                names = sorted(os.listdir(path))
            except OSError as error:
                yield BadFileError(path, f"cannot be listed ({error.strerror})", "Change its permissions.")
                continue
            place = (status.st_dev, status.st_ino)
            if place in seen or (path != folder and is_output_folder(names)):
                continue
            seen.add(place)
            levels.append(iter([os.path.join(path, name) for name in names if is_wanted(name)]))
