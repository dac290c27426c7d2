"""What the header of a safetensors file says about its tensors, read with distrust.

Every function here raises ValueError with the reason; `tensorfile` adds the name of the file. The format:
https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple, NoReturn

import torch

DTYPES: dict[str, torch.dtype] = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "U16": torch.uint16,
    "I16": torch.int16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E8M0": torch.float8_e8m0fnu,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}

_LARGEST = 1 << 62  # of a tensor's bytes, with sizes 0 taken as 1: strides stay within 64 bits


class TensorInfo(NamedTuple):
    """One tensor before it is read: its dtype, its shape, and where its bytes lie in the data part."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    end: int


def parse_layout(head: bytes, data_size: int) -> tuple[dict[str, str], dict[str, TensorInfo]]:
    """The metadata and the tensors of a safetensors header, in the order of their bytes.

    Args:
        head: the header, as it lies in the file.
        data_size: bytes that follow it.

    Raises:
        ValueError: not JSON, unknown dtypes, impossible shapes, or tensors that do not fill the data exactly.
        RecursionError: JSON nested too deeply.
    """
    table = strict_json(head.decode())
    if not isinstance(table, dict):
        raise ValueError("its header is not a JSON object")
    metadata = table.pop("__metadata__")
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
    width = DTYPES[kind].itemsize
    if len(shape) > 32 or math.prod(max(size, 1) for size in shape) * width > _LARGEST:
        raise ValueError(f"the tensor {name[:80]!r} has an impossible shape")
    needed = math.prod(shape) * width
    if end - start != needed:
        raise ValueError(f"the tensor {name[:80]!r} takes {end - start} bytes, and its shape needs {needed}")
    return TensorInfo(DTYPES[kind], tuple(shape), start, end)


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
