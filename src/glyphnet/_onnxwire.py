"""An ONNX file looked into without the onnx package: its metadata, and whether it reaches for other files.

Protocol Buffers' wire format (https://protobuf.dev/programming-guides/encoding) needs no schema to be walked; the
numbers of the few fields that matter are those of onnx.proto. ONNX Runtime would open files that a model's weights
refer to, relative to the working directory: what a stranger's file names is not to be opened.
"""

from __future__ import annotations

from collections.abc import Iterator

Field = tuple[int, "int | memoryview"]

_DEEPEST = 16  # graphs within attributes within graphs: ours have none

# Message → number of a field → the message that it holds.
_HOLDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_METADATA = 14  # of a model: metadata_props
_EXTERNAL = (13, 14)  # of a tensor: external_data, data_location
_FIXED = {1: 8, 5: 4}  # wire type → bytes


def read_metadata(content: bytes) -> dict[str, str]:
    """The metadata of an ONNX model, empty where it has none.

    Raises:
        ValueError: this is no sound protocol buffer.
    """
    entries = [dict(_fields(_message(value))) for number, value in _fields(memoryview(content)) if number == _METADATA]
    return {_text(entry.get(1)): _text(entry.get(2)) for entry in entries}


def reaches_outside(content: bytes) -> bool:
    """Whether the weights of an ONNX model, any of them, lie in other files.

    Raises:
        ValueError: this is no sound protocol buffer, or nested without end.
    """
    return _reaches_outside(memoryview(content), "model", 0)


def _reaches_outside(data: memoryview, message: str, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    for number, value in _fields(data):
        inner = _HOLDS[message].get(number)
        if message == "tensor" and number in _EXTERNAL and value != 0:
            return True
        if inner is not None and _reaches_outside(_message(value), inner, depth + 1):
            return True
    return False


def _fields(data: memoryview) -> Iterator[Field]:
    """Each field's number with its value: whole numbers as such, everything else as bytes."""
    place = 0
    while place < len(data):
        key, place = _number(data, place)
        kind = key & 7
        if key < 8:
            raise ValueError("it has a field without a number")
        if kind == 0:
            value, place = _number(data, place)
            yield key >> 3, value
            continue
        if kind == 2:
            length, place = _number(data, place)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ValueError(f"it has a field of the unknown kind {kind}")
        if place + length > len(data):
            raise ValueError("it ends in the middle of a field")
        yield key >> 3, data[place : place + length]
        place += length


def _number(data: memoryview, place: int) -> tuple[int, int]:
    """A whole number of 7 bits a byte, the lowest first, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise ValueError("it ends in the middle of a number")
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("it has a number without end")


def _message(value: int | memoryview | None) -> memoryview:
    if not isinstance(value, memoryview):
        raise ValueError("it has a number where a message belongs")
    return value


def _text(value: int | memoryview | None) -> str:
    return "" if value is None else bytes(_message(value)).decode()
