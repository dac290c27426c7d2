"""Arrays out of .npy files and out of .npz archives, with every size checked before anything is allocated.

NumPy's own reader believes the header of an archive member: a file of a kilobyte can make it ask for
terabytes. Here the header, the zip directory and the limit must agree first. Nothing is ever unpickled.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import BadFileError

MAX_BYTES = 2 << 30  # of one archive, unpacked; .npy files are memory-mapped and have no limit
MAX_HEADER = 10_000  # bytes; NumPy's own limit, and a plain array's header has about a hundred

_PIECE = 1 << 20
_AGAIN = "Copy or download the file again."

_Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    start: int  # where the values begin

    @property
    def size(self) -> int:
        """Bytes of the whole member: header and values."""
        return self.start + math.prod(self.shape) * self.dtype.itemsize


def _read_header(file: IO[bytes], path: Path, what: str) -> _Header:
    """The header of an array in .npy format; ``what`` names it in errors.

    Raises:
        BadFileError: not such an array, or one of Python objects.
    """
    head = file.read(12)
    if len(head) < 12 or head[:6] != b"\x93NUMPY" or head[6] not in (1, 2):
        raise BadFileError(path, f"{what} is not an array in NumPy's format", _AGAIN)
    start = 10 + int.from_bytes(head[8:10], "little") if head[6] == 1 else 12 + int.from_bytes(head[8:12], "little")
    if start > MAX_HEADER:
        raise BadFileError(path, f"{what} announces a header of {start:,} bytes; {MAX_HEADER:,} are allowed", _AGAIN)
    head += file.read(start - len(head))
    text = io.BytesIO(head)
    np.lib.format.read_magic(text)
    read = np.lib.format.read_array_header_1_0 if head[6] == 1 else np.lib.format.read_array_header_2_0
    try:
        shape, fortran_order, dtype = read(text, max_header_size=MAX_HEADER)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise BadFileError(path, f"the header of {what} is damaged", _AGAIN) from None
    if any(side < 0 for side in shape):
        raise BadFileError(path, f"{what} announces the shape {shape}", _AGAIN)
    if dtype.hasobject:
        raise BadFileError(
            path,
            f"{what} holds Python objects, which only pickle could read; it was not read and nothing was run",
            "Save plain numbers or strings: numpy.stack(images), labels.astype('int64') or astype('str').",
        )
    return _Header(shape, fortran_order, dtype, start)


def map_npy(path: str | os.PathLike[str]) -> _Array:
    """Memory-map a .npy file, read-only: an array larger than memory can be used.

    Raises:
        BadFileError: not such a file, truncated, or an array of Python objects.
    """
    path = Path(path)
    with path.open("rb") as file:
        header = _read_header(file, path, "it")
    stored = path.stat().st_size
    if stored != header.size:
        state = "truncated" if stored < header.size else "followed by bytes that do not belong to it"
        reason = f"announces shape {header.shape} {header.dtype}, {header.size:,} bytes in all, but has {stored:,}"
        raise BadFileError(path, f"{reason}: the file is {state}", _AGAIN)
    if header.size == header.start:
        return np.empty(header.shape, header.dtype)  # an empty file region cannot be mapped
    order: Literal["F", "C"] = "F" if header.fortran_order else "C"
    mapped: _Array = np.memmap(path, header.dtype, "r", header.start, header.shape, order)
    return mapped


class NpzFile:
    """A .npz archive, open for reading; use it in a ``with`` block.

    Attributes:
        names: the arrays in it.

    Raises:
        BadFileError: not a zip archive, or a truncated one.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        try:
            self._zip = zipfile.ZipFile(self._path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise BadFileError(self._path, f"not a .npz archive, or a truncated one ({error})", _AGAIN) from None
        self._members = {
            info.filename.removesuffix(".npy"): info for info in self._zip.infolist() if info.filename.endswith(".npy")
        }
        self.names = tuple(self._members)

    def __enter__(self) -> NpzFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def read(self, names: Iterable[str], max_bytes: int = MAX_BYTES) -> dict[str, _Array]:
        """Unpack these arrays, after all of them were found to be as large as they say and within the limit.

        Raises:
            BadFileError: an array is damaged, of Python objects, not of its announced size, or all together
                are larger than ``max_bytes``.
        """
        names = tuple(names)
        try:
            headers = {name: self._header(name) for name in names}
            total = sum(header.size for header in headers.values())
            if total > max_bytes:
                raise BadFileError(
                    self._path,
                    f"{', '.join(names)} unpack to {total:,} bytes; the limit is {max_bytes:,}",
                    "Save them as .npy files (images.npy, labels.npy): those are mapped and have no limit.",
                )
            return {name: self._unpack(name, headers[name]) for name in names}
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            OSError,
        ) as error:
            raise BadFileError(self._path, f"the archive is damaged or encrypted ({error})", _AGAIN) from None

    def _header(self, name: str) -> _Header:
        info = self._members[name]
        with self._zip.open(info) as file:
            header = _read_header(file, self._path, f"array {name!r}")
        if header.size != info.file_size:
            raise BadFileError(
                self._path,
                f"array {name!r} announces shape {header.shape} {header.dtype}, "
                f"{header.size:,} bytes in all, but the archive says {info.file_size:,}",
                _AGAIN,
            )
        return header

    def _unpack(self, name: str, header: _Header) -> _Array:
        values = np.empty(header.size - header.start, np.uint8)
        done = 0
        with self._zip.open(self._members[name]) as file:
            file.read(header.start)
            # One read more than there are values: only at the end is the checksum compared.
            while piece := file.read(_PIECE):
                values[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
                done += len(piece)
        if done != len(values):
            raise BadFileError(self._path, f"array {name!r} ends after {done:,} of {len(values):,} bytes", _AGAIN)
        if header.dtype.itemsize == 0:
            return np.empty(header.shape, header.dtype)
        return values.view(header.dtype).reshape(header.shape, order="F" if header.fortran_order else "C")
