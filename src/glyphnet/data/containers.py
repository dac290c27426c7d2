"""Data sets in files of other tools: MATLAB, HDF5, CIFAR's batches, LIBSVM. Nothing in a file can run code."""

from __future__ import annotations

import io
import math
import os
import pickle
import re
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import BadFileError, DataError, MissingExtraError
from ..files import open_input
from ..processes import WorkerDiedError, Workers
from ..units import first_line
from .arrays import MAX_BYTES, RawArrays, RawPart, raw_arrays
from .filetree import AnyFile, ArchivePath, opened

_Array = npt.NDArray[Any]
Source: TypeAlias = "str | bytes"
"""A path, or the content of a file in an archive."""

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"

_AGAIN = "Copy or download the file again."


# --- MATLAB -------------------------------------------------------------------------------------------------


def is_matlab(path: AnyFile) -> bool:
    """Whether a file is MATLAB's, of version 5 to 7.2, or of 7.3, which is HDF5 after 512 bytes of text."""
    return (path.is_file() and _head(path, 10) == b"MATLAB 5.0") or (path.suffix.lower() == ".mat" and is_hdf5(path))


def read_matlab(path: AnyFile) -> RawArrays:
    """The images and labels in a .mat file, read by SciPy.

    Variables are called as in `arrays.NAMES`. Where images lie along the last axis, (H, W, N) or (H, W, C, N), as is
    usual there, that axis becomes the first. In SVHN's files the label 10 is the digit 0. A file that is damaged or too
    large is a BadFileError; one without images and labels, a DataError; version 7.3 needs h5py.
    """
    arrays = _matlab(path)
    raw = raw_arrays(path, {name: array for name, array in arrays.items() if name.lower() != "classes"})
    parts = {name: _along_first(part) for name, part in raw.parts.items()}
    if _is_emnist(path, arrays):
        return _emnist(parts, arrays["mapping"])
    if re.fullmatch(r"(train|test|extra)_32x32.mat", path.name.lower()):
        parts = {name: part._replace(labels=part.labels.astype(np.int64) % 10) for name, part in parts.items()}
        return RawArrays(parts, None, ("The label 10 of SVHN is the digit 0.",))
    return RawArrays(parts)


def _matlab(path: AnyFile) -> dict[str, _Array]:
    if is_hdf5(path):  # which counts axes from the other end
        return {name: array.T for name, array in hdf5_arrays(path).items()}
    return _in_worker("a MATLAB", path)


def _matlab_arrays(file: Source, where: str, limit: int) -> dict[str, _Array]:
    from scipy.io import loadmat, whosmat

    sizes = {name: int(np.prod(shape, dtype=np.int64)) for name, shape, _ in whosmat(_stream(file))}
    if (total := sum(sizes.values())) > limit:
        raise BadFileError(where, f"holds {total:,} values; the limit is {limit:,}", "Save it as .npy files.")
    _refuse_large(file, where, limit)
    return dict(_flat_matlab(loadmat(_stream(file), variable_names=list(sizes))))


def _flat_matlab(found: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, _Array]]:
    """The arrays by name, those in structures by both names; EMNIST's ``dataset.train.images`` is ``train_images``."""
    for name, value in found.items():
        if not isinstance(value, np.ndarray):
            continue
        if value.dtype.names and value.size == 1:
            inner = {each: value.reshape(-1)[0][each] for each in value.dtype.names}
            yield from _flat_matlab(inner, prefix if not prefix and name == "dataset" else f"{prefix}{name}_")
        elif value.dtype.kind in "buifU":
            yield f"{prefix}{name}", value


def _refuse_large(source: Source, where: str, limit: int) -> None:
    """Refuse a file whose compressed parts unpack to more than the limit; the size of a structure is not announced.

    Version 5: a header of 128 bytes, then parts of a type, a size and content; type 15 is a zlib stream.
    """
    total = 0
    with io.BytesIO(source) if isinstance(source, bytes) else open_input(source) as file:
        order = "<" if file.read(128)[126:128] == b"IM" else ">"
        while len(head := file.read(8)) == 8:
            kind, size = struct.unpack(f"{order}II", head)
            content, unpacker = file.read(size), zlib.decompressobj()
            while kind == 15 and content and total <= limit:
                total += len(unpacker.decompress(content, 1 << 20))
                content = unpacker.unconsumed_tail
    if total > limit:
        raise BadFileError(where, f"unpacks to more than the limit of {limit:,} bytes", "Save it as .npy files.")


def _is_emnist(path: AnyFile, arrays: Mapping[str, _Array]) -> bool:
    return "emnist" in path.name.lower() and {"mapping", "train_images"} <= arrays.keys()


def _upright(images: _Array) -> _Array:
    """Rows of pixels that were stored by columns, (N, D), as images."""
    side = math.isqrt(images.shape[-1])
    return images.reshape(-1, side, side).transpose(0, 2, 1) if images.ndim == 2 else images


def _emnist(parts: Mapping[str, RawPart], mapping: _Array) -> RawArrays:
    """EMNIST's own files: rows of pixels stored by columns, and a table of labels and code points."""
    turned = {name: part._replace(images=_upright(part.images)) for name, part in parts.items()}
    names = {int(row[0]): chr(int(row[1])) for row in mapping}
    labels = {int(label) for part in parts.values() for label in np.unique(part.labels)}
    if labels <= names.keys():
        characters = np.array([names.get(label, "") for label in range(max(names) + 1)])
        turned = {name: part._replace(labels=characters[part.labels.astype(np.int64)]) for name, part in turned.items()}
    return RawArrays(turned, None, ("EMNIST stores its images on their side: they were turned upright.",))


def matlab_images(path: AnyFile) -> dict[str, _Array]:
    """The arrays of a .mat file by name, for prediction; images along the last axis come first."""
    arrays = _matlab(path)
    if _is_emnist(path, arrays):
        return {name: _upright(array) for name, array in arrays.items() if name.endswith("images")}
    return {name: np.moveaxis(array, -1, 0) if _is_last(array.shape) else array for name, array in arrays.items()}


def _is_last(shape: tuple[int, ...]) -> bool:
    """Whether an array of this shape, (H, W, N) or (H, W, C, N), has its images along the last axis."""
    if len(shape) == 4:
        return shape[2] in (1, 3) and shape[3] not in (1, 3)
    return len(shape) == 3 and shape[0] == shape[1] != shape[2]


def _along_first(part: RawPart) -> RawPart:
    """The part with its images along the first axis, if they lie along the last."""
    images, labels = part.images, part.labels
    if labels.ndim == 2 and 1 in labels.shape:
        labels = labels.ravel()
    count = len(labels)
    if images.ndim in (3, 4) and images.shape[0] != count and images.shape[-1] == count:
        images = np.moveaxis(images, -1, 0)
    elif images.ndim == 2 and images.shape[0] != count and images.shape[1] == count:
        images = images.T
    return part._replace(images=images, labels=labels)


def is_svhn_folder(path: AnyFile) -> bool:
    """Whether a folder holds SVHN's cropped digits."""
    return (path / "train_32x32.mat").is_file()


def read_svhn_folder(path: AnyFile) -> RawArrays:
    """The images and labels in ``train_32x32.mat`` and, if present, ``test_32x32.mat``."""
    found = {part: path / f"{part}_32x32.mat" for part in ("train", "test")}
    read = {part: read_matlab(file) for part, file in found.items() if file.is_file()}
    parts = {
        part: raw.parts["all"]._replace(images_name=f"{part} X", labels_name=f"{part} y") for part, raw in read.items()
    }
    return RawArrays(parts, None, read["train"].notes)


# --- HDF5 ---------------------------------------------------------------------------------------------------


def is_hdf5(path: AnyFile) -> bool:
    """Whether a file is HDF5, whose signature stands at the beginning or after 512 bytes (MATLAB 7.3)."""
    if not path.is_file():
        return False
    head = _head(path, 520)
    return head[:8] == HDF5_MAGIC or head[512:520] == HDF5_MAGIC


def read_hdf5(path: AnyFile) -> RawArrays:
    """The images and labels in an HDF5 file, read by h5py.

    Data sets are called as in `arrays.NAMES`; one in a group is called by both names: ``train/data`` is ``train_data``.
    A file that is damaged or too large is a BadFileError, an absent h5py a MissingExtraError.
    """
    return raw_arrays(path, hdf5_arrays(path))


def hdf5_arrays(path: AnyFile) -> dict[str, _Array]:
    """Every array in an HDF5 file by name; raises as `read_hdf5` does."""
    if find_spec("h5py") is None:
        raise MissingExtraError("Reading HDF5 files", "hdf5")
    return _in_worker("an HDF5", path)


def _hdf5_arrays(source: Source, where: str, limit: int) -> dict[str, _Array]:
    import h5py

    found: dict[str, _Array] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "buifSO" and item.shape:
            if item.nbytes > limit:
                reason = f"{name} holds {item.nbytes:,} bytes; the limit is {limit:,}"
                raise BadFileError(where, reason, "Save it as .npy files: those are mapped and have no limit.")
            if item.dtype.kind == "O" and h5py.check_string_dtype(item.dtype) is None:
                return
            values = item.asstr()[()] if item.dtype.kind == "O" else item[()]
            found[name.replace("/", "_")] = np.asarray(values).astype(str) if item.dtype.kind == "O" else values

    with h5py.File(_stream(source), "r") as file:
        file.visititems(visit)
    return found


# --- in a worker --------------------------------------------------------------------------------------------

_READERS = {"a MATLAB": _matlab_arrays, "an HDF5": _hdf5_arrays}
_SECONDS = 300.0  # for one file
_workers: Workers | None = None


def _in_worker(reader: str, path: AnyFile) -> dict[str, _Array]:
    """The arrays in a file, read in a worker process: damaged files can crash SciPy and the HDF5 library."""
    global _workers
    _workers = _workers or Workers(f"{__name__}:answer_parent", most=1, memory=4 * MAX_BYTES)
    with opened(path) as file:
        content = file.read() if isinstance(path, ArchivePath) else b""
    request = {"reader": reader, "where": os.fspath(path), "limit": MAX_BYTES}
    request["path"] = "" if isinstance(path, ArchivePath) else os.path.abspath(path)
    try:
        answer, body = _workers(request, content, time.monotonic() + _SECONDS)
    except TimeoutError:
        raise BadFileError(path, f"takes longer than {_SECONDS:g} s to read", "Save it as .npy files.") from None
    except WorkerDiedError:
        raise BadFileError(path, "damaged: the library that reads such files crashed on it", _AGAIN) from None
    if "bad" in answer:
        raise BadFileError(path, *answer["bad"])
    found, start = {}, 0
    for name, kind, shape in answer["arrays"]:
        dtype = np.dtype(kind)
        count = math.prod(shape)
        found[name] = np.frombuffer(body, dtype, count, start).reshape(shape) if count else np.empty(shape, dtype)
        start += count * dtype.itemsize
    return found


def answer_parent(request: Mapping[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    """In the worker: see `_in_worker`."""
    try:
        arrays = _READERS[request["reader"]](request["path"] or content, request["where"], request["limit"])
    except BadFileError as error:
        return {"bad": (error.reason, error.remedy)}, b""
    except Exception as error:  # the libraries check little of what they read, and fail in many ways
        reason = f"damaged, or not {request['reader']} file ({' '.join(str(error).split())[:120]})"
        return {"bad": (reason, _AGAIN)}, b""
    described = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    return {"arrays": described}, b"".join(array.tobytes() for array in arrays.values())


def _stream(source: Source) -> Any:
    return io.BytesIO(source) if isinstance(source, bytes) else source


# --- CIFAR --------------------------------------------------------------------------------------------------

_CIFAR_SHAPE = (3, 32, 32)
_PIXELS = math.prod(_CIFAR_SHAPE)
_CIFAR_FILES = re.compile(
    r"data_batch(_\d+)?(\.bin)?|test_batch(\.bin)?|(train|test)(\.bin)?|batches\.meta(\.txt)?|meta|fine_label_names\.txt"
)


def _cifar_files(folder: AnyFile) -> dict[str, AnyFile]:
    """The files of a folder that may be CIFAR's batches, by name."""
    found: list[AnyFile] = sorted(folder.iterdir())
    return {file.name: file for file in found if _CIFAR_FILES.fullmatch(file.name) and file.is_file()}


def is_cifar_folder(path: AnyFile) -> bool:
    """Whether a folder holds CIFAR-10's or CIFAR-100's batches, for Python or as binary files."""
    if not path.is_dir():
        return False
    names = _cifar_files(path).keys()
    batches = any(name.startswith("data_batch") for name in names)
    return batches or {"train", "meta"} <= names or {"train.bin", "fine_label_names.txt"} <= names


def read_cifar_folder(path: AnyFile) -> RawArrays:
    """CIFAR-10 or CIFAR-100 out of its batches; BadFileError for one that holds anything else."""
    found: dict[str, list[tuple[_Array, _Array]]] = {"train": [], "test": []}
    classes: tuple[str, ...] | None = None
    files = _cifar_files(path)
    fine = "fine_label_names.txt" in files or "meta" in files
    for name, file in files.items():
        with opened(file) as stream:
            content = stream.read()
        if name in ("batches.meta", "meta"):
            classes = _cifar_names(file, read_pickle(content, file))
        elif name.endswith(".txt"):
            classes = tuple(content.decode("utf-8", "replace").split())
        else:
            read = _binary_batch if name.endswith(".bin") else _pickled_batch
            found["test" if name.startswith("test") else "train"].append(read(content, file, fine))
    parts = {}
    for part, batches in found.items():
        if batches:
            images, labels = map(np.concatenate, zip(*batches, strict=True))
            parts[part] = RawPart(images, labels, f"{part} data", part)
    if "train" not in parts:
        raise BadFileError(path, "has no training batch", "Put data_batch_1 and so on there too.")
    return RawArrays(parts, classes)


def _binary_batch(content: bytes, path: AnyFile, fine: bool) -> tuple[_Array, _Array]:
    """Records of one label (CIFAR-10) or two (CIFAR-100: coarse, fine) and 3,072 pixels, red first."""
    labels = 2 if fine else 1
    if not content or len(content) % (labels + _PIXELS):
        reason = f"has {len(content):,} bytes, which is no number of records of {labels + _PIXELS:,}"
        raise BadFileError(path, reason, _AGAIN)
    table = np.frombuffer(content, np.uint8).reshape(-1, labels + _PIXELS)
    return table[:, labels:].reshape(-1, *_CIFAR_SHAPE), table[:, labels - 1].astype(np.int64)


def _pickled_batch(content: bytes, path: AnyFile, _: bool) -> tuple[_Array, _Array]:
    batch = read_pickle(content, path)
    data = batch.get("data") if isinstance(batch, dict) else None
    labels = next((batch[key] for key in ("labels", "fine_labels") if key in batch), None) if data is not None else None
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != _PIXELS or not isinstance(labels, list):
        raise BadFileError(path, "holds no batch of CIFAR: data (N, 3072) and labels", _AGAIN)
    return data.reshape(-1, *_CIFAR_SHAPE), np.array(labels, dtype=np.int64)


def _cifar_names(path: AnyFile, table: Any) -> tuple[str, ...]:
    names = next((table[key] for key in ("label_names", "fine_label_names") if key in table), None)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadFileError(path, "holds no names of classes", _AGAIN)
    return tuple(names)


_CALLS = {"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct", "numpy ndarray", "numpy dtype",
          "_codecs encode"}  # fmt: skip


@dataclass(eq=False)
class _Made:
    """What a pickle would make: a name that it calls, the arguments and the state. Calling it only records them."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __call__(self, *arguments: Any) -> _Made:
        return _Made(self.name, arguments)

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle._Unpickler):
    """The one in Python: the one in C allocates whatever size a damaged file names, as does this opcode."""

    dispatch: ClassVar = {
        code: load for code, load in pickle._Unpickler.dispatch.items() if code != pickle.BYTEARRAY8[0]
    }

    def find_class(self, module: str, name: str) -> _Made:
        if (wanted := f"{module} {name}") not in _CALLS:
            raise ValueError(f"it wants {wanted!r}")
        return _Made(wanted)


def read_pickle(content: bytes, path: AnyFile) -> Any:
    """The dicts, lists, texts, numbers and NumPy arrays that a pickle describes; nothing in it is imported or called.

    Texts come as str, read as Latin-1 where they are bytes. Anything else is a BadFileError.
    """
    try:
        return _value(_Unpickler(io.BytesIO(content), encoding="latin-1").load(), {})
    except Exception as error:  # of many kinds, as above
        reason = f"not a pickle of plain values and arrays ({first_line(error)[:120]}); nothing was run"
        raise BadFileError(path, reason, "Give CIFAR's own batches, or save the arrays by numpy.savez.") from None


def _value(thing: Any, seen: dict[int, Any], level: int = 0) -> Any:
    """The value, with each described array built.

    What a pickle names many times is built once, and nothing lies deeper than a list in a dict: a short file could
    otherwise stand for more than memory holds.
    """
    if isinstance(thing, (list, dict)) and level < 2:
        if id(thing) not in seen:
            parts = [_value(each, seen, level + 1) for each in thing]
            inside = [_value(each, seen, level + 1) for each in thing.values()] if isinstance(thing, dict) else ()
            seen[id(thing)] = dict(zip(parts, inside, strict=True)) if isinstance(thing, dict) else parts
        return seen[id(thing)]
    if isinstance(thing, bytes):
        return thing.decode("latin-1")
    if isinstance(thing, _Made) and thing.name == "_codecs encode":
        text, codec = thing.arguments
        if codec not in ("latin1", "latin-1"):
            raise ValueError(f"bytes in {codec!r}")
        return text
    if isinstance(thing, _Made):
        return _array(*thing.state)
    if thing is None or isinstance(thing, (str, int, float, tuple)):
        return thing
    raise ValueError(f"it holds a {type(thing).__name__} at level {level}")


def _array(_: int, shape: tuple[int, ...], kind: _Made, by_columns: bool, values: Any) -> _Array:
    """The array of such a state, as NumPy pickles it."""
    described = str(_value(kind.arguments[0], {}))
    if kind.name != "numpy dtype" or not re.fullmatch(r"[<>|]?[uif][1248]|[<>|]?b1", described):
        raise ValueError(f"an array of {described!r}")
    flat: _Array = np.frombuffer(_value(values, {}).encode("latin-1"), np.dtype(described))
    return flat.reshape(shape[::-1]).T if by_columns else flat.reshape(shape)


# --- LIBSVM -------------------------------------------------------------------------------------------------


def read_usps(train: str, test: str) -> RawArrays:
    """USPS from LIBSVM's text: a label from 1 to 10 and 256 values from −1 to 1 a line, else DataError."""
    return RawArrays({"train": _libsvm(train, "train"), "test": _libsvm(test, "test")}, tuple("0123456789"))


def _libsvm(text: str, part: str) -> RawPart:
    labels, rows = [], []
    for number, line in enumerate(text.splitlines(), 1):
        label, *cells = line.split()
        try:
            row = np.full(256, -1.0)
            for cell in cells:
                place, value = cell.split(":")
                row[int(place) - 1] = float(value)
            labels.append(int(float(label)) - 1)
        except (ValueError, IndexError):
            raise DataError(f"usps {part}: line {number} is not a label and index:value pairs. {_AGAIN}") from None
        rows.append(row)
    images = (np.array(rows).reshape(-1, 16, 16) + 1) / 2
    return RawPart(images, np.array(labels), f"{part} images", f"{part} labels")


def _head(path: AnyFile, count: int) -> bytes:
    try:
        with opened(path) as file:
            return file.read(count)
    except OSError:
        return b""
