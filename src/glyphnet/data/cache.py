"""Keeps decoded images on disk, memory-mapped: a folder is decoded once and may exceed the memory.

An entry is a folder named by its key. It holds NumPy arrays and ``entry.json``, with the SHA-256 of each array and of
itself, written last: an entry without it is unfinished. All hashes are checked whenever an entry is opened, and a
damaged entry is made again, so the whole folder may be deleted at any time. It is `$GLYPHNET_CACHE` where that is set,
else the user's cache folder. When its images outgrow 20 GB, those unused for longest are removed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
import platformdirs

from ..errors import DataError, RunFolderError
from ..files import atomic_write, atomic_write_text, make_folder, open_input, read_input, remove, remove_folder
from ..locks import FolderLock
from .dataset import Int64Array, UInt8Array

CACHE_VERSION = 2
LIMIT_BYTES = 20 * 10**9
RECENT_SECONDS = 3600  # entries used since then stay: a data set of several entries must not remove its own
IN_MEMORY_BYTES = 256 * 1024 * 1024  # images up to this size are read into memory, which is faster for training
_BLOCK_BYTES = 16 * 1024 * 1024
_SEAL = 32  # bytes of a SHA-256
_log = logging.getLogger("glyphnet")


def cache_folder() -> Path:
    """Where decoded images and downloads are kept: ``$GLYPHNET_CACHE``, else the user's cache folder."""
    given = os.environ.get("GLYPHNET_CACHE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("glyphnet", appauthor=False))


@dataclass(frozen=True, eq=False)
class Entry:
    """One entry of the cache."""

    folder: Path
    images: UInt8Array  # (N, H, W, C), a read-only memory map
    facts: Mapping[str, object]  # what the builder returned, as JSON values
    arrays: Mapping[str, Int64Array]  # derived from the images, by name


class ImageWriter:
    """Writes images block by block into a ``.npy`` file whose length is known only at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._count = 0
        self._seal = hashlib.sha256()

    def begin(self, image_shape: tuple[int, int, int], most: int) -> None:
        """Prepare for at most ``most`` images of ``image_shape`` (H, W, C)."""
        self._shape, self._most = image_shape, most
        # NumPy leaves room in the header for the first axis to grow: a header for fewer images is as long.
        header = self._header(most)
        self._start = len(header)
        self._write(header)

    def append(self, images: UInt8Array) -> None:
        """Write uint8 (B, H, W, C)."""
        content = np.ascontiguousarray(images, dtype=np.uint8)
        # Written, never mapped: a full disk is then an error that can be reported; a map would kill the process.
        self._write(content.data if content.size else b"")
        self._count += len(images)

    def finish(self) -> str:
        """Write the final header; return the SHA-256 of the whole file."""
        if self._count == self._most:
            return self._seal.hexdigest()
        header = self._header(self._count)
        if len(header) != self._start:
            raise AssertionError("NumPy's header changed its length")
        self._file.seek(0)
        self._file.write(header)
        return _digest(self._file)

    def _write(self, content: bytes | memoryview) -> None:
        self._file.write(content)
        self._seal.update(content)

    def _header(self, count: int) -> bytes:
        header = io.BytesIO()
        shape = (count, *self._shape)
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return header.getvalue()


def cache_key(*parts: object) -> str:
    """A name for what these parts (JSON values) determine: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps([CACHE_VERSION, *parts]).encode()).hexdigest()


def entry(
    key: str,
    build: Callable[[ImageWriter], Mapping[str, object]],
    derive: Mapping[str, Callable[[UInt8Array], Int64Array]] | None = None,
) -> Entry:
    """The entry ``key``: opened, or made by ``build`` if it is not there, unfinished or damaged.

    Args:
        build: writes the images and returns facts (JSON values) to keep with them.
        derive: int64 arrays to keep as well, by name, each made from all images.

    Raises:
        DataError: the cache folder cannot be written, or its disk is full.
        Exception: what ``build`` raises.
    """
    folder = cache_folder() / "images" / key
    found = _open(folder)
    if found is None:
        try:
            if folder.is_symlink() or folder.is_file():
                remove(folder)
            with FolderLock(folder, wait=True):
                found = _open(folder) or _make(folder, build, derive or {})  # another process may have made it
        except OSError as error:
            trouble = "its disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
            raise DataError(
                f"{folder.parent}: decoded images cannot be kept there ({trouble}). "
                "Make room, or set GLYPHNET_CACHE to another folder."
            ) from error
        prune(keep=folder)
    with contextlib.suppress(OSError):
        os.utime(folder / "entry.json")  # last used
    return found


def in_memory(images: UInt8Array) -> UInt8Array:
    """The images of a memory map in memory, unless they are too large for that."""
    return np.array(images) if isinstance(images, np.memmap) and images.nbytes <= IN_MEMORY_BYTES else images


def blocks(count: int, image_shape: Sequence[int]) -> Iterator[slice]:
    """Rows of ``count`` images of a shape, about 16 MiB of pixels at a time."""
    step = max(1, _BLOCK_BYTES // math.prod(image_shape))
    return (slice(start, start + step) for start in range(0, count, step))


def images_at(images: UInt8Array, rows: Int64Array, key: str) -> UInt8Array:
    """``images[rows]``, in memory; of a large memory map, another one. ``key``: their cache key or fingerprint."""
    if np.array_equal(rows, np.arange(len(images))):
        return in_memory(images)
    if not isinstance(images, np.memmap) or images.nbytes <= IN_MEMORY_BYTES:
        return np.asarray(images)[rows]

    def build(writer: ImageWriter) -> dict[str, object]:
        height, width, channels = images.shape[1:]
        writer.begin((height, width, channels), len(rows))
        for block in blocks(len(rows), images.shape[1:]):
            writer.append(images[rows[block]])
        return {}

    return entry(cache_key("rows", key, hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()), build).images


def kept_arrays(kind: str, key: str) -> dict[str, npt.NDArray[Any]] | None:
    """What `keep_arrays` kept; None if it is absent or damaged."""
    try:
        with open_input(cache_folder() / kind / f"{key}.npz") as file:
            seal, content = file.read(_SEAL), file.read()
    except OSError:
        return None
    if seal != hashlib.sha256(f"{kind}/{key}".encode() + content).digest():
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def keep_arrays(kind: str, key: str, arrays: Mapping[str, npt.NDArray[Any]], *, most_bytes: int | None = None) -> None:
    """Keep a few arrays that are costly to compute, if the folder can be written.

    Args:
        most_bytes: of all files of this kind; beyond that those written first are removed. None for no limit.
    """
    path = cache_folder() / kind / f"{key}.npz"
    with contextlib.suppress(OSError):
        make_folder(path.parent)
        if path.is_symlink() or not path.is_file():
            _clear(path)
        packed = io.BytesIO()
        np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]  # NumPy takes any name but its own
        content = packed.getvalue()
        with atomic_write(path) as file:
            file.write(hashlib.sha256(f"{kind}/{key}".encode() + content).digest() + content)
        if most_bytes is not None:
            _remove_oldest(path, most_bytes)


def _remove_oldest(newest: Path, most_bytes: int) -> None:
    """Remove the files written first beside ``newest``, which stays, until all hold at most so many bytes."""
    files = [(file.stat().st_mtime, file, file.stat().st_size) for file in newest.parent.glob("*.npz")]
    total = sum(size for *_, size in files)
    for _, file, size in sorted(files):
        if total > most_bytes and file != newest:
            remove(file)
            total -= size


def prune(keep: Path, limit: int | None = None) -> None:
    """Remove the entries unused for longest until all hold at most ``limit`` bytes; ``keep`` stays."""
    ages = []
    for folder in (cache_folder() / "images").iterdir():
        with contextlib.suppress(OSError):
            files = [file.stat() for file in folder.iterdir()]
            used = max((file.st_mtime for file in files), default=0.0)
            ages.append((used, folder, sum(file.st_size for file in files)))
    total = sum(size for _, _, size in ages)
    for used, folder, size in sorted(ages):
        if total <= (LIMIT_BYTES if limit is None else limit):
            break
        if folder == keep or time.time() - used < RECENT_SECONDS:
            continue
        # One that is being made is left alone; one that is mapped elsewhere stays readable there.
        with contextlib.suppress(RunFolderError, OSError), FolderLock(folder):
            remove_folder(folder)
            total -= size


def _make(
    folder: Path,
    build: Callable[[ImageWriter], Mapping[str, object]],
    derive: Mapping[str, Callable[[UInt8Array], Int64Array]],
) -> Entry:
    """Write an entry and read it back, else DataError."""
    if leftovers := list(folder.glob("*.[nj]*")):
        _log.warning("Cached images were damaged or unfinished, and are made again: %s", folder)
    for old in leftovers:
        _clear(old)
    files = {}
    with atomic_write(folder / "images.npy") as file:
        writer = ImageWriter(file)
        facts = build(writer)
        files["images"] = writer.finish()
    unreadable = DataError(f"{folder}: what was written cannot be read back. Check the disk, or set GLYPHNET_CACHE.")
    try:
        images: UInt8Array = _load(folder / "images.npy", files["images"])
    except ValueError:
        raise unreadable from None
    for name, compute in derive.items():
        with atomic_write(folder / f"{name}.npy") as file:
            np.save(file, compute(images), allow_pickle=False)
            files[name] = _digest(file)
    atomic_write_text(folder / "entry.json", _sealed({"key": folder.name, "files": files, "facts": facts}))
    found = _open(folder, images)
    if found is None:
        raise unreadable
    return found


def _clear(path: Path) -> None:
    """Remove whatever has a name of the cache: a file, a folder, a link, a pipe."""
    remove_folder(path) if path.is_dir() and not path.is_symlink() else remove(path)


def _sealed(record: Mapping[str, object]) -> str:
    """``record`` as JSON with the SHA-256 of itself."""
    text = json.dumps(record)
    return json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "entry": text})


def _digest(file: BinaryIO) -> str:
    """The SHA-256 of a whole file, which is left at its end."""
    file.seek(0)
    return hashlib.file_digest(cast(io.BytesIO, file), "sha256").hexdigest()


def _open(folder: Path, images: UInt8Array | None = None) -> Entry | None:
    """The entry in ``folder``, or None if it is absent, unfinished or damaged; ``images`` if they were read already."""
    try:
        content = read_input(folder / "entry.json").decode()
        record = json.loads(json.loads(content)["entry"])
        if content != _sealed(record) or record["key"] != folder.name:
            return None
        digests = record["files"]
        if images is None:
            images = _load(folder / "images.npy", digests["images"])
        arrays = {name: np.array(_load(folder / f"{name}.npy", digests[name])) for name in digests if name != "images"}
        return Entry(folder, images, record["facts"], arrays)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError):
        return None


def _load(path: Path, digest: str) -> npt.NDArray[Any]:
    """The array in a file, mapped; a damaged one raises ValueError."""
    with open_input(path) as file:
        if _digest(file) != digest:
            raise ValueError("damaged")
    return cast(npt.NDArray[Any], np.load(path, mmap_mode="r", allow_pickle=False))
