"""The ONNX format: a graph from pixels to probabilities, its metadata, and 8-bit quantisation."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .._onnxwire import SEALED, seal, unsealed
from .._version import __version__
from ..classifier import Classifier
from ..data.dataset import UInt8Array
from ..data.decode import ImageShape
from ..errors import ExportError, MissingExtraError
from ..files import new_file
from ..locks import temporary_folder
from ..nn import Preprocessing
from ..nn import layers as plain
from ..nn.layers import Custom, Layer, Parted, Value, parted_layers
from ..nn.prototypes import FLAT, OUTSIDE, Prototypes
from ..onnxmodel import FORMAT_VERSION, parse_onnx, without_telemetry
from .proof import Given, HeldOutImages

without_telemetry()
try:
    import onnx
    from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
    from onnxruntime import quantization
except ImportError as error:
    raise MissingExtraError("Exporting to ONNX", "export") from error

OPSET = 17
"""Of 2022, which every current runtime supports."""

_IR_VERSION = 8  # of the same year as the opset
_SQUARE_ROOT_OF_HALF = math.sqrt(0.5)
_GATES = (0, 3, 1, 2)  # torch: input, forget, cell, output; ONNX: input, output, forget, cell


def make(classifier: Classifier, _: HeldOutImages | None = None) -> bytes:
    """The content of the ``.onnx`` file: deterministic, byte for byte.

    Raises:
        ExportError: a layer of an unsupported type, or a graph that fails ONNX's checker.
    """
    graph = onnx_graph(
        parted_layers(classifier.network),
        classifier.preprocessing,
        classifier.input_shape,
        len(classifier.classes),
        classifier.temperature,
        classifier.prototypes,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="GlyphNet",
        producer_version=__version__,
    )
    helper.set_model_props(model, _metadata(classifier))
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise ExportError(f"The graph fails ONNX's checker: {' '.join(str(error).split())[:300]}.") from error
    return seal(model.SerializeToString(deterministic=True))


def answer(content: bytes, images: UInt8Array) -> Given:
    """Predictions of the model for images, by ONNX Runtime."""
    answers = parse_onnx(content, "the export").answer(images, as_is=True)
    return Given(answers.probabilities, answers.foreign)


def _metadata(classifier: Classifier) -> dict[str, str]:
    """Everything besides the graph, each value as JSON."""
    height, width, channels = classifier.input_shape
    shape = f"(N, {height}, {width}, {channels})"
    kind = "grey, 0 black to 255 white" if channels == 1 else "red, green, blue"
    values = {
        SEALED: True,
        "glyphnet": FORMAT_VERSION,
        "classes": list(classifier.classes),
        "threshold": classifier.threshold,
        "foreign_threshold": classifier.foreign_threshold,
        "conformal": None if classifier.conformal is None else classifier.conformal.model_dump(mode="json"),
        "temperature": classifier.temperature,
        "input": f"images: uint8 {shape}, {kind}; scaling and normalisation are in the graph",
        "output": "probabilities: float32 (N, classes), temperature applied; labels: int64 (N,), the likeliest class"
        + ("" if classifier.prototypes is None else "; foreign: float32 (N,), how unlike the training images it is")
        + (
            "; distance: float32 (N,), the same of a picture before it is normalised, without contrast and roughness: "
            "where normalising changes a picture, the mean of both counts"
            if classifier.prototypes is not None and classifier.prototypes.twice
            else ""
        ),
        "value_range": classifier.reading.value_range,
        "window": classifier.reading.window,
        "page": classifier.reading.page,
        "ink": None if classifier.ink is None else classifier.ink.model_dump(mode="json"),
        "normalize": classifier.normalize,
        "network": classifier.spec.model_dump(mode="json"),
        "metrics": dict(classifier.metrics),
        "provenance": classifier.provenance.model_dump(mode="json"),
    }
    return {key: json.dumps(value, allow_nan=False) for key, value in values.items()}


@dataclass
class Builder:
    """Collects the nodes and constants of a graph."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def node(self, operator: str, *inputs: str, output: str = "", outputs: Sequence[str] = (), **settings: Any) -> str:
        """Add a node and return its first output; names consist of the operator and a number."""
        name = f"{operator}_{len(self.nodes)}"
        results = [*outputs] if outputs else [output or name]
        self.nodes.append(helper.make_node(operator, [*inputs], results, name=name, **settings))
        return next(result for result in results if result)

    def constant(self, name: str, values: npt.ArrayLike, dtype: type = np.float32) -> str:
        """Add a constant and return its name, to which a number is appended."""
        unique = f"{name}_{len(self.constants)}"
        array: npt.NDArray[Any] = np.ascontiguousarray(values, dtype=dtype)
        self.constants.append(numpy_helper.from_array(array.reshape(np.shape(values)), unique))
        return unique

    def channels_first(self, value: Value) -> str:
        """An image as (N, C, H, W)."""
        return value.name if value.channels_first else self.node("Transpose", value.name, perm=[0, 3, 1, 2])

    def channels_last(self, value: Value) -> str:
        """An image as (N, H, W, C)."""
        return self.node("Transpose", value.name, perm=[0, 2, 3, 1]) if value.channels_first else value.name


def onnx_graph(
    layers: Parted,
    preprocessing: Preprocessing,
    input_shape: ImageShape,
    classes: int,
    temperature: float,
    prototypes: Prototypes | None = None,
) -> GraphProto:
    """The graph from pixels to probabilities; `_metadata` describes input and outputs."""
    builder = Builder()
    given = _network_input(builder, preprocessing)
    features = _emit(builder, layers.body, given)
    scores = [] if prototypes is None else ["foreign", *(["distance"] if prototypes.twice else [])]
    if prototypes is not None:
        _foreign(builder, given, features, prototypes, input_shape)
    value = _emit(builder, layers.rest, features)
    if temperature == 1:
        scaled = value.name
    else:
        scaled = builder.node("Div", value.name, builder.constant("temperature", temperature))
    builder.node("Softmax", scaled, output="probabilities", axis=1)
    builder.node("ArgMax", value.name, output="labels", axis=1, keepdims=0)
    outputs = [
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", classes]),
        helper.make_tensor_value_info("labels", TensorProto.INT64, ["N"]),
        *(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in scores),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *input_shape])
    return helper.make_graph(builder.nodes, "glyphnet", [images], outputs, builder.constants)


def _network_input(builder: Builder, preprocessing: Preprocessing) -> Value:
    """`Preprocessing`, in the same order and precision."""
    pixels = builder.node("Cast", "images", to=TensorProto.FLOAT)
    unit = builder.node("Div", pixels, builder.constant("white", 255))
    if preprocessing.mode == "standardize":
        centred = builder.node("Sub", unit, builder.constant("mean", preprocessing.mean))
        return Value(builder.node("Div", centred, builder.constant("std", preprocessing.std)))
    if preprocessing.mode == "unit_norm":
        norm = builder.node("ReduceL2", unit, axes=[1, 2, 3], keepdims=1)
        least = builder.constant("least", np.finfo(np.float32).tiny)
        return Value(builder.node("Div", unit, builder.node("Max", norm, least)))
    return Value(unit)


def _foreign(builder: Builder, given: Value, features: Value, prototypes: Prototypes, input_shape: ImageShape) -> None:
    """`nn.scoring.WithScore`, as the outputs ``foreign`` and ``distance``."""
    columns = builder.constant("compared", [prototypes.features], np.int64)
    start, along = builder.constant("first", [0], np.int64), builder.constant("axis", [1], np.int64)
    compared = builder.node("Slice", features.name, start, columns, along)
    length = builder.node("ReduceL2", compared, axes=[1], keepdims=1)
    least = builder.constant("least", np.finfo(np.float32).tiny)
    unit = builder.node("Div", compared, builder.node("Max", length, least))
    # As 8-bit numbers, a quarter of the size, with the factor that normalises each to length 1.
    directions = builder.constant("directions", prototypes.directions.T, np.int8)
    lengths = np.linalg.norm(prototypes.directions.astype(np.float64), axis=1)
    scale = builder.constant("one_over_length", 1 / lengths)
    bank = builder.node("Mul", builder.node("Cast", directions, to=TensorProto.FLOAT), scale)
    one = builder.constant("one", 1)
    apart = builder.node("Sub", one, builder.node("MatMul", unit, bank))
    distances = builder.node("Mul", apart, builder.constant("weights", prototypes.weights))
    nearest = "distance" if prototypes.twice else ""
    score = builder.node("ReduceMin", distances, output=nearest, axes=[1], keepdims=0)
    for outside in _outside(builder, given.name, prototypes, input_shape):
        score = builder.node("Add", score, outside)
    builder.node("Identity", score, output="foreign")


def _outside(builder: Builder, x: str, prototypes: Prototypes, input_shape: ImageShape) -> list[str]:
    """The terms of contrast and roughness, where they have limits; ``x`` is the network's input, (N, H, W, C)."""
    one, factor = builder.constant("one", 1), builder.constant("outside", OUTSIDE)
    flat = builder.constant("flat", FLAT)
    centred = builder.node("Sub", x, builder.node("ReduceMean", x, axes=[1, 2], keepdims=1))
    variance = builder.node("ReduceMean", builder.node("Mul", centred, centred), axes=[1, 2, 3], keepdims=0)
    contrast = builder.node("Sqrt", variance)
    added = []
    if prototypes.contrast > 0:
        share = builder.node("Div", contrast, builder.constant("contrast", prototypes.contrast))
        added.append(builder.node("Mul", factor, builder.node("Relu", builder.node("Sub", one, share))))
    steps = [_step(builder, x, axis) for axis in (1, 2) if input_shape[axis - 1] > 1]
    if math.isfinite(prototypes.roughness) and steps:
        total = steps[0] if len(steps) == 1 else builder.node("Add", *steps)
        change = builder.node("Div", total, builder.constant("directions", len(steps)))
        rough = builder.node("Div", change, builder.node("Max", contrast, flat))
        rough = builder.node("Where", builder.node("Greater", contrast, flat), rough, builder.constant("none", 0))
        share = builder.node("Div", rough, builder.constant("roughness", prototypes.roughness))
        added.append(builder.node("Mul", factor, builder.node("Relu", builder.node("Sub", share, one))))
    return added


def _step(builder: Builder, x: str, axis: int) -> str:
    """The mean difference between neighbours along an axis: (N,)."""

    def part(start: int, end: int) -> str:
        places = [builder.constant(name, [n], np.int64) for name, n in (("start", start), ("end", end), ("axis", axis))]
        return builder.node("Slice", x, *places)

    difference = builder.node("Abs", builder.node("Sub", part(1, 1 << 30), part(0, -1)))
    return builder.node("ReduceMean", difference, axes=[1, 2, 3], keepdims=0)


def _emit(builder: Builder, layers: Sequence[Layer], value: Value) -> Value:
    for layer in layers:
        value = (
            layer.onnx(builder, value) if isinstance(layer, Custom) else _EMITTERS[type(layer)](builder, layer, value)
        )
    return value


def _convolution(builder: Builder, layer: plain.Convolution, value: Value) -> Value:
    weight, bias = builder.constant("weight", layer.weight), builder.constant("bias", layer.bias)
    result = builder.node(
        "Conv", builder.channels_first(value), weight, bias,
        kernel_shape=[layer.kernel] * 2, strides=[layer.stride] * 2, pads=[layer.padding] * 4,
    )  # fmt: skip
    return Value(result, channels_first=True)


def _dense(builder: Builder, layer: plain.Dense, value: Value) -> Value:
    weight, bias = builder.constant("weight", layer.weight), builder.constant("bias", layer.bias)
    return Value(builder.node("Gemm", value.name, weight, bias, transB=1))


def _affine(builder: Builder, layer: plain.Affine, value: Value) -> Value:
    shape = (-1, 1, 1) if value.channels_first else (-1,)
    scale = builder.constant("scale", layer.scale.reshape(shape))
    shift = builder.constant("shift", layer.shift.reshape(shape))
    return Value(builder.node("Add", builder.node("Mul", value.name, scale), shift), value.channels_first)


def _max_pool(builder: Builder, layer: plain.MaxPool, value: Value) -> Value:
    sides = [layer.size] * 2
    pooled = builder.node("MaxPool", builder.channels_first(value), kernel_shape=sides, strides=sides)
    return Value(pooled, channels_first=True)


def _mean_pixel(builder: Builder, _: plain.MeanPixel, value: Value) -> Value:
    return Value(builder.node("GlobalAveragePool", builder.channels_first(value)), channels_first=True)


def _flatten(builder: Builder, _: plain.Flatten, value: Value) -> Value:
    return Value(builder.node("Flatten", builder.channels_last(value), axis=1))


def _residual(builder: Builder, layer: plain.Residual, value: Value) -> Value:
    shared = Value(builder.channels_first(value), channels_first=True)
    parts = [_emit(builder, part, shared).name for part in (layer.branch, layer.shortcut)]
    return Value(builder.node("Add", *parts), channels_first=True)


def _side_by_side(builder: Builder, layer: plain.SideBySide, value: Value) -> Value:
    return Value(builder.node("Concat", *(_emit(builder, part, value).name for part in layer.parts), axis=1))


def _recurrent(builder: Builder, layer: plain.Recurrent, value: Value) -> Value:
    def shape(*sides: int) -> str:
        return builder.constant("shape", sides, np.int64)

    rows = builder.node("Reshape", builder.channels_last(value), shape(0, 0, -1))
    sequence = builder.node("Transpose", rows, perm=[1, 0, 2])  # (H, N, W·C)
    last = ""
    for number, readings in enumerate(layer.levels, start=1):
        uppermost = number == len(layer.levels)
        # Only the last state of the top LSTM is used.
        place = len(builder.nodes)  # names must be unique, even if an ensemble has several such networks
        every, last = "" if uppermost else f"every_state_{place}", f"last_state_{place}"
        builder.node(
            "LSTM",
            sequence,
            builder.constant("inputs", [_gates(one.inputs) for one in readings]),
            builder.constant("states", [_gates(one.states) for one in readings]),
            builder.constant("bias", [_biases(one) for one in readings]),
            outputs=[every, last],
            hidden_size=readings[0].states.shape[1],
            direction="bidirectional" if len(readings) == 2 else "forward",
        )
        if not uppermost:
            joined = builder.node("Transpose", every, perm=[0, 2, 1, 3])  # (H, N, directions, hidden)
            sequence = builder.node("Reshape", joined, shape(0, 0, -1))
    return Value(builder.node("Flatten", builder.node("Transpose", last, perm=[1, 0, 2]), axis=1))


def _gates(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The rows of the four gates in ONNX's order."""
    parts = np.split(rows, 4)
    return np.concatenate([parts[gate] for gate in _GATES])


def _biases(reading: plain.Reading) -> npt.NDArray[np.float32]:
    """ONNX adds two biases: the second stays zero."""
    bias = _gates(reading.bias)
    return np.concatenate([bias, np.zeros_like(bias)])


def _gelu(builder: Builder, x: str) -> str:
    error = builder.node("Erf", builder.node("Mul", x, builder.constant("scale", _SQUARE_ROOT_OF_HALF)))
    half = builder.node("Mul", x, builder.constant("half", 0.5))
    return builder.node("Mul", half, builder.node("Add", error, builder.constant("one", 1)))


ACTIVATIONS: dict[str, Callable[[Builder, str], str]] = {
    "relu": lambda builder, x: builder.node("Relu", x),
    "tanh": lambda builder, x: builder.node("Tanh", x),
    "sigmoid": lambda builder, x: builder.node("Sigmoid", x),
    "gelu": _gelu,
    "silu": lambda builder, x: builder.node("Mul", x, builder.node("Sigmoid", x)),
    "leaky_relu": lambda builder, x: builder.node("LeakyRelu", x, alpha=0.01),
}


def _activation(builder: Builder, layer: plain.Activation, value: Value) -> Value:
    return Value(ACTIVATIONS[layer.name](builder, value.name), value.channels_first)


_EMITTERS: dict[type[Any], Callable[[Builder, Any, Value], Value]] = {
    plain.Convolution: _convolution,
    plain.Dense: _dense,
    plain.Affine: _affine,
    plain.MaxPool: _max_pool,
    plain.MeanPixel: _mean_pixel,
    plain.Flatten: _flatten,
    plain.Activation: _activation,
    plain.Residual: _residual,
    plain.SideBySide: _side_by_side,
    plain.Recurrent: _recurrent,
}


class _Images(quantization.CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no annotations
    """Held-out images, one at a time, to calibrate the ranges of activations."""

    def __init__(self, images: UInt8Array) -> None:
        self._left: Iterator[UInt8Array] = iter(images)

    def get_next(self) -> dict[str, UInt8Array] | None:
        image = next(self._left, None)
        return None if image is None else {"images": image[np.newaxis]}


def quantize(content: bytes, images: UInt8Array) -> bytes:
    """Quantise the ONNX model in ``content`` to 8 bits, with one scale of the weights per output channel.

    The ranges of activations are calibrated on ``images``, uint8 (N, H, W, C). For an LSTM ONNX Runtime can quantise
    the weights only.

    The answers shall not depend on the processor. Without 8-bit dot products (before AVX-512 VNNI), ONNX Runtime adds
    the products of signed weights in pairs of 16 bits, which clips them: of 40 images 20 to 35 kept their label.
    Unsigned weights and activations are never added so. LSTMs take 7-bit weights, whose sums fit.
    """
    recurrent = any(node.op_type == "LSTM" for node in onnx.load_from_string(content).graph.node)
    with temporary_folder() as folder, _quiet_logging():
        source, target = folder / "source.onnx", folder / "target.onnx"
        with new_file(source) as file:
            file.write(content)
        kinds = quantization.QuantType
        if recurrent:
            quantization.quantize_dynamic(source, target, per_channel=True, weight_type=kinds.QInt8, reduce_range=True)
        else:
            quantization.quantize_static(
                source, target, _Images(images), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
                weight_type=kinds.QUInt8, activation_type=kinds.QUInt8,
                op_types_to_quantize=["Conv", "Gemm", "MaxPool"],
            )  # fmt: skip
        return _tidied(target.read_bytes(), content)


def _tidied(quantized: bytes, original: bytes) -> bytes:
    """The quantised model with exactly the metadata of the original, sealed again."""
    model, source = onnx.load_from_string(quantized), onnx.load_from_string(unsealed(original))
    model.producer_name, model.producer_version = source.producer_name, source.producer_version
    del model.metadata_props[:]
    model.metadata_props.extend(source.metadata_props)
    entry = model.metadata_props.add()
    entry.key, entry.value = "quantized", '"int8"'
    return seal(model.SerializeToString(deterministic=True))


@contextmanager
def _quiet_logging() -> Iterator[None]:
    """Suppress the advice that onnxruntime logs during quantisation."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
