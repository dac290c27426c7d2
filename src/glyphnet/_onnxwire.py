"""Reads an ONNX file without the onnx package, and refuses every graph that `glyphnet export` does not write.

A stranger's graph may loop for ever, allocate without bound or open other files. ONNX Runtime prevents none of this, so
the graph is checked before a session sees it: its operators, attributes, shapes and cost. `OPERATORS` is the one table
of what is allowed; an export that uses a new operator adds a row.

Protocol Buffers' wire format (https://protobuf.dev/programming-guides/encoding) can be read without a schema. The
field numbers are those of onnx.proto.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np

from .settings import MOST_MULTIPLICATIONS, MOST_VALUES, batch_size

Shape: TypeAlias = tuple[int, ...]
Field: TypeAlias = tuple[int, "int | memoryview"]
Setting: TypeAlias = int | float | str | Shape

MOST_NODES = 20_000
"""Nodes, and constants, of a graph; an ensemble of 100 residual networks has about 6,000."""
OPSETS = {"": 17, "com.microsoft": 1}
"""Domain of operators → the version that exports use. The second is of an LSTM with 8-bit weights."""

_MOST_FIELDS = 100_000  # of a message
_MOST_AXES = 8
_LARGEST_WINDOW = 64  # pixels of a kernel, a stride or a padding
_FIXED = {1: 8, 5: 4}  # wire type → bytes
_DTYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64}
_UINT8 = 2
SEALED = "sealed"
"""The first entry of the metadata of a file that has a seal, so that a cut that takes the seal leaves this."""
_SEAL = "sha256"


# --- the seal ------------------------------------------------------------------------------------------------


def seal(content: bytes) -> bytes:
    """An ONNX file with its own SHA-256 as the last entry of its metadata."""
    return content + _seal_of(content)


def unsealed(content: bytes) -> bytes:
    """A sealed file without its seal."""
    return content[: -len(_seal_of(b""))]


def check_seal(content: bytes, metadata: Mapping[str, str]) -> bool:
    """Whether a file is sealed; files of earlier versions are not.

    Raises:
        ValueError: it is, and was altered since.
    """
    body = unsealed(content)
    if content == body + _seal_of(body):
        return True
    if metadata.keys() & {_SEAL, SEALED}:
        raise ValueError("its content does not match its own SHA-256: it was truncated or altered")
    return False


def _seal_of(content: bytes) -> bytes:
    """The entry as ONNX stores it: field 14 of the model, a message of a key (1) and a value (2)."""
    key, value = _SEAL.encode(), f'"{hashlib.sha256(content).hexdigest()}"'.encode()
    entry = bytes([0x0A, len(key)]) + key + bytes([0x12, len(value)]) + value
    return bytes([0x72, len(entry)]) + entry


# --- the file's structure ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Node:
    """One operator of a graph."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, Setting]


class Constant(NamedTuple):
    """A constant of a graph; ``values`` only of short lists of int64, which are shapes and places."""

    shape: Shape
    values: tuple[int, ...] | None


@dataclass(frozen=True)
class Graph:
    """What an ONNX file holds.

    Attributes:
        metadata: each key with its text.
        opsets: domain of operators → version.
        nodes: in the order of computation.
        constants: by name.
        inputs: name → shape; -1 for an axis that has a name instead of a size.
        outputs: names.
    """

    metadata: dict[str, str] = field(default_factory=dict)
    opsets: dict[str, int] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)
    inputs: dict[str, Shape] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)


def read_graph(content: bytes) -> Graph:
    """The metadata and the graph of an ONNX file.

    Raises:
        OutsideError: weights lie in other files.
        ValueError: not such a file, or it holds something that exports do not.
    """
    found = Graph()
    graphs = 0
    for number, value in _fields(memoryview(content)):
        if number == 7:
            graphs += 1
            _read_parts(found, _bytes(value))
        elif number == 8:
            parts = _single(value)
            found.opsets[_text(parts.get(1))] = _integer(parts.get(2, 0))
        elif number == 14:
            parts = _single(value)
            key = _text(parts.get(1))
            if key in found.metadata:
                raise ValueError(f"its metadata have {key[:40]!r} twice")
            found.metadata[key] = _text(parts.get(2))
        elif number not in (1, 2, 3, 4, 5, 6):  # version, producer, domain, notes
            raise ValueError(f"it has the part {number}, which exports do not have")
    if graphs > 1:
        raise ValueError(f"it has {graphs} graphs")
    return found


def _read_parts(found: Graph, data: memoryview) -> None:
    for number, value in _fields(data):
        if number == 1:
            found.nodes.append(_node(value))
        elif number == 5:
            name, constant = _constant(value)
            if name in found.constants:
                raise ValueError(f"it has two constants {name[:80]!r}")
            found.constants[name] = constant
        elif number == 11:
            name, shape = _described_input(value)
            found.inputs[name] = shape
        elif number == 12:
            found.outputs.append(_text(_first(value, 1)))
        elif number not in (2, 10, 13):  # name, notes, shapes of results
            raise ValueError(f"its graph has the part {number}, which exports do not have")
        if max(len(found.nodes), len(found.constants), len(found.inputs), len(found.outputs)) > MOST_NODES:
            raise ValueError(f"its graph has more than {MOST_NODES:,} nodes or constants")


def _node(value: int | memoryview) -> Node:
    inputs, outputs, settings = [], [], {}
    operator = domain = ""
    for number, part in _fields(_bytes(value)):
        if number == 1:
            inputs.append(_text(part))
        elif number == 2:
            outputs.append(_text(part))
        elif number == 4:
            operator = _text(part)
        elif number == 5:
            name, setting = _attribute(part)
            settings[name] = setting
        elif number == 7:
            domain = _text(part)
        elif number not in (3, 6):  # name, notes
            raise ValueError(f"a node has the part {number}, which exports do not have")
    return Node(f"{domain}.{operator}" if domain else operator, tuple(inputs), tuple(outputs), settings)


def _float(value: int | memoryview) -> float:
    content = _bytes(value)
    if len(content) != 4:
        raise ValueError(f"a number has {len(content)} bytes instead of 4")
    return float(struct.unpack("<f", content)[0])


def _attribute(value: int | memoryview) -> tuple[str, Setting]:
    name, whole = "", []
    setting: Setting | None = None
    for number, part in _fields(_bytes(value)):
        if number == 1:
            name = _text(part)
        elif number == 2:
            setting = _float(part)
        elif number == 3:
            setting = _integer(part)
        elif number == 4:
            setting = _text(part)
        elif number == 8:
            whole += _integers(part)
        elif number != 20:  # the type, which the value shows
            raise ValueError("a setting of a node is a graph, a tensor or something else that exports do not have")
    return name, tuple(whole) if setting is None else setting


def _constant(value: int | memoryview) -> tuple[str, Constant]:
    dims: list[int] = []
    raw: memoryview | None = None
    name, kind, count, whole = "", 0, 0, list[int]()
    for number, part in _fields(_bytes(value)):
        if number == 1:
            dims += _integers(part)
        elif number == 2:
            kind = _integer(part)
        elif number == 4:
            count += len(part) // 4 if isinstance(part, memoryview) else 0
        elif number in (5, 7):
            whole += _integers(part)
        elif number == 8:
            name = _text(part)
        elif number == 9:
            raw = _bytes(part)
        elif number in (13, 14) and part != 0:
            raise OutsideError
        elif number not in (12, 14):  # notes
            raise ValueError(f"a constant has the part {number}, which exports do not have")
    if kind not in _DTYPES or len(dims) > _MOST_AXES or any(side < 1 for side in dims):
        raise ValueError(f"the constant {name[:80]!r} has the type {kind} and the shape {tuple(dims)}")
    size = np.dtype(_DTYPES[kind]).itemsize
    there = len(raw) if raw is not None else (count + len(whole)) * size
    if there != math.prod(dims) * size:
        raise ValueError(f"the constant {name[:80]!r} does not have as many values as its shape {tuple(dims)}")
    if kind != 7 or math.prod(dims) > _MOST_AXES:
        return name, Constant(tuple(dims), None)
    values = whole if raw is None else np.frombuffer(raw, dtype="<i8").tolist()
    return name, Constant(tuple(dims), tuple(values))


class OutsideError(ValueError):
    """Weights lie in other files."""


def _described_input(value: int | memoryview) -> tuple[str, Shape]:
    """The name and shape of an input: ValueInfoProto → TypeProto → Tensor → TensorShapeProto → Dimension."""
    parts = _single(value)
    tensor = _single(_single(parts.get(2)).get(1))
    sides = [_single(side) for number, side in _fields(_bytes(tensor.get(2))) if number == 1]
    if tensor.get(1) != _UINT8 or len(sides) > _MOST_AXES:
        raise ValueError("its input is not `images`, uint8 (N, H, W, C)")
    return _text(parts.get(1)), tuple(_integer(side[1]) if 1 in side else -1 for side in sides)


def _fields(data: memoryview) -> Iterator[Field]:
    """Each field's number with its value: whole numbers as such, everything else as bytes."""
    place = count = 0
    while place < len(data):
        key, place = _number(data, place)
        kind = key & 7
        count += 1
        if key < 8:
            raise ValueError("it has a field without a number")
        if count > _MOST_FIELDS:
            raise ValueError(f"it has more than {_MOST_FIELDS:,} fields in one message")
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


def _single(value: int | memoryview | None) -> dict[int, int | memoryview]:
    """The fields of a message in which each stands once."""
    fields = list(_fields(_bytes(value)))
    parts = dict(fields)
    if len(parts) < len(fields):
        raise ValueError("it has a part twice that stands once in exports")
    return parts


def _first(value: int | memoryview, wanted: int) -> int | memoryview | None:
    return next((part for number, part in _fields(_bytes(value)) if number == wanted), None)


def _bytes(value: int | memoryview | None) -> memoryview:
    if not isinstance(value, memoryview):
        raise ValueError("it has a number where a message belongs")
    return value


def _text(value: int | memoryview | None) -> str:
    return "" if value is None else bytes(_bytes(value)).decode()


def _integer(value: int | memoryview) -> int:
    """A signed whole number of 64 bits."""
    if not isinstance(value, int):
        raise ValueError("it has a message where a number belongs")
    return value - (1 << 64) if value >= 1 << 63 else value


def _integers(value: int | memoryview) -> list[int]:
    """Whole numbers, one alone or several packed."""
    if isinstance(value, int):
        return [_integer(value)]
    found, place = [], 0
    while place < len(value):
        number, place = _number(value, place)
        found.append(_integer(number))
    return found


# --- the graph's cost ----------------------------------------------------------------------------------------


def check_graph(graph: Graph) -> None:
    """Follow the shapes of a batch through a graph, and hold every node to `OPERATORS` and to the bounds.

    Raises:
        ValueError: an unknown operator or setting, impossible shapes, or too much work.
    """
    if not {"": OPSETS[""]}.items() <= graph.opsets.items() <= OPSETS.items():
        raise ValueError(f"its operators are of versions {dict(list(graph.opsets.items())[:4])}, not {OPSETS}")
    [(name, sides)] = graph.inputs.items() if len(graph.inputs) == 1 else [("", ())]
    if name != "images" or len(sides) != 4 or not all(1 <= side <= 4096 for side in sides[1:]):
        raise ValueError("its input is not `images`, uint8 (N, H, W, C)")
    count = batch_size(sides[1:])
    shapes: dict[str, Shape] = {name: constant.shape for name, constant in graph.constants.items()}
    if name in shapes:
        raise ValueError("its input is a constant")
    shapes[name] = (count, *sides[1:])
    work = 0
    for node in graph.nodes:
        results, multiplications = _followed(node, shapes, graph.constants)
        for output, shape in zip(node.outputs, results, strict=False):
            if output in shapes:
                raise ValueError(f"two nodes give {output[:80]!r}")
            if output:
                shapes[output] = shape
        work += multiplications + sum(map(math.prod, results))
        if work > count * MOST_MULTIPLICATIONS or any(math.prod(shape) > MOST_VALUES for shape in results):
            raise ValueError(f"its graph needs more than {MOST_MULTIPLICATIONS:,} multiplications for an image")
    if missing := [name for name in graph.outputs if name not in shapes]:
        raise ValueError(f"no node gives its output {missing[0][:80]!r}")


def _followed(
    node: Node, shapes: Mapping[str, Shape], constants: Mapping[str, Constant]
) -> tuple[Sequence[Shape], int]:
    """The shapes that a node gives, and its multiplications."""
    row = OPERATORS.get(node.operator)
    if row is None:
        raise ValueError(f"it uses the operator {node.operator[:80]!r}, which exports do not use")
    if unknown := node.settings.keys() - set(row.settings):
        raise ValueError(f"{node.operator} has the setting {min(unknown)[:80]!r}, which exports do not use")
    for name in node.inputs:
        if name and name not in shapes:
            raise ValueError(f"{node.operator} reads {name[:80]!r}, which nothing before it gives")
    given = [shapes[name] if name else () for name in node.inputs]
    values = [constants[name].values if name in constants else None for name in node.inputs]
    try:
        results, multiplications = row.follow(_Call(node.settings, given, values))
    except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{node.operator} cannot be computed for the shapes {given} ({error})"[:300]) from None
    if any(side < 0 for shape in results for side in shape) or len(node.outputs) > len(results):
        raise ValueError(f"{node.operator} cannot be computed for the shapes {given}"[:300])
    return results, multiplications


@dataclass(frozen=True)
class _Call:
    """A node with the shapes of its inputs, and the values of those that are short constants."""

    settings: Mapping[str, Setting]
    shapes: Sequence[Shape]
    values: Sequence[tuple[int, ...] | None]

    def whole(self, name: str, default: int | None = None) -> int:
        value = self.settings.get(name, default)
        if not isinstance(value, int):
            raise ValueError(f"{name} is {value!r}")
        return value

    def window(self, name: str, count: int) -> Shape:
        value = self.settings[name]
        if not isinstance(value, tuple) or len(value) != count or not all(0 <= v <= _LARGEST_WINDOW for v in value):
            raise ValueError(f"{name} is {value!r}")
        return value

    def known(self, place: int) -> tuple[int, ...]:
        value = self.values[place]
        if value is None:
            raise ValueError(f"input {place} is not a short constant")
        return value


_Followed: TypeAlias = tuple[Sequence[Shape], int]


def _broadcast(call: _Call) -> _Followed:
    return [tuple(np.broadcast_shapes(*call.shapes))], 0


def _same(call: _Call) -> _Followed:
    return [call.shapes[0]], 0


def _reduced(call: _Call) -> _Followed:
    shape = call.shapes[0]
    axes = call.settings.get("axes", (call.settings.get("axis"),))
    if not isinstance(axes, tuple) or not all(isinstance(axis, int) and 0 <= axis < len(shape) for axis in axes):
        raise ValueError(f"its axes are {axes!r}")
    kept = call.whole("keepdims", 1)
    sides = [1 if place in axes else side for place, side in enumerate(shape)]
    result = tuple(side for place, side in enumerate(sides) if kept or place not in axes)
    return [result], math.prod(shape)


def _convolved(call: _Call) -> _Followed:
    (count, channels, *sides), (outputs, inputs, *kernel) = call.shapes[:2]
    if channels != inputs or tuple(kernel) != call.window("kernel_shape", 2):
        raise ValueError("its weights do not fit")
    result = (count, outputs, *_windows(call, sides, kernel, call.window("pads", 4)))
    return [result], math.prod(result) * inputs * math.prod(kernel)


def _pooled(call: _Call) -> _Followed:
    count, channels, *sides = call.shapes[0]
    kernel = call.window("kernel_shape", 2)
    result = (count, channels, *_windows(call, sides, kernel, (0, 0, 0, 0)))
    return [result], math.prod(result) * math.prod(kernel)


def _windows(call: _Call, sides: Sequence[int], kernel: Sequence[int], pads: Shape) -> Iterator[int]:
    for axis, stride in enumerate(call.window("strides", 2)):
        yield (sides[axis] + pads[axis] + pads[axis + 2] - kernel[axis]) // stride + 1


def _mean_pixel(call: _Call) -> _Followed:
    count, channels, *sides = call.shapes[0]
    return [(count, channels, *[1 for _ in sides])], math.prod(call.shapes[0])


def _flattened(call: _Call) -> _Followed:
    shape, axis = call.shapes[0], call.whole("axis")
    return [(math.prod(shape[:axis]), math.prod(shape[axis:]))], 0


def _dense(call: _Call) -> _Followed:
    (count, inputs), weights = call.shapes[:2]
    outputs, fitting = weights if call.whole("transB", 0) else weights[::-1]
    if inputs != fitting:
        raise ValueError("its weights do not fit")
    return [(count, outputs)], count * inputs * outputs


def _product(call: _Call) -> _Followed:
    (count, inner), (fitting, outputs) = call.shapes[:2]
    if inner != fitting:
        raise ValueError("its matrices do not fit")
    return [(count, outputs)], count * inner * outputs


def _joined(call: _Call) -> _Followed:
    axis, first = call.whole("axis"), call.shapes[0]
    if any(shape[:axis] + shape[axis + 1 :] != first[:axis] + first[axis + 1 :] for shape in call.shapes):
        raise ValueError("its parts do not fit")
    return [(*first[:axis], sum(shape[axis] for shape in call.shapes), *first[axis + 1 :])], 0


def _reshaped(call: _Call) -> _Followed:
    shape, wanted = call.shapes[0], call.known(1)
    sides = [shape[place] if side == 0 else side for place, side in enumerate(wanted)]
    if sides.count(-1) == 1:
        known = math.prod(side for side in sides if side != -1)
        sides[sides.index(-1)] = math.prod(shape) // known
    if math.prod(sides) != math.prod(shape):
        raise ValueError(f"its new shape is {wanted}")
    return [tuple(sides)], 0


def _sliced(call: _Call) -> _Followed:
    sides = list(call.shapes[0])
    for start, end, axis in zip(*(call.known(place) for place in (1, 2, 3)), strict=True):
        if axis < 0:
            raise ValueError(f"an axis is {axis}")
        sides[axis] = len(range(sides[axis])[start:end])
    return [tuple(sides)], 0


def _transposed(call: _Call) -> _Followed:
    shape, order = call.shapes[0], call.settings["perm"]
    if not isinstance(order, tuple) or sorted(order) != list(range(len(shape))):
        raise ValueError(f"perm is {order!r}")
    return [tuple(shape[place] for place in order)], 0


def _recurrent(call: _Call) -> _Followed:
    (rows, count, inputs), weights, states = call.shapes[:3]
    hidden, directions = call.whole("hidden_size"), weights[0]
    wanted = (directions, inputs + hidden, 4 * hidden)
    if sorted((states[1], states[2])) != sorted((hidden, 4 * hidden)) or states[0] != directions or directions > 2:
        raise ValueError("its weights do not fit")
    if sorted(weights[1:]) != sorted((inputs, 4 * hidden)):
        raise ValueError("its weights do not fit")
    results = [(rows, directions, count, hidden), *[(directions, count, hidden)] * 2]
    return results, rows * count * math.prod(wanted)


class Operator(NamedTuple):
    """What exports do with one operator.

    Attributes:
        follow: from a node and the shapes that it is given to the shapes of its results and its multiplications.
        settings: the names of the settings that it may have.
    """

    follow: Callable[[_Call], _Followed]
    settings: tuple[str, ...] = ()


_REDUCTION = Operator(_reduced, ("axes", "keepdims"))
_LSTM = Operator(_recurrent, ("hidden_size", "direction"))

OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(("Add", "Div", "Greater", "Max", "Mul", "Sub", "Where"), Operator(_broadcast)),
    **dict.fromkeys(("Abs", "Erf", "Identity", "Relu", "Sigmoid", "Sqrt", "Tanh"), Operator(_same)),
    **dict.fromkeys(("ReduceL2", "ReduceMean", "ReduceMin"), _REDUCTION),
    "ArgMax": Operator(_reduced, ("axis", "keepdims")),
    "Cast": Operator(_same, ("to",)),
    "Concat": Operator(_joined, ("axis",)),
    "Conv": Operator(_convolved, ("kernel_shape", "pads", "strides")),
    "Flatten": Operator(_flattened, ("axis",)),
    "Gemm": Operator(_dense, ("transB",)),
    "GlobalAveragePool": Operator(_mean_pixel),
    "LSTM": _LSTM,
    "LeakyRelu": Operator(_same, ("alpha",)),
    "MatMul": Operator(_product),
    "MaxPool": Operator(_pooled, ("kernel_shape", "strides")),
    "Reshape": Operator(_reshaped),
    "Slice": Operator(_sliced),
    "Softmax": Operator(_same, ("axis",)),
    "Transpose": Operator(_transposed, ("perm",)),
    # With 8 bits:
    "DequantizeLinear": Operator(_same, ("axis",)),
    "DynamicQuantizeLinear": Operator(lambda call: ([call.shapes[0], (), ()], 0)),
    "MatMulInteger": Operator(_product),
    "QuantizeLinear": Operator(_same, ("axis",)),
    "com.microsoft.DynamicQuantizeLSTM": _LSTM,
}
"""Every operator that exports use."""
