"""Keeps decoded images on disk, memory-mapped: a folder is decoded once and may exceed the memory.

An entry is a folder named by its key, which holds NumPy arrays and ``entry.json``. The JSON is written last:
an entry without it is unfinished. Everything here can be had again from the data, so the whole folder may be
deleted at any time. It is `$GLYPHNET_CACHE` where that is set, otherwise the user's cache folder; when its
images outgrow 20 GB, those that were not used for longest are removed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
import platformdirs

from ..errors import DataError, RunFolderError
from ..files import FolderLock, atomic_write, atomic_write_text
from .dataset import Int64Array, UInt8Array

CACHE_VERSION = 1
LIMIT_BYTES = 20 * 10**9

# What was used within the last hour stays: a data set of several entries must not push out its own.
RECENT_SECONDS = 3600

# Up to this size images are read into memory, which is faster for training, and their checksum is compared.
IN_MEMORY_BYTES = 256 * 1024 * 1024


def cache_folder() -> Path:
    """Where decoded images and downloads are kept: ``$GLYPHNET_CACHE``, else the user's cache folder."""
    given = os.environ.get("GLYPHNET_CACHE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("glyphnet", appauthor=False))


@dataclass(frozen=True, eq=False)
class Entry:
    """One entry of the cache.

    Attributes:
        images: uint8 (N, H, W, C); in memory, or a read-only memory map where it is large.
        facts: what the builder wanted to remember, as JSON values.
    """

    folder: Path
    images: UInt8Array
    facts: Mapping[str, object]

    def array(self, name: str, compute: Callable[[], Int64Array]) -> Int64Array:
        """The int64 array kept under ``name``; computed and kept if it is not there or damaged."""
        path = self.folder / f"{name}.npy"
        try:
            return cast(Int64Array, np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError):
            array = compute()
        with _cache_can_be_written(self.folder), atomic_write(path) as file:
            np.save(file, array, allow_pickle=False)
        return array


class ImageWriter:
    """Writes images one block after the other into a ``.npy`` file whose length is known at the end only."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._count, self._crc32 = 0, 0

    def begin(self, image_shape: tuple[int, int, int], most: int) -> None:
        """Say what is to come: at most ``most`` images of ``image_shape`` (H, W, C)."""
        self._shape = image_shape
        # NumPy leaves room in the header for the first axis to grow: a header for fewer images is as long.
        self._write_header(most)
        self._start = self._file.tell()

    def append(self, images: UInt8Array) -> None:
        """Write uint8 (B, H, W, C)."""
        content = np.ascontiguousarray(images, dtype=np.uint8)
        # Written, never mapped: a full disk is then an error that can be told; a map would kill the process.
        self._file.write(content.data if content.size else b"")
        self._crc32 = zlib.crc32(content.data if content.size else b"", self._crc32)
        self._count += len(images)

    def finish(self) -> int:
        """Write the final header; the CRC-32 of all pixels."""
        self._file.seek(0)
        self._write_header(self._count)
        if self._file.tell() != self._start:
            raise AssertionError("NumPy's header changed its length")
        self._file.seek(0, os.SEEK_END)
        return self._crc32

    def _write_header(self, count: int) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, header)


def cache_key(*parts: object) -> str:
    """A name for what these parts (JSON values) determine: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps([CACHE_VERSION, *parts]).encode()).hexdigest()


def entry(key: str, build: Callable[[ImageWriter], Mapping[str, object]]) -> Entry:
    """The entry ``key``: opened, or made by ``build`` if it is not there, unfinished or damaged.

    Args:
        build: writes the images and returns facts (JSON values) to keep with them.

    Raises:
        DataError: the cache folder cannot be written, or its disk is full. Whatever ``build`` raises.
    """
    folder = cache_folder() / "images" / key
    found = _open(folder)
    if found is None:
        with _cache_can_be_written(folder), _turn(folder):
            found = _open(folder)  # another process may have made it while this one waited
            if found is None:
                _make(folder, build)
                found = _open(folder)
        if found is None:
            raise DataError(f"{folder}: what was written cannot be read back. Check the disk, or set GLYPHNET_CACHE.")
        prune(keep=folder)
    with contextlib.suppress(OSError):
        os.utime(folder / "entry.json")  # last used
    return found


def kept_arrays(kind: str, key: str) -> dict[str, npt.NDArray[Any]] | None:
    """What `keep_arrays` kept; None if it is not there or damaged."""
    try:
        with np.load(cache_folder() / kind / f"{key}.npz", allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        return None


def keep_arrays(kind: str, key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Keep a few small arrays that are costly to compute; where the folder cannot be written, keep nothing."""
    path = cache_folder() / kind / f"{key}.npz"
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # NumPy takes any name but its own


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
            shutil.rmtree(folder)
            total -= size


def _make(folder: Path, build: Callable[[ImageWriter], Mapping[str, object]]) -> None:
    for old in folder.glob("*.[nj]*"):  # what is left of an unfinished or damaged one
        old.unlink()
    with atomic_write(folder / "images.npy") as file:
        writer = ImageWriter(file)
        facts = build(writer)
        crc32 = writer.finish()
    record = {"bytes": (folder / "images.npy").stat().st_size, "crc32": crc32, "facts": facts}
    atomic_write_text(folder / "entry.json", json.dumps(record))


def _open(folder: Path) -> Entry | None:
    """The entry in ``folder``, or None if it is not there, unfinished or damaged."""
    try:
        record = json.loads((folder / "entry.json").read_text())
        if (folder / "images.npy").stat().st_size != record["bytes"]:
            return None
        is_small = record["bytes"] <= IN_MEMORY_BYTES
        images = np.load(folder / "images.npy", mmap_mode=None if is_small else "r", allow_pickle=False)
        if is_small and zlib.crc32(images.data if images.size else b"") != record["crc32"]:
            return None
        return Entry(folder, images, record["facts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        return None


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Wait until no other process makes the same entry."""
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(FolderLock(folder))
                break
            except RunFolderError:
                time.sleep(0.1)
        yield


@contextmanager
def _cache_can_be_written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        trouble = "its disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        raise DataError(
            f"{folder.parent}: decoded images cannot be kept there ({trouble}). "
            "Make room, or set GLYPHNET_CACHE to another folder."
        ) from error
