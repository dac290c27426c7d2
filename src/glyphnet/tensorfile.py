"""The sealed container of model files and checkpoints: tensors and a JSON header in one ``.safetensors``.

A valid safetensors file whose ``__metadata__`` holds ``glyphnet``, our header as JSON text, and ``sha256``, the seal:
the SHA-256 of the whole file with the seal's own 64 characters replaced by ``0``. It stands at a known offset and is
checked before one character of JSON is parsed. It does not show who made the file: everything in it is checked anyway.
`read_arrays` reads one without torch.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from .errors import CorruptFileError, ModelFileError, UnsupportedFileError
from .filekinds import looks_like
from .files import atomic_write, open_input

if TYPE_CHECKING:
    import torch

MAX_HEADER = 1 << 20
"""Largest safetensors header, in bytes, that is written or read."""

Header = dict[str, Any]
Check = Callable[[Header, Mapping[str, "TensorInfo"]], None]

_CHUNK = 1 << 20
_OPENING = b'{"__metadata__":{"sha256":"'
_SEAL = slice(len(_OPENING), len(_OPENING) + 64)
_BLANK = b"0" * 64
_WHAT = {"model": "a model", "checkpoint": "a training checkpoint", "backbone": "a backbone"}


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], header: Header, *, follow: bool = False
) -> None:
    """Write ``tensors`` and ``header`` as a sealed file, all or nothing; the same content gives the same bytes.

    Args:
        path: the file; its folder must exist.
        tensors: by name, on any device, in any memory format; each is stored whole and row-major.
        header: what JSON holds, without NaN or infinity, with ``kind`` ("model", "checkpoint" or "backbone") and
            ``format_version`` (an integer from 1).
        follow: see `atomic_write`.

    Raises:
        ModelFileError: a tensor or a value that such a file cannot hold, or a header of more than 1 MiB.
        OSError: the file cannot be written.
    """
    if not (isinstance(header.get("kind"), str) and _is_version(header.get("format_version"))):
        raise ModelFileError(f"{path}: the header to write lacks `kind` (a string) or `format_version` (an integer).")
    try:
        text = json.dumps(header, allow_nan=False, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: the header cannot be written as JSON: {error}.") from None
    head, raw = _head_of(path, tensors, text)
    digest = hashlib.sha256(len(head).to_bytes(8, "little") + head)
    for part in raw:
        digest.update(part)
    with atomic_write(path, follow=follow) as file:
        file.write(len(head).to_bytes(8, "little"))
        file.write(head[: _SEAL.start] + digest.hexdigest().encode() + head[_SEAL.stop :])
        for part in raw:
            file.write(part)


def _head_of(
    path: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], text: str
) -> tuple[bytes, list[memoryview]]:
    """The safetensors header with a blank seal, and the bytes of the tensors in the order of the file."""
    layout: dict[str, object] = {"__metadata__": {"sha256": _BLANK.decode(), "glyphnet": text}}
    raw: list[memoryview] = []
    end = 0
    # Widest items first, then by name, as the library does it: so each begins at a multiple of its item size.
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):
        dtype = DTYPE_NAMES.get(str(tensor.dtype))
        if dtype is None or name == "__metadata__" or not _is_encodable(name):
            raise ModelFileError(
                f"{path}: the tensor {name!r} ({tensor.dtype}) cannot be stored in a safetensors file."
            )
        raw.append(_bytes_of(tensor))
        offsets = [end, end := end + raw[-1].nbytes]
        layout[name] = {"dtype": dtype, "shape": [*tensor.shape], "data_offsets": offsets}
    head = json.dumps(layout, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    if len(head) > MAX_HEADER:
        raise ModelFileError(
            f"{path}: the header would take {len(head):,} bytes, and {MAX_HEADER:,} is the limit. "
            "Shorten the class names or what else is written with the tensors."
        )
    return head, raw


def read_tensors(
    path: str | os.PathLike[str], *, kind: str, newest: int = 1, check: Check | None = None,
    device: str | torch.device = "cpu",
) -> tuple[Header, dict[str, torch.Tensor]]:  # fmt: skip
    """Read a sealed file that `write_tensors` wrote.

    Args:
        path: the file.
        kind: "model", "checkpoint" or "backbone".
        newest: the newest format version of this kind that the caller can read.
        check: called with the header and each tensor's dtype and shape before any tensor is read; raises if they are
            not what the caller expects.
        device: where the tensors go.

    Returns:
        The header, and the tensors by name in the file's order, each in memory of its own.

    Raises:
        CorruptFileError: truncated, altered, or not such a file at all.
        UnsupportedFileError: sound, but of another kind, or of a version newer than ``newest``.
        ModelFileError: it is not there or cannot be read.
    """
    header, tensors = _read(path, kind, newest, check, _empty_tensor)
    return header, {name: tensor.to(device) for name, tensor in tensors.items()}


def read_arrays(
    path: str | os.PathLike[str], *, kind: str, newest: int, check: Check
) -> tuple[Header, dict[str, npt.NDArray[Any]]]:
    """The same as arrays, without torch; ``check`` must refuse what NumPy lacks: bfloat16 and float8."""

    def make(info: TensorInfo) -> tuple[npt.NDArray[Any], memoryview]:
        array = np.empty(info.shape, DTYPES[info.dtype])
        return array, array.reshape(-1).view(np.uint8).data

    return _read(path, kind, newest, check, make)


Made = TypeVar("Made")


def _read(
    path: str | os.PathLike[str], kind: str, newest: int, check: Check | None,
    make: Callable[[TensorInfo], tuple[Made, memoryview]],
) -> tuple[Header, dict[str, Made]]:  # fmt: skip
    """Read a file into what ``make`` gives for each tensor, beside its memory."""
    with _open(path) as file:
        header, layout, start = _verify(file, path)
        _check_kind(path, header, kind, newest)
        if check is not None:
            check(header, layout)
        return header, _filled(file, path, layout, start, make)


def _filled(
    file: BufferedReader, path: str | os.PathLike[str], layout: Mapping[str, TensorInfo], start: int,
    make: Callable[[TensorInfo], tuple[Made, memoryview]],
) -> dict[str, Made]:  # fmt: skip
    """Every tensor of a file whose data begin at byte ``start``."""
    found: dict[str, Made] = {}
    for name, info in layout.items():
        found[name], memory = make(info)
        file.seek(start + info.start)
        if memory.nbytes and file.readinto(memory) != memory.nbytes:
            raise CorruptFileError(f"{path}: became shorter while it was read.")
        if info.dtype == "BOOL" and max(memory, default=0) > 1:
            raise CorruptFileError(f"{path}: the tensor {name!r} holds truth values other than 0 and 1.")
    return found


def _empty_tensor(info: TensorInfo) -> tuple[torch.Tensor, memoryview]:
    import torch

    raw = torch.empty(info.end - info.start, dtype=torch.uint8)
    return raw.view(getattr(torch, DTYPES[info.dtype])).reshape(info.shape), _memory(raw)


def read_plain_tensors(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file of somebody else's, by name.

    Raises:
        CorruptFileError: it is no such file, or damaged.
        ModelFileError: it is not there or cannot be read.
    """
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        try:
            if not 2 <= length <= min(MAX_HEADER, size - 8):
                raise ValueError("its header has an impossible length")
            _, layout = parse_layout(file.read(length), size - 8 - length)
        except (ValueError, RecursionError) as error:
            raise CorruptFileError(f"{path}: is no sound safetensors file: {str(error)[:300]}.") from None
        return _filled(file, path, layout, 8 + length, _empty_tensor)


def _open(path: str | os.PathLike[str]) -> BufferedReader:
    try:
        return open_input(path)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: there is no such file.") from None
    except IsADirectoryError:
        inside = sorted(Path(path).glob("*.safetensors"))
        # Of a run folder's two, nearly always the model is meant: it comes after the checkpoint.
        hint = f" Did you mean {inside[-1]}?" if inside else ""
        raise CorruptFileError(
            f"{path}: is a folder; a .safetensors file that GlyphNet wrote is needed.{hint}"
        ) from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}.") from None
    except ValueError as error:  # a NUL in the name
        raise ModelFileError(f"{path!r}: cannot be read: {error}.") from None


def _verify(file: BufferedReader, path: str | os.PathLike[str]) -> tuple[Header, dict[str, TensorInfo], int]:
    """Check the seal, then the header; returns our header, the tensors' places and where the data begin."""
    size = os.fstat(file.fileno()).st_size
    prefix, head = _read_head(file, path, size)
    digest = hashlib.sha256(prefix + head[: _SEAL.start] + _BLANK + head[_SEAL.stop :])
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    if digest.hexdigest().encode() != head[_SEAL]:
        raise CorruptFileError(
            f"{path}: its content does not match its own SHA-256: it was truncated or altered. Get or make it again."
        )
    start = len(prefix) + len(head)
    try:
        metadata, layout = parse_layout(head, size - start)
        header = strict_json(metadata["glyphnet"])
        if set(metadata) != {"sha256", "glyphnet"} or not isinstance(header, dict):
            raise ValueError("its metadata are not GlyphNet's")
        if not (isinstance(header.get("kind"), str) and _is_version(header.get("format_version"))):
            raise ValueError("its header lacks `kind` or `format_version`")
    except RecursionError:
        raise CorruptFileError(f"{path}: is no sound GlyphNet file: its JSON is nested too deeply.") from None
    except (ValueError, KeyError) as error:
        reason = f"{error.args[0]!r} is missing in it" if isinstance(error, KeyError) else str(error)[:300]
        raise CorruptFileError(f"{path}: is no sound GlyphNet file: {reason}.") from None
    return header, layout, start


def _read_head(file: BufferedReader, path: str | os.PathLike[str], size: int) -> tuple[bytes, bytes]:
    """The 8-byte length and the safetensors header, unparsed: never more than 1 MiB is read."""
    prefix = file.read(8)
    length = int.from_bytes(prefix, "little")
    if size == 0:
        raise CorruptFileError(f"{path}: is empty; a .safetensors file that GlyphNet wrote is needed.")
    head = file.read(min(length, MAX_HEADER))
    if not head.startswith(_OPENING) and (what := looks_like(prefix + head)):
        raise CorruptFileError(f"{path}: looks like {what}; a .safetensors file that GlyphNet wrote is needed.")
    if head.startswith(_OPENING) and _SEAL.stop < length <= MAX_HEADER:
        if len(head) == length:
            return prefix, head
        raise CorruptFileError(f"{path}: is truncated: {size:,} bytes are there, in the middle of its header.")
    if head.startswith(b"{"):
        raise CorruptFileError(
            f"{path}: looks like a safetensors file that GlyphNet did not write, or whose header was altered "
            f"({length:,} bytes of header)."
        )
    raise CorruptFileError(f"{path}: is no file that GlyphNet wrote, or its beginning is lost or altered.")


def _check_kind(path: str | os.PathLike[str], header: Header, kind: str, newest: int) -> None:
    if header["kind"] != kind:
        found = _WHAT.get(header["kind"], f"a file of kind {header['kind'][:40]!r}")
        raise UnsupportedFileError(f"{path}: is {found}, and {_WHAT.get(kind, kind)} is needed.")
    if header["format_version"] > newest:
        raise UnsupportedFileError(
            f"{path}: has format version {header['format_version']}, and this GlyphNet reads up to {newest}. "
            "Upgrade with: pip install --upgrade glyphnet"
        )


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    """The elements of a tensor, row-major, as bytes; copied only where they do not lie so already."""
    import torch

    return _memory(tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8))


def _memory(flat: torch.Tensor) -> memoryview:
    """The memory of a flat uint8 tensor on the CPU, to be read or filled."""
    array: npt.NDArray[np.uint8] = flat.numpy()
    return array.data


def _is_version(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


# What the header of a safetensors file says about its tensors, read with distrust


DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}
"""The types of numbers in such files, with torch's names; all but bfloat16 and float8 are NumPy's, too."""

DTYPE_NAMES = {f"torch.{name}": kind for kind, name in DTYPES.items()}


def _item_size(kind: str) -> int:
    """Bytes that one number takes."""
    return 1 if kind == "BOOL" else int("".join(filter(str.isdigit, kind.partition("_")[0]))) // 8


_LARGEST = 1 << 62  # of a tensor's bytes, with sizes 0 taken as 1: strides stay within 64 bits


class TensorInfo(NamedTuple):
    """One tensor before it is read: its dtype (of `DTYPES`), its shape, and where its bytes lie in the data part."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def parse_layout(head: bytes, data_size: int) -> tuple[dict[str, str], dict[str, TensorInfo]]:
    """The metadata and the tensors of a safetensors header, in the order of the ``data_size`` bytes that follow it.

    Raises:
        ValueError: not JSON, unknown dtypes, impossible shapes, or tensors that do not fill the data exactly.
        RecursionError: JSON nested too deeply.
    """
    table = strict_json(head.decode())
    if not isinstance(table, dict):
        raise ValueError("its header is not a JSON object")
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata are not strings")
    layout = {name: _tensor_info(name, entry) for name, entry in table.items()}
    layout = dict(sorted(layout.items(), key=lambda item: (item[1].start, item[1].end)))
    end = 0
    for name, info in layout.items():
        if info.start != end:
            raise ValueError(f"the tensor {name[:80]!r} begins at byte {info.start}, and {end} is where it must begin")
        end = info.end
    if end != data_size:
        raise ValueError(f"its tensors take {end:,} bytes, and {data_size:,} are there")
    return metadata, layout


def strict_json(text: str) -> Any:
    """Parse JSON and nothing more: no repeated keys, no NaN, no infinity, no number that overflows to it."""
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)


def _tensor_info(name: str, entry: object) -> TensorInfo:
    match entry:
        case {"dtype": str(kind), "shape": list(shape), "data_offsets": [start, end], **others} if not others:
            pass
        case _:
            raise ValueError(f"the tensor {name[:80]!r} is not described by dtype, shape and two data_offsets")
    if kind not in DTYPES:
        raise ValueError(f"the tensor {name[:80]!r} has the unknown dtype {kind[:20]!r}")
    if not all(type(number) is int and 0 <= number < _LARGEST for number in (*shape, start, end)):
        raise ValueError(f"the tensor {name[:80]!r} has sizes or offsets that are not whole numbers in range")
    width = _item_size(kind)
    if len(shape) > 32 or math.prod(max(size, 1) for size in shape) * width > _LARGEST:
        raise ValueError(f"the tensor {name[:80]!r} has an impossible shape")
    needed = math.prod(shape) * width
    if end - start != needed:
        raise ValueError(f"the tensor {name[:80]!r} takes {end - start} bytes, and its shape needs {needed}")
    return TensorInfo(kind, tuple(shape), start, end)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is there twice in its JSON")
    return table


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} stands in its JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} in its JSON is out of range")
    return number
