"""Arrays from .npy files and .npz archives, read by NumPy after every announced size was checked.

`numpy.load` allocates what a header announces: a file of a kilobyte can make it ask for terabytes. Here the
header must first agree with the size of the file, or with the zip directory and the limit. Nothing is ever
unpickled.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections import Counter
from collections.abc import Iterable
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import BadFileError
from .filetree import AnyFile, ArchivePath, as_file, byte_count, openable
from .gzipped import opened

MAX_BYTES = 2 << 30  # of one archive, unpacked; .npy files are memory-mapped and have no limit
MAX_HEADER = 10_000  # bytes; NumPy's own limit, and a plain array's header has about a hundred

_AGAIN = "Copy or download the file again."
_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

_Array = npt.NDArray[Any]


class _Announced(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    size: int  # bytes of header and values

    def __str__(self) -> str:
        return f"announces shape {self.shape} {self.dtype}, {self.size:,} bytes in all"


def _read_header(file: IO[bytes], path: AnyFile, what: str) -> _Announced:
    """What the header of an array in .npy format announces; ``what`` names the array in errors.

    Raises:
        BadFileError: not such an array, or one of Python objects.
    """
    head = io.BytesIO(file.read(MAX_HEADER))  # NumPy checks the length of a header only after it was read
    try:
        shape, _, dtype = _HEADER_READERS[np.lib.format.read_magic(head)](head)
    except Exception:  # NumPy parses the header as Python, which can fail in many ways
        reason = f"{what} is not an array in NumPy's format, or its header is damaged or longer than {MAX_HEADER:,}"
        raise BadFileError(path, f"{reason} bytes", _AGAIN) from None
    if any(side < 0 for side in shape):
        raise BadFileError(path, f"{what} announces the shape {shape}", _AGAIN)
    if dtype.hasobject:
        raise BadFileError(
            path,
            f"{what} holds Python objects, which only pickle could read; it was not read and nothing was run",
            "Save plain numbers or strings: numpy.stack(images), labels.astype('int64') or astype('str').",
        )
    return _Announced(shape, dtype, head.tell() + math.prod(shape) * dtype.itemsize)


def map_npy(path: str | os.PathLike[str]) -> _Array:
    """Memory-map a .npy file, read-only: an array larger than memory can be used.

    Raises:
        BadFileError: not such a file, truncated, or an array of Python objects.
    """
    path = as_file(path)
    with opened(path) as file:
        announced = _read_header(file, path, "it")
    stored = byte_count(path)
    if stored != announced.size:
        state = "truncated" if stored < announced.size else "followed by bytes that do not belong to it"
        raise BadFileError(path, f"{announced}, but has {stored:,}: the file is {state}", _AGAIN)
    # An empty region of a file cannot be mapped, nor can one in an archive.
    may_map = math.prod(announced.shape) and not isinstance(path, ArchivePath)
    mapped: _Array = np.load(openable(path), mmap_mode="r" if may_map else None, allow_pickle=False)
    return mapped


class NpzFile:
    """A .npz archive, open for reading; use it in a ``with`` block.

    Attributes:
        names: the arrays in it.

    Raises:
        BadFileError: not a zip archive, or a truncated one, or one that holds an array twice.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = as_file(path)
        file = openable(self._path)
        try:
            self._zip = zipfile.ZipFile(file)
        except Exception as error:  # Python's own reader fails in many ways on damage
            raise BadFileError(self._path, f"not a .npz archive, or a truncated one ({error})", _AGAIN) from None
        self.names = tuple(name.removesuffix(".npy") for name in self._zip.namelist() if name.endswith(".npy"))
        if twice := [name for name, count in Counter(self.names).items() if count > 1]:
            self._zip.close()
            reason = f"holds the array {twice[0]!r} {self.names.count(twice[0])} times, and which is meant is not known"
            raise BadFileError(self._path, reason, "Save it again with each array once.")

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
            total = sum(self._checked_size(name) for name in names)
            if total > max_bytes:
                raise BadFileError(
                    self._path,
                    f"{', '.join(names)} unpack to {total:,} bytes; the limit is {max_bytes:,}",
                    "Save them as .npy files (images.npy, labels.npy): those are mapped and have no limit.",
                )
            return {name: self._unpack(name) for name in names}
        except BadFileError:
            raise
        except Exception as error:  # of many kinds, as above
            raise BadFileError(self._path, f"the archive is damaged or encrypted ({error})", _AGAIN) from None

    def _checked_size(self, name: str) -> int:
        """Bytes of an array, header included, which its header and the zip directory must agree on."""
        info = self._zip.getinfo(f"{name}.npy")
        with self._zip.open(info) as file:
            announced = _read_header(file, self._path, f"array {name!r}")
        if announced.size != info.file_size:
            reason = f"array {name!r} {announced}, but the archive says {info.file_size:,}"
            raise BadFileError(self._path, reason, _AGAIN)
        return announced.size

    def _unpack(self, name: str) -> _Array:
        with self._zip.open(f"{name}.npy") as file:
            array: _Array = np.load(file, allow_pickle=False)
            file.read(1)  # the checksum is compared only at the end of the member
        return array
