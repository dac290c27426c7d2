"""IDX, the format of MNIST and its relatives: a magic number, the dimensions, then the values, big-endian.

Bytes 0 and 1 are zero, byte 2 names the type of the values, byte 3 the number of dimensions; each dimension
follows as a 32-bit integer. Described by LeCun, Cortes and Burges on the page of the MNIST database.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import BadFileError
from .dataset import Int64Array, UInt8Array
from .gzipped import MAX_RATIO, is_gzipped, unpacked

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

MAX_BYTES = 2 << 30  # unpacked into memory; a plain file is memory-mapped and has no limit

MAP_FROM = 64 << 20  # a plain file of at least this many bytes is mapped, not read

PARTS = {"train": ("train",), "test": ("t10k", "test")}


@dataclass(frozen=True)
class _Kind:
    name: str
    magic: int
    ndim: int


IMAGES = _Kind("images", 0x0803, 3)
LABELS = _Kind("labels", 0x0801, 1)


def read_idx(
    path: str | os.PathLike[str], *, kind: _Kind | None = None, max_bytes: int = MAX_BYTES
) -> npt.NDArray[Any]:
    """Read one IDX file, gzipped or not.

    Args:
        path: the file.
        kind: ``IMAGES`` or ``LABELS`` where only that will do; None takes any IDX file.
        max_bytes: refuse a gzipped file that unpacks to more.

    Returns:
        An array of the type and shape that the file announces, native byte order; a read-only memory map
        where the file is large, plain and of single bytes.

    Raises:
        BadFileError: not IDX, not of that kind, or not of the size it announces. Nothing is allocated before
            the size announced has been held against the size of the file.
    """
    path = Path(path)
    stored = path.stat().st_size
    packed = stored >= 2 and is_gzipped(path)
    pieces = unpacked(path)
    head = bytearray(_take(pieces, 4))
    dtype, ndim = _read_magic(path, bytes(head[:4]), kind)
    head += _take(pieces, 4 + 4 * ndim - len(head))
    shape = tuple(int.from_bytes(head[4 * i + 4 : 4 * i + 8], "big") for i in range(ndim))
    if len(head) < 4 + 4 * ndim:
        raise BadFileError(path, f"ends inside its header, after {len(head)} bytes", _AGAIN)
    start = 4 + 4 * ndim
    expected = start + math.prod(shape) * dtype.itemsize
    _check_size(path, shape, expected, stored, packed, max_bytes)
    if not packed and expected >= MAP_FROM and dtype.itemsize == 1:
        return np.memmap(path, dtype.newbyteorder("="), "r", start, shape)
    values = np.empty(expected - start, np.uint8)
    _fill(path, values, bytes(head[start:]), pieces)
    return values.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


_AGAIN = "Copy or download the file again."


def _take(pieces: Iterator[bytes], count: int) -> bytes:
    """At least ``count`` bytes, fewer only at the end of the file."""
    taken = b""
    while len(taken) < count and (piece := next(pieces, b"")):
        taken += piece
    return taken


def _read_magic(path: Path, magic: bytes, kind: _Kind | None) -> tuple[np.dtype[Any], int]:
    if len(magic) < 4:
        raise BadFileError(path, f"too short for IDX: {len(magic)} bytes", _AGAIN)
    found = int.from_bytes(magic, "big")
    if kind is not None and found != kind.magic:
        reason = f"the magic number is 0x{found:08X}{_meaning(found)}, where {kind.name} have 0x{kind.magic:08X}"
        swapped = found in (IMAGES.magic, LABELS.magic)
        remedy = "Are the images and labels files swapped?" if swapped else "Give an IDX file as MNIST has them."
        raise BadFileError(path, reason, remedy)
    if magic[:2] != b"\0\0" or magic[3] == 0:
        raise BadFileError(path, f"not IDX: the magic number is 0x{found:08X}{_meaning(found)}", "Give an IDX file.")
    if magic[2] not in DTYPES:
        known = ", ".join(f"0x{code:02X}" for code in DTYPES)
        raise BadFileError(path, f"the type code is 0x{magic[2]:02X}; IDX knows {known}", _AGAIN)
    return np.dtype(DTYPES[magic[2]]), magic[3]


def _meaning(magic: int) -> str:
    meanings = {
        IMAGES.magic: " (images)",
        LABELS.magic: " (labels)",
        0x504B0304: " (a zip file)",
        0x89504E47: " (a PNG image)",
        0x934E554D: " (a NumPy file)",
        0x3C21444F: " (a web page)",
        0x3C68746D: " (a web page)",
    }
    if magic in meanings:
        return meanings[magic]
    code, ndim = magic >> 8, magic & 0xFF
    return f" ({np.dtype(DTYPES[code]).name} values in {ndim} dimensions)" if code in DTYPES else ""


def _check_size(path: Path, shape: tuple[int, ...], expected: int, stored: int, packed: bool, max_bytes: int) -> None:
    announced = f"announces {' × '.join(f'{n:,}' for n in shape)} values, {expected:,} bytes in all,"
    if not packed and stored != expected:
        state = "truncated" if stored < expected else "followed by bytes that do not belong to it"
        raise BadFileError(path, f"{announced} but has {stored:,}: the file is {state}", _AGAIN)
    if packed and expected > stored * MAX_RATIO + 64:
        raise BadFileError(path, f"{announced} which {stored:,} bytes of gzip cannot hold", _AGAIN)
    if packed and expected > max_bytes:
        raise BadFileError(
            path,
            f"{announced} more than the limit of {max_bytes:,} for unpacking into memory",
            "Unpack it with gunzip: a plain file is not loaded but memory-mapped.",
        )


def _fill(path: Path, values: UInt8Array, first: bytes, pieces: Iterator[bytes]) -> None:
    """Copy the bytes that follow the header into ``values``, exactly as many as there must be."""
    size, done = len(values), 0
    for piece in chain((first,), pieces):
        if done + len(piece) > size:
            raise BadFileError(path, f"goes on after the {size:,} bytes of values that its header announces", _AGAIN)
        values[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    if done < size:
        raise BadFileError(
            path, f"ends after {done:,} of the {size:,} bytes of values that its header announces", _AGAIN
        )


def _find(folder: Path, part: str, kind: _Kind) -> Path | None:
    """The file of one part and kind under any of its usual names; the unpacked first, being faster."""
    for prefix in PARTS[part]:
        for dot in ("-", "."):
            for suffix in ("", ".gz"):
                path = folder / f"{prefix}-{kind.name}{dot}idx{kind.ndim}-ubyte{suffix}"
                if path.is_file():
                    return path
    return None


def is_idx_folder(path: str | os.PathLike[str]) -> bool:
    """Whether the folder holds images in IDX files under MNIST's names."""
    return any(_find(Path(path), part, kind) for part in PARTS for kind in (IMAGES, LABELS))


def read_idx_folder(path: str | os.PathLike[str]) -> dict[str, tuple[UInt8Array, Int64Array]]:
    """Read ``train-images-idx3-ubyte[.gz]`` and its three companions.

    Returns:
        For "train" and, where it is there, "test": images uint8 (N, H, W, 1) and labels int64 (N,).

    Raises:
        BadFileError: a file is missing or damaged, or images and labels differ in number.
    """
    folder, parts = Path(path), {}
    for part in PARTS:
        images, labels = _find(folder, part, IMAGES), _find(folder, part, LABELS)
        if images is not None or labels is not None:
            parts[part] = _read_pair(folder, part, images, labels)
    if "train" not in parts:
        raise BadFileError(folder, "has no train-images-idx3-ubyte[.gz]", "Put the training files there too.")
    return parts


def _read_pair(
    folder: Path, part: str, images_path: Path | None, labels_path: Path | None
) -> tuple[UInt8Array, Int64Array]:
    if images_path is None or labels_path is None:
        kind, there = (IMAGES, labels_path) if images_path is None else (LABELS, images_path)
        missing = f"{PARTS[part][0]}-{kind.name}-idx{kind.ndim}-ubyte[.gz]"
        raise BadFileError(folder, f"has {there.name if there else ''} but no {missing}", "Put that file there too.")
    images = read_idx(images_path, kind=IMAGES)
    labels = read_idx(labels_path, kind=LABELS)
    if 0 in images.shape:
        raise BadFileError(images_path, f"holds no pixels: its shape is {images.shape}", "Give a file with images.")
    if len(images) != len(labels):
        raise BadFileError(
            labels_path,
            f"holds {len(labels):,} labels for the {len(images):,} images of {images_path.name}",
            "Give the labels that belong to these images.",
        )
    return images[..., np.newaxis], labels.astype(np.int64)
