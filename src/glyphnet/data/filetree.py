"""The files of a folder or of an archive by their names, before anyone asks what they mean.

An archive (zip, tar, tar.gz, tar.bz2, tar.xz) is read where it lies: nothing is written to disk, so no member can
land outside a folder. Every size is checked before memory is taken for it.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import io
import os
import posixpath
import stat
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import BadFileError, DataError
from ..files import is_output_folder, open_input
from ..units import first_line
from .decode import MAX_FILE_BYTES
from .gzipped import MAX_RATIO, opened

# What file managers and archivers leave behind. Names with a leading dot are left out as well.
JUNK = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin"}

PICTURE_SUFFIXES = frozenset({
    ".apng", ".avif", ".bmp", ".dds", ".dib", ".gif", ".ico", ".icns", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg",
    ".jpg", ".jpf", ".jpx", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".ras", ".rgb", ".sgi", ".tga",
    ".tif", ".tiff", ".webp", ".xbm", ".xpm",
})  # fmt: skip
# Files that lie beside pictures and are none. A file of any other name counts as a picture unless it is text.
_OTHER_SUFFIXES = frozenset({
    ".7z", ".arrow", ".bak", ".bat", ".bz2", ".cfg", ".conf", ".csv", ".data", ".db", ".doc", ".docx", ".exe", ".gz",
    ".h5", ".hdf5", ".htm", ".html", ".ini", ".ipynb", ".joblib", ".js", ".json", ".jsonl", ".lock", ".log", ".m",
    ".mat", ".md", ".mov", ".mp4", ".npy", ".npz", ".odt", ".onnx", ".parquet", ".parts", ".pdf", ".pickle", ".pkl",
    ".pt", ".pth", ".py", ".pyc", ".rar", ".rst", ".safetensors", ".sh", ".sqlite", ".svg", ".tar", ".tex",
    ".tfrecord", ".tgz", ".toml", ".torrent", ".tsv", ".txt", ".url", ".wav", ".xls", ".xlsx", ".xml", ".xz", ".yaml",
    ".yml", ".zip",
})  # fmt: skip

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MAX_MEMBERS = 2_000_000
_LARGE = 1 << 20  # bytes; larger members are unpacked once where they are read several times in turn
MAX_UNPACKED = 2 << 30  # bytes of a compressed tar, which can only be read from its start: held in memory


@dataclass(frozen=True, eq=False)
class FileTree:
    """The files below a folder or in an archive; no picture is opened.

    Attributes:
        root: the folder or the archive.
        names: paths of the files from ``root`` on, with forward slashes, sorted; debris and GlyphNet's own output
            are left out.
        faults: what is wrong with those that cannot be read: a broken link, a pipe.
        folders: the folders below ``root`` that hold no file at all.
        outputs: the folders that hold GlyphNet's own output and were skipped.
        read: returns the content of a member of an archive; None for a folder.
        state: changes with the archive; "" for a folder.
    """

    root: Path
    names: tuple[str, ...]
    faults: Mapping[str, str]
    folders: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    read: Callable[[str], bytes] | None = None
    state: str = ""

    def content(self, name: str) -> bytes:
        """What is in a file.

        Raises:
            BadFileError: it cannot be read.
        """
        if self.read is not None:
            return self.read(name)
        return read_file(self.root / name)

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
        return self.read(name)[:512] if self.read is not None else head_of(self.root / name)


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

    def __fspath__(self) -> str:
        """What messages call it; no path that can be opened."""
        return f"{self._tree.root}#{self.inside}" if self.inside else f"{self._tree.root}"

    def __str__(self) -> str:
        return self.__fspath__()

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

    def exists(self) -> bool:
        """Whether the archive has it."""
        return self.is_file() or self.is_dir()

    def children(self) -> Mapping[str, bool]:
        """What lies directly in this folder → whether it is a folder."""
        return self._tree.below.get(self.inside, {})

    def iterdir(self) -> Iterator[ArchivePath]:
        """What lies directly in this folder, in the order of the names."""
        return (self / name for name in sorted(self.children()))

    def glob(self, pattern: str) -> Iterator[ArchivePath]:
        """What lies directly in this folder and has a fitting name."""
        return (path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, pattern))

    def open(self) -> io.BytesIO:
        """Its content, open for reading.

        Raises:
            BadFileError: it cannot be read, or is too large.
        """
        return io.BytesIO(self._tree.content(self.inside))

    def byte_count(self) -> int:
        """The size of its content; raises as `open` does."""
        return len(self._tree.content(self.inside))

    def state(self) -> str:
        """Changes with the archive."""
        return f"{self._tree.state}#{self.inside}"


AnyFile: TypeAlias = Path | ArchivePath
"""A file or folder, on disk or in an archive."""


def as_file(path: str | os.PathLike[str]) -> AnyFile:
    """A path as a `Path`, or the place in an archive that it is."""
    return path if isinstance(path, ArchivePath) else Path(path)


def openable(path: AnyFile) -> Any:
    """What a library opens: the path of a regular file on disk, else its content."""
    file = opened(path)
    if isinstance(path, ArchivePath):
        return file
    file.close()
    return path


def byte_count(path: AnyFile) -> int:
    """The size of a file's content."""
    return path.byte_count() if isinstance(path, ArchivePath) else path.stat().st_size


def is_picture(name: str, head: Callable[[str], bytes]) -> bool:
    """Whether a file is taken for a picture, sound or not: by its suffix, else unless it begins as plain text.

    Args:
        name: the file's name.
        head: returns the beginning of a file; called for unknown suffixes only.
    """
    suffix = posixpath.splitext(name)[1].lower()
    if suffix in PICTURE_SUFFIXES:
        return True
    if suffix in _OTHER_SUFFIXES:
        return False
    try:
        beginning = head(name)
        text = beginning[: beginning.rfind(b"\n") + 1 or None].decode()
    except (OSError, BadFileError, UnicodeDecodeError):
        return True
    return not text or not all(char.isprintable() or char in "\r\n\t\f" for char in text)


def head_of(path: str | os.PathLike[str]) -> bytes:
    """The first 512 bytes of a file; none of a pipe, which would wait for ever."""
    if not is_regular(path):
        return b""
    with open_input(path) as file:
        return file.read(512)


def read_file(path: str | os.PathLike[str], limit: int = MAX_FILE_BYTES) -> bytes:
    """The content of a regular file of at most ``limit`` bytes.

    Raises:
        BadFileError: it is larger or cannot be read.
    """
    try:
        size = os.stat(path).st_size
        if size > limit:
            raise BadFileError(path, f"{size:,} bytes, more than the limit of {limit:,}", "Divide it.")
        with open_input(path) as file:
            return file.read()
    except OSError as error:
        raise BadFileError(path, f"cannot be read ({error.strerror})", "Check the path.") from error


def count_in_words(others: Counter[str]) -> str:
    """ "12 .xml, 1 .txt and 3 others": the commonest suffixes of files with their counts."""
    shown = [f"{count:,} {suffix}" for suffix, count in others.most_common(3)]
    rest = sum(others.values()) - sum(count for _, count in others.most_common(3))
    return ", ".join(shown) + (f" and {rest:,} more" if rest else "")


# Folders


def folder_tree(root: Path) -> FileTree:
    """The files below a folder. Links are followed; a link that leads back to a folder it lies in is not.

    Raises:
        DataError: the folder, or one in it, cannot be listed.
    """
    names: list[str] = []
    faults: dict[str, str] = {}
    empty: list[str] = []
    outputs: list[str] = []
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    linked: set[tuple[str, tuple[int, int]]] = set()
    while waiting:
        folder, above = waiting.pop()
        path = root / folder if folder else root
        identity = _identity(path)
        if identity in above:
            continue
        entries = _scan(path)
        if folder and is_output_folder(entry.name for entry in entries):
            outputs.append(folder)
            continue
        wanted = [entry for entry in entries if is_wanted(entry.name)]
        if folder and not wanted:
            empty.append(folder)
        start = f"{folder}/" if folder else ""
        for entry in wanted:
            name = start + entry.name
            if _is_plain_file(entry):  # nearly all: the quickest test first
                names.append(name)
            elif is_folder(entry):
                if entry.is_symlink():  # however many links lead to it, it is read once below each top folder
                    target = (name.split("/", 1)[0], _identity(Path(entry.path)))
                    if target in linked:
                        continue
                    linked.add(target)
                waiting.append((name, above | {identity}))
            elif not folder and _leads_to_itself(entry):
                continue
            else:
                names.append(name)
                if fault := _fault(entry):
                    faults[name] = fault
    return FileTree(root, tuple(sorted(names)), faults, tuple(sorted(empty)), tuple(sorted(outputs)))


def is_wanted(name: str) -> bool:
    """Whether a file or folder of this name is data: neither hidden nor debris of file managers and archivers."""
    return name[:1] != "." and name.lower() not in JUNK


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}). Check its permissions.") from error


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = os.stat(folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}). Check its permissions.") from error
    return status.st_dev, status.st_ino


def _is_plain_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; a link that leads to itself is none."""
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _leads_to_itself(entry: os.DirEntry[str]) -> bool:
    try:
        entry.is_file()
    except OSError:
        return True
    return False


def _fault(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_symlink() and not os.path.exists(entry.path):
            return f"a broken link to {os.readlink(entry.path)}"
        return "" if entry.is_file() else "not a regular file"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


# Archives


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive, by its content; .npz and office files, zips as well, are not meant."""
    if not path.is_file() or path.suffix.lower() in (".npz", ".docx", ".xlsx", ".odt", ".pt", ".pth", ".jar"):
        return False
    with open_input(path) as file:
        head = file.read(512)
    if head[:4] in (b"PK\3\4", b"PK\5\6"):
        return True
    if head[257:262] == b"ustar":
        return True
    packed = head[:2] == b"\x1f\x8b" or head[:3] == b"BZh" or head[:6] == b"\xfd7zXZ\0"
    return packed and path.name.lower().endswith(ARCHIVE_SUFFIXES)


def archive_tree(path: Path) -> FileTree:
    """The members of a zip or tar archive that are files.

    Raises:
        DataError: it is damaged, encrypted, has too many members, two of one name, or unpacks to too much.
    """
    with open_input(path) as file:
        head = file.read(4)
    try:
        members = _zip_members(path) if head[:2] == b"PK" else _tar_members(path, head)
    except DataError:
        raise
    except Exception as error:  # Python's own readers fail in many ways on damage
        raise DataError(f"{path}: a damaged archive ({first_line(error)}). Download or make it again.") from error
    status = path.stat()
    state = repr((status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))
    outputs = _output_folders(members)
    names = sorted(name for name in members if not name.startswith(tuple(f"{folder}/" for folder in outputs)))
    return FileTree(
        path, tuple(names), {}, (), outputs, _last_kept(members), hashlib.sha256(state.encode()).hexdigest()
    )


def _last_kept(members: Mapping[str, Callable[[], bytes]]) -> Callable[[str], bytes]:
    """Reads members; the last large one stays in memory, for what is looked at first and read then."""
    large = functools.lru_cache(maxsize=1)(lambda name: members[name]())
    sizes: dict[str, int] = {}

    def read(name: str) -> bytes:
        if sizes.get(name, 0) > _LARGE:
            return large(name)
        content = members[name]()
        sizes[name] = len(content)
        return content

    return read


def _output_folders(names: Iterable[str]) -> tuple[str, ...]:
    inside: dict[str, set[str]] = {}
    for name in names:
        folder, _, base = name.rpartition("/")
        inside.setdefault(folder, set()).add(base)
    return tuple(sorted(folder for folder, bases in inside.items() if folder and is_output_folder(bases)))


def _add(members: dict[str, Callable[[], bytes]], path: Path, given: str, read: Callable[[], bytes]) -> None:
    name = posixpath.normpath(given.replace("\\", "/")).lstrip("/")
    if name.startswith("../") or not all(is_wanted(part) for part in name.split("/")):
        return  # nothing is written, so a name that leads outside does no harm; it is no data either
    if name in members:
        raise DataError(f"{path}: two members are called {name!r}. Make the archive again.")
    if len(members) >= MAX_MEMBERS:
        raise DataError(f"{path}: more than the limit of {MAX_MEMBERS:,} files. Unpack it, and give the folder.")
    members[name] = read


def _zip_members(path: Path) -> dict[str, Callable[[], bytes]]:
    archive = zipfile.ZipFile(openable(path))
    members: dict[str, Callable[[], bytes]] = {}
    for info in archive.infolist():
        if not info.is_dir():
            _add(members, path, info.filename, _zip_reader(archive, path, info))
    return members


def _zip_reader(archive: zipfile.ZipFile, path: Path, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
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

    return read


def _tar_members(path: Path, head: bytes) -> dict[str, Callable[[], bytes]]:
    """Members of a plain tar are read from their places in the file; those of a compressed one are held in memory."""
    members: dict[str, Callable[[], bytes]] = {}
    packed = head[:2] == b"\x1f\x8b" or head[:3] in (b"BZh", b"\xfd7z")
    if not packed:
        with tarfile.open(openable(path), "r:") as archive:
            for info in archive:
                if info.isreg() and not info.issparse():
                    _add(members, path, info.name, _tar_reader(path, info))
        return members
    total = 0
    with tarfile.open(openable(path), "r|*") as archive:
        for info in archive:
            total += info.size
            if total > MAX_UNPACKED:
                raise DataError(
                    f"{path}: unpacks to more than the limit of {MAX_UNPACKED >> 30} GiB for memory. "
                    "Unpack it (tar xf), and give the folder."
                )
            if info.isreg() and not info.issparse() and (source := archive.extractfile(info)) is not None:
                content = source.read()
                _add(members, path, info.name, lambda content=content: content)  # type: ignore[misc]
    return members


def _tar_reader(path: Path, info: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        if info.size > MAX_FILE_BYTES:
            raise BadFileError(f"{path}#{info.name}", f"{info.size:,} bytes, more than is allowed", "Remove it.")
        with open_input(path) as file:
            file.seek(info.offset_data)
            content = file.read(info.size)
        if len(content) != info.size:
            raise BadFileError(f"{path}#{info.name}", "cut short", "Make the archive again.")
        return content

    return read


# Prediction: one file after the other, found while they are asked for


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


def is_regular(path: str | os.PathLike[str]) -> bool:
    """Whether the path leads to a regular file."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False
