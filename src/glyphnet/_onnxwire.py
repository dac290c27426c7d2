"""Reads an ONNX file without the onnx package, and refuses every graph that `glyphnet export` does not write.

A stranger's graph may loop for ever, allocate without bound or open other files. ONNX Runtime prevents none of this, so
the graph is checked before a session sees it: its parts, operators, attributes, shapes and cost. `_MESSAGES` and
`OPERATORS` are the tables of what is allowed; an export that uses a new operator adds a row.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .errors import MissingExtraError
from .settings import MOST_MULTIPLICATIONS, MOST_VALUES, default_batch_size

Shape: TypeAlias = tuple[int, ...]
Setting: TypeAlias = int | float | str | Shape

MOST_NODES = 20_000
"""Nodes, and constants, of a graph; an ensemble of 100 residual networks has about 6,000."""
MOST_PARTS = 2_000_000
"""Parts of a file, each number of a list among them, but for weights: each takes memory before it is looked at."""
OPSETS = {"": 17, "com.microsoft": 1}
"""Domain of operators → the version that exports use. The second is of an LSTM with 8-bit weights."""

_MOST_AXES = 8
_LARGEST_WINDOW = 64  # pixels of a kernel, a stride or a padding
_DTYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64}
_UINT8, _INT64 = 2, 7
_SETTINGS = {1: "f", 2: "i", 3: "s", 7: "ints"}  # type of a setting → the part that holds it
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


# Each message of onnx.proto with the parts that exports use: number and type, * where there may be several. Anything
# else is refused. What is not looked at is read as bytes.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Model": {
        "ir_version": (1, "int64"), "producer_name": (2, "bytes"), "producer_version": (3, "bytes"),
        "domain": (4, "bytes"), "model_version": (5, "int64"), "doc_string": (6, "bytes"), "graph": (7, "Graph*"),
        "opset_import": (8, "Opset*"), "metadata_props": (14, "Entry*"),
    },
    "Opset": {"domain": (1, "string"), "version": (2, "int64")},
    "Entry": {"key": (1, "string"), "value": (2, "string")},
    "Graph": {
        "node": (1, "Node*"), "name": (2, "bytes"), "initializer": (5, "Tensor*"), "doc_string": (10, "bytes"),
        "input": (11, "Value*"), "output": (12, "Value*"), "value_info": (13, "bytes*"),
    },
    "Node": {
        "input": (1, "string*"), "output": (2, "string*"), "name": (3, "bytes"), "op_type": (4, "string"),
        "attribute": (5, "Attribute*"), "doc_string": (6, "bytes"), "domain": (7, "string"),
    },
    "Attribute": {
        "name": (1, "string"), "f": (2, "float"), "i": (3, "int64"), "s": (4, "string"), "ints": (8, "int64*"),
        "type": (20, "int32"),
    },
    "Tensor": {
        "dims": (1, "int64*"), "data_type": (2, "int32"), "float_data": (4, "float*"), "int32_data": (5, "int32*"),
        "int64_data": (7, "int64*"), "name": (8, "string"), "raw_data": (9, "bytes"), "doc_string": (12, "bytes"),
        "external_data": (13, "bytes*"), "data_location": (14, "int32"),
    },
    "Value": {"name": (1, "string"), "type": (2, "Type"), "doc_string": (3, "bytes")},
    "Type": {"tensor_type": (1, "TensorType"), "denotation": (6, "bytes")},
    "TensorType": {"elem_type": (1, "int32"), "shape": (2, "TensorShape")},
    "TensorShape": {"dim": (1, "Dimension*")},
    "Dimension": {"dim_value": (1, "int64"), "dim_param": (2, "bytes"), "denotation": (3, "bytes")},
}  # fmt: skip


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

    metadata: dict[str, str]
    opsets: dict[str, int]
    nodes: list[Node]
    constants: dict[str, Constant]
    inputs: dict[str, Shape]
    outputs: list[str]


def read_graph(content: bytes) -> Graph:
    """The metadata and the graph of an ONNX file.

    Raises:
        OutsideError: weights lie in other files.
        ValueError: not such a file, or it holds something that exports do not.
        MissingExtraError: Protocol Buffers, which come with ONNX Runtime, are not installed.
    """
    model = _parsed(content)
    if len(model.graph) > 1:
        raise ValueError(f"it has {len(model.graph)} graphs")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if len(metadata) < len(model.metadata_props):
        raise ValueError("its metadata have a key twice")
    opsets = {each.domain: each.version for each in model.opset_import}
    graph = model.graph.add() if not model.graph else model.graph[0]
    if max(map(len, (graph.node, graph.initializer, graph.input, graph.output))) > MOST_NODES:
        raise ValueError(f"its graph has more than {MOST_NODES:,} nodes or constants")
    constants = {tensor.name: _constant(tensor) for tensor in graph.initializer}
    if len(constants) < len(graph.initializer):
        raise ValueError("it has two constants of one name")
    inputs = dict(map(_described_input, graph.input))
    outputs = [output.name for output in graph.output]
    return Graph(metadata, opsets, list(map(_node, graph.node)), constants, inputs, outputs)


@cache
def _model() -> Any:
    """The class of messages that `_MESSAGES` describes."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as error:
        raise MissingExtraError("Predicting with an ONNX model", "export") from error
    file = descriptor_pb2.FileDescriptorProto(name="glyphnet.proto", package="glyphnet", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    for name, parts in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for part, (number, kind) in parts.items():
            label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
            kind = kind.rstrip("*")
            if kind in _MESSAGES:
                message.field.add(name=part, number=number, label=label, type_name=f".glyphnet.{kind}")
            else:
                message.field.add(name=part, number=number, label=label, type=field.Type.Value(f"TYPE_{kind.upper()}"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("glyphnet.Model"))


def _parsed(content: bytes) -> Any:
    """The content as a message, all of whose parts are known."""
    _count_parts(memoryview(content), "Model", MOST_PARTS)
    kind = _model()
    from google.protobuf.message import DecodeError

    try:
        model = kind.FromString(content)
    except DecodeError as error:
        raise ValueError("it is not in the format of Protocol Buffers, or is cut off") from error
    _check_known(model)
    return model


def _count_parts(content: memoryview, kind: str, left: int) -> int:
    """How many parts are left of ``left`` after those of a message: two bytes of a file may take a hundred of memory.

    Raises:
        ValueError: there are more, or a part has no end.
    """
    kinds = {number: kind.rstrip("*") for number, kind in _MESSAGES[kind].values()}
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        size, left = 0, left - 1
        match tag & 7:
            case 0:
                _, at = _varint(content, at)
            case 1:
                size = 8
            case 2:
                size, at = _varint(content, at)
                inner = kinds.get(tag >> 3, "bytes")
                if inner in _MESSAGES:
                    left = _count_parts(content[at : at + size], inner, left)
                elif inner.startswith("int"):
                    left -= size
            case 5:
                size = 4
            case _:
                raise ValueError("it is not in the format of Protocol Buffers")
        at += size
        if at > len(content):
            raise ValueError("it is not in the format of Protocol Buffers, or is cut off")
        if left < 0:
            raise ValueError(f"it has more than {MOST_PARTS:,} parts")
    return left


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """A whole number in groups of 7 bits, the lowest first, and where it ends."""
    value = 0
    for place, byte in enumerate(content[at : at + 10]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise ValueError("it is not in the format of Protocol Buffers, or is cut off")


def _check_known(message: Any) -> None:
    from google.protobuf.unknown_fields import UnknownFieldSet

    if unknown := UnknownFieldSet(message):
        name = message.DESCRIPTOR.name
        what = "a setting of a node" if name == "Attribute" else f"its {name.lower()}"
        raise ValueError(f"{what} has the part {unknown[0].field_number}, which exports do not have")
    for part, value in message.ListFields():
        if part.message_type is not None:
            for each in value if part.is_repeated else (value,):
                _check_known(each)


def _node(node: Any) -> Node:
    operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    settings = {each.name: _setting(each) for each in node.attribute}
    return Node(operator, tuple(node.input), tuple(node.output), settings)


def _setting(attribute: Any) -> Setting:
    if attribute.type not in _SETTINGS:
        raise ValueError("a setting of a node is a graph, a tensor or something else that exports do not have")
    value: Setting = getattr(attribute, _SETTINGS[attribute.type])
    return value if isinstance(value, int | float | str) else tuple(value)


def _constant(tensor: Any) -> Constant:
    if tensor.external_data or tensor.data_location:
        raise OutsideError
    kind, dims = tensor.data_type, tuple(tensor.dims)
    if kind not in _DTYPES or len(dims) > _MOST_AXES or any(side < 1 for side in dims):
        raise ValueError(f"the constant {tensor.name[:80]!r} has the type {kind} and the shape {dims[:9]}")
    size, count = np.dtype(_DTYPES[kind]).itemsize, math.prod(dims)
    raw, lists = tensor.raw_data, (tensor.float_data, tensor.int32_data, tensor.int64_data)
    if (len(raw) or sum(map(len, lists)) * size) != count * size:
        raise ValueError(f"the constant {tensor.name[:80]!r} does not have as many values as its shape {dims}")
    if kind != _INT64 or count > _MOST_AXES:
        return Constant(dims, None)
    values = np.frombuffer(raw, dtype="<i8").tolist() if raw else tensor.int64_data
    return Constant(dims, tuple(values))


class OutsideError(ValueError):
    """Weights lie in other files."""


def _described_input(value: Any) -> tuple[str, Shape]:
    """The name and shape of an input."""
    tensor = value.type.tensor_type
    sides = [side.dim_value or -1 for side in tensor.shape.dim]
    if tensor.elem_type != _UINT8 or len(sides) > _MOST_AXES:
        raise ValueError("its input is not `images`, uint8 (N, H, W, C)")
    return value.name, tuple(sides)


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
    count = default_batch_size(sides[1:])
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
    if channels != inputs * call.whole("group", 1) or tuple(kernel) != call.window("kernel_shape", 2):
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
    return [(count, channels, *[1] * len(sides))], math.prod(call.shapes[0])


def _flattened(call: _Call) -> _Followed:
    shape, axis = call.shapes[0], call.whole("axis")
    return [(math.prod(shape[:axis]), math.prod(shape[axis:]))], 0


def _dense(call: _Call) -> _Followed:
    (*rows, inputs), weights = call.shapes[:2]
    outputs, fitting = weights if call.whole("transB", 0) else weights[::-1]
    if inputs != fitting:
        raise ValueError("its weights do not fit")
    return [(*rows, outputs)], math.prod(rows) * inputs * outputs


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
    **dict.fromkeys(("Add", "Div", "Greater", "Max", "Min", "Mul", "Sub", "Where"), Operator(_broadcast)),
    **dict.fromkeys(("Abs", "Erf", "Identity", "Relu", "Sigmoid", "Sqrt", "Tanh"), Operator(_same)),
    **dict.fromkeys(("ReduceL2", "ReduceMean", "ReduceMin"), _REDUCTION),
    "ArgMax": Operator(_reduced, ("axis", "keepdims")),
    "Cast": Operator(_same, ("to",)),
    "Concat": Operator(_joined, ("axis",)),
    "Conv": Operator(_convolved, ("group", "kernel_shape", "pads", "strides")),
    "Flatten": Operator(_flattened, ("axis",)),
    "Gemm": Operator(_dense, ("transB",)),
    "GlobalAveragePool": Operator(_mean_pixel),
    "LSTM": _LSTM,
    "LeakyRelu": Operator(_same, ("alpha",)),
    "MatMul": Operator(_dense),
    "MaxPool": Operator(_pooled, ("kernel_shape", "strides")),
    "Reshape": Operator(_reshaped),
    "Slice": Operator(_sliced),
    "Softmax": Operator(_same, ("axis",)),
    "Transpose": Operator(_transposed, ("perm",)),
    # With 8 bits:
    "DequantizeLinear": Operator(_same, ("axis",)),
    "DynamicQuantizeLinear": Operator(lambda call: ([call.shapes[0], (), ()], 0)),
    "MatMulInteger": Operator(_dense),
    "QuantizeLinear": Operator(_same, ("axis",)),
    "com.microsoft.DynamicQuantizeLSTM": _LSTM,
}
"""Every operator that exports use."""
