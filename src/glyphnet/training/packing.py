"""Nested states as plain JSON beside named tensors: the form in which a checkpoint is written.

Dictionaries keep the type of their keys (PyTorch's optimizers number their states), tuples stay tuples, and every
number comes back bit for bit.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor


def pack(value: Any) -> tuple[Any, dict[str, Tensor]]:
    """``value`` as JSON, and the tensors that were in it by the names that the JSON refers to.

    Args:
        value: None, bool, int, float, str, tensors, and dicts, lists and tuples of such.

    Raises:
        TypeError: anything else, with its type and place.
    """
    tensors: dict[str, Tensor] = {}
    return _pack(value, "", tensors), tensors


def unpack(packed: Any, tensors: dict[str, Tensor]) -> Any:
    """What `pack` was given."""
    if not isinstance(packed, dict):
        return packed
    (kind, content), *_ = packed.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "float":
        return float.fromhex(content)
    if kind == "dict":
        return {unpack(key, tensors): unpack(value, tensors) for key, value in content}
    items = [unpack(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items


def _pack(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        # Positions, not paths, so that a name of a layer never makes a name of a tensor too long or odd.
        name = f"t{len(tensors):05d}"
        tensors[name] = value
        return {"tensor": name}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, dict):
        rows = [[_pack(key, place, tensors), _pack(item, f"{place}.{key}", tensors)] for key, item in value.items()]
        return {"dict": rows}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_pack(item, f"{place}[{index}]", tensors) for index, item in enumerate(value)]}
    raise TypeError(f"{place or 'value'} is a {type(value).__name__}, which a checkpoint cannot hold")
