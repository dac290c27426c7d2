"""IDX, the format of MNIST and its relatives: a magic number, the dimensions, then the values, big-endian.

Bytes 0 and 1 are zero, byte 2 names the type of the values, byte 3 the number of dimensions; each dimension
follows as a 32-bit integer. Described by LeCun, Cortes and Burges on the page of the MNIST database.
"""

from __future__ import annotations

import math
import os
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import BadFileError, DataError
from ..filekinds import looks_like
from .arrays import RawArrays, RawPart
from .filetree import MAX_RATIO, PIECE, AnyFile, ArchivePath, as_file, byte_count, is_gzipped, opened, unpacked
from .listing import PARTS

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_BYTES = 2 << 30  # unpacked into memory; a plain file is memory-mapped and has no limit
MAP_FROM = 64 << 20  # a plain file of at least this many bytes is mapped, not read
_AGAIN = "Copy or download the file again."


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """The array in an IDX file, gzipped or not, in native byte order.

    It is a read-only memory map where the file is large, plain and of single bytes. Nothing is allocated before the
    announced size was compared with the size of the file. What is not IDX, or of another size, is a BadFileError.
    """
    path = as_file(path)
    stored, packed = byte_count(path), is_gzipped(path)
    with unpacked(path) as file:
        dtype, ndim = _read_magic(path, file.read(4))
        head = file.read(4 * ndim)
        if len(head) < 4 * ndim:
            raise BadFileError(path, f"ends inside its header, after {4 + len(head)} bytes", _AGAIN)
        shape = tuple(np.frombuffer(head, ">u4").tolist())
        start, size = 4 + len(head), math.prod(shape) * dtype.itemsize
        _check_size(path, shape, start + size, stored, packed)
        if not packed and start + size >= MAP_FROM and dtype.itemsize == 1 and not isinstance(path, ArchivePath):
            return np.memmap(path, dtype.newbyteorder("="), "r", start, shape)
        values, done = np.empty(size, np.uint8), 0
        announced = f"the {size:,} bytes of values that its header announces"
        while piece := file.read1(PIECE):
            if done + len(piece) > size:
                raise BadFileError(path, f"goes on after {announced}", _AGAIN)
            values[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
            done += len(piece)
    if done < size:
        raise BadFileError(path, f"ends after {done:,} of {announced}", _AGAIN)
    return values.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _read_magic(path: AnyFile, magic: bytes) -> tuple[np.dtype[Any], int]:
    """The type of the values, and how many dimensions there are."""
    if len(magic) < 4:
        raise BadFileError(path, f"too short for IDX: {len(magic)} bytes", _AGAIN)
    if magic[:2] != b"\0\0" or magic[3] == 0:
        meaning = f" ({what})" if (what := looks_like(magic)) else ""
        raise BadFileError(path, f"not IDX: the magic number is 0x{magic.hex().upper()}{meaning}", "Give an IDX file.")
    if magic[2] not in DTYPES:
        known = ", ".join(f"0x{code:02X}" for code in DTYPES)
        raise BadFileError(path, f"the type code is 0x{magic[2]:02X}; IDX knows {known}", _AGAIN)
    return np.dtype(DTYPES[magic[2]]), magic[3]


def _check_size(path: AnyFile, shape: tuple[int, ...], expected: int, stored: int, packed: bool) -> None:
    announced = f"announces {' × '.join(f'{n:,}' for n in shape)} values, {expected:,} bytes in all,"
    if not packed and stored != expected:
        state = "truncated" if stored < expected else "followed by bytes that do not belong to it"
        raise BadFileError(path, f"{announced} but has {stored:,}: the file is {state}", _AGAIN)
    if packed and expected > stored * MAX_RATIO + 64:
        raise BadFileError(path, f"{announced} which {stored:,} bytes of gzip cannot hold", _AGAIN)
    if packed and expected > MAX_BYTES:
        reason = f"{announced} more than the limit of {MAX_BYTES:,} for unpacking into memory"
        raise BadFileError(path, reason, "Unpack it with gunzip: a plain file is not loaded but memory-mapped.")


def is_idx(path: AnyFile) -> bool:
    """Whether a file begins as IDX does, gzipped or not: the name does not matter."""
    return path.is_file() and _dimensions(path) is not None


def is_idx_folder(path: str | os.PathLike[str]) -> bool:
    """Whether the folder holds IDX files with images or labels."""
    folder = as_file(path)
    return folder.is_dir() and bool(_sets(folder))


def read_idx_folder(path: str | os.PathLike[str]) -> RawArrays:
    """Read the IDX files of a data set, such as ``train-images-idx3-ubyte[.gz]`` and its three companions.

    Files are recognised by their content; their names only say which belong together and to which part. Give one of
    the files where the folder holds several data sets (EMNIST): the folder is a DataError then. A file that is missing
    or damaged, or labels that differ in number from the images, are a BadFileError.
    """
    path = as_file(path)
    is_folder = path.is_dir()
    folder = path if is_folder else path.parent
    sets = _sets(folder)
    if is_folder and len(sets) > 1:
        names = sorted(next(iter(files.values())).name for files in sets.values())
        raise DataError(
            f"{path}: there are {len(sets)} data sets of IDX files. Name a file of one: {', '.join(names[:6])}."
        )
    name = next(iter(sets), "") if is_folder else _described(path.name)[0]
    if name not in sets:
        raise BadFileError(path, "no IDX file of images or labels", "Give an IDX file as MNIST has them.")
    files = sets[name]
    pairs = {part: (files.get((part, "images")), files.get((part, "labels"))) for part in (*PARTS, "all")}
    parts = {part: _read_pair(folder, *pair) for part, pair in pairs.items() if any(pair)}
    if "train" not in parts and "all" not in parts:
        raise BadFileError(folder, "has no train-images-idx3-ubyte[.gz]", "Put the training files there too.")
    notes: tuple[str, ...] = ()
    if "emnist" in name:  # NIST's matrices are stored by columns
        parts = {part: raw._replace(images=raw.images.transpose(0, 2, 1)) for part, raw in parts.items()}
        notes = ("EMNIST stores its images on their side: they were turned upright.",)
    if ("all", "mapping") in files:
        parts = _with_names(files["all", "mapping"], parts)
    return RawArrays(parts, None, notes)


_PARTS = {"train": "train", "training": "train", "t10k": "test", "test": "test", "testing": "test",
          "val": "validation", "valid": "validation", "validation": "validation"}  # fmt: skip
_WORDS = re.compile(r"(?:images?|labels?|imgs?|idx\d|ubyte|int|gz|idx)")
_OTHERS = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".bmp", ".webp", ".csv", ".npy", ".npz", ".parquet"}


def _described(name: str) -> tuple[str, str]:
    """What a file's name says: the data set ("emnist-letters", or "" for MNIST's own names) and the part."""
    words = re.split(r"[-_. ]+", name.lower())
    part = next((_PARTS[word] for word in words if word in _PARTS), "all")
    rest = [word for word in words if word not in _PARTS and not _WORDS.fullmatch(word)]
    return "-".join(rest), part


def _sets(folder: AnyFile) -> dict[str, dict[tuple[str, str], AnyFile]]:
    """The data sets of IDX files in a folder: name → (part, "images", "labels" or "mapping") → file."""
    found: dict[str, dict[tuple[str, str], AnyFile]] = {}
    tables: dict[str, AnyFile] = {}
    files: list[AnyFile] = sorted(folder.iterdir())
    for path in files:  # an unpacked file comes before its .gz, and is faster
        if path.name.startswith(".") or path.suffix.lower() in _OTHERS or not path.is_file():
            continue
        name, part = _described(path.name)
        if path.suffix.lower() == ".txt":
            if name.endswith("mapping-txt"):
                tables[name.removesuffix("-mapping-txt")] = path
        elif (dimensions := _dimensions(path)) is not None:
            kind = "images" if dimensions > 2 else "labels"
            found.setdefault(name, {}).setdefault((part, kind), path)
    for name in tables.keys() & found.keys():
        found[name]["all", "mapping"] = tables[name]
    return found


def _dimensions(path: AnyFile) -> int | None:
    """How many dimensions an IDX file announces; None for any other file."""
    try:
        with unpacked(path) as file:
            head = file.read(4)
    except (OSError, BadFileError):
        return None
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in DTYPES or not 1 <= head[3] <= 4:
        return None
    return head[3]


def _with_names(table: AnyFile, parts: dict[str, RawPart]) -> dict[str, RawPart]:
    """Labels as the characters that EMNIST's table gives them: lines of a label and one code point or more."""
    try:
        with opened(table) as file:
            lines = file.read().decode("ascii").splitlines()
        rows = [list(map(int, line.split())) for line in lines if line.strip()]
        names = {row[0]: chr(row[1]) for row in rows}
    except (ValueError, IndexError, OverflowError):
        raise BadFileError(table, "not a table of labels and code points", _AGAIN) from None
    characters = np.array([names.get(label, "") for label in range(max(names) + 1)])
    named = {}
    for part, raw in parts.items():
        if raw.labels.size and (raw.labels.max() > max(names) or raw.labels.min() < 0):
            reason = f"has no line for the label {raw.labels.max()}"
            raise BadFileError(table, reason, "Give the table of these labels.")
        named[part] = raw._replace(labels=characters[raw.labels])
    return named


def _read_pair(folder: AnyFile, images_path: AnyFile | None, labels_path: AnyFile | None) -> RawPart:
    if images_path is None or labels_path is None:
        there = labels_path or images_path
        assert there is not None
        kind, ndim = ("labels", 1) if images_path else ("images", 3)
        missing = re.sub(r"(images?|labels?)([-.]idx)\d", rf"{kind}\g<2>{ndim}", there.name)
        missing = missing.removesuffix(".gz") if missing != there.name else f"file of {kind}"
        raise BadFileError(folder, f"has {there.name} but no {missing}[.gz]", "Put that file there too.")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if 0 in images.shape:
        raise BadFileError(images_path, f"holds no pixels: its shape is {images.shape}", "Give a file with images.")
    if labels.ndim == 2:  # QMNIST: eight numbers an image, the class first
        labels = labels[:, 0]
    if len(images) != len(labels):
        reason = f"holds {len(labels):,} labels for the {len(images):,} images of {images_path.name}"
        raise BadFileError(labels_path, reason, "Give the labels that belong to these images.")
    return RawPart(images, labels.astype(np.int64), images_path.name, labels_path.name)
