"""The ONNX format: a graph from pixels to probabilities, and in its metadata all that its user must know."""

from __future__ import annotations

import json

import onnx
from onnx import helper

from .._onnxwire import SEALED, seal
from .._version import __version__
from ..classifier import Classifier
from ..errors import ExportError
from ..onnxmodel import FORMAT_VERSION
from .layers import parted_layers
from .onnxgraph import OPSET, onnx_graph

_IR_VERSION = 8  # of the same year as the opset


def make(classifier: Classifier) -> bytes:
    """The content of the ``.onnx`` file: the same classifier gives the same bytes.

    Raises:
        ExportError: a layer that is not known, or a graph that does not pass ONNX's own checker.
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
        raise ExportError(f"The graph does not pass ONNX's checker: {' '.join(str(error).split())[:300]}.") from error
    return seal(model.SerializeToString(deterministic=True))


def _metadata(classifier: Classifier) -> dict[str, str]:
    """Everything beside the graph, each value as JSON."""
    height, width, channels = classifier.input_shape
    shape = f"(N, {height}, {width}, {channels})"
    kind = "grey, 0 black to 255 white" if channels == 1 else "red, green, blue"
    told = {
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
    return {key: json.dumps(value, allow_nan=False) for key, value in told.items()}
