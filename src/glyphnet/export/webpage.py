"""The web page format: the model and the drawing page in one HTML file, and the check that computes with that file."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from functools import reduce
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..answers import REASONS
from ..classifier import Classifier
from ..data.dataset import UInt8Array
from ..data.ink import page_spec
from ..errors import ExportError
from ..images import normalizing_spec
from ..nn import Preprocessing
from ..nn.layers import Custom, Float32Array, parted_layers
from ..nn.modules import ACTIVATION_TYPES
from ..nn.prototypes import FLAT, OUTSIDE, Prototypes
from ..nn.scoring import NearestPrototype, score
from ..pages.desk import desk_page, rejecting
from .proof import Given, HeldOutImages, compare

Encoding: TypeAlias = Literal["int16", "float32"]
Tensors = Sequence[Tensor]

TOLERANCE = 1e-3
"""Upper bound of the difference between the page's probabilities and the classifier's."""

_STEPS = 32767  # the largest int16
_PARTS = re.compile(r'<script type="[^"]+" id="(model|weights)">([^<]*)</script>')
_BATCH = 512


def make(classifier: Classifier, held_out: HeldOutImages, *, served: bool = False) -> bytes:
    """The content of the page, with 16-bit weights, or with 32-bit ones if the proof fails with 16.

    A page that is ``served`` links to the other pages of the service.
    """
    expected = classifier.answer(held_out.images, as_is=True)
    content = b""
    for encoding in get_args(Encoding):
        content = _page(classifier, encoding, served)
        proof = compare(expected, answer(content, held_out.images), held_out.source)
        if proof.holds(TOLERANCE):
            break
    return content


def _page(classifier: Classifier, encoding: Encoding, served: bool) -> bytes:
    weights = Weights(encoding)
    parted = parted_layers(classifier.network)
    model: dict[str, Any] = {  # what pages/js/weights.js reads
        "classes": list(classifier.classes),
        "threshold": classifier.threshold,
        "temperature": classifier.temperature,
        "shape": list(classifier.input_shape),
        "preprocessing": classifier.preprocessing.model_dump(mode="json"),
        "layers": described((*parted.body, *parted.rest), weights),
        "foreign": _foreign(classifier, len(parted.body), weights),
        "conformal": None if classifier.conformal is None else classifier.conformal.model_dump(mode="json"),
        "reasons": REASONS,
        "tensors": weights.tensors,
        "ink": page_spec(normalizing_spec(classifier), classifier.input_shape),
    }
    parameters = sum(parameter.numel() for parameter in classifier.network.parameters())
    return desk_page(
        "pages/js/drawing.js",
        model,
        about=[
            ("Network", f"{classifier.spec.kind}, {parameters:,} weights"),
            *rejecting(classifier.foreign_threshold is not None, classifier.threshold),
        ],
        provenance=classifier.provenance.model_dump(mode="json"),
        metrics=classifier.metrics,
        weights=weights.base64(),
        served=served,
    )


def _foreign(classifier: Classifier, after: int, weights: Weights) -> dict[str, Any] | None:
    """Values for ``pages/js/foreign.js``: the prototypes, compared ``after`` that many layers, and the limits."""
    prototypes = classifier.prototypes
    if prototypes is None:
        return None
    return {
        "after": after,
        "features": prototypes.features,
        "directions": weights.small(prototypes.directions),
        "weights": weights.plain(prototypes.weights),
        "contrast": prototypes.contrast,
        "roughness": prototypes.roughness if math.isfinite(prototypes.roughness) else None,
        "outside": OUTSIDE,
        "flat": FLAT,
        "threshold": classifier.foreign_threshold,
        "twice": prototypes.twice,
    }


class Weights:
    """Collects the tensors in the page's encoding.

    Weights have their outputs as the last axis. As ``int16`` they are multiples of one float32 per output; everything
    else, a small part, is float32.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._content = bytearray()
        self.tensors: list[dict[str, int]] = []

    def plain(self, values: Float32Array) -> int:
        """Add a float32 tensor. Returns its number."""
        return self._add(values.size, 0, values)

    def weight(self, values: Float32Array) -> int:
        """Add weights (…, outputs). Returns their number."""
        if self._encoding == "float32":
            return self.plain(values)
        scale = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0) / np.float32(_STEPS)
        steps = np.rint(values / np.where(scale > 0, scale, 1)).clip(-_STEPS, _STEPS)
        return self._add(values.size, values.shape[-1], scale.astype(np.float32), steps.astype("<i2"))

    def small(self, values: npt.NDArray[np.int8]) -> int:
        """Add 8-bit integers. Returns their number."""
        return self._add(values.size, -1, values)

    def base64(self) -> str:
        """All tensors, concatenated."""
        return base64.b64encode(bytes(self._content)).decode()

    def _add(self, length: int, outputs: int, *parts: npt.NDArray[np.generic]) -> int:
        self.tensors.append({"offset": len(self._content), "length": length, "outputs": outputs})
        for part in parts:
            little = part.astype(part.dtype.newbyteorder("<"))
            self._content += np.ascontiguousarray(little).tobytes()
        return len(self.tensors) - 1


def read_tensors(tensors: Sequence[dict[str, int]], text: str) -> list[Float32Array]:
    """Decode what `Weights` wrote, as ``pages/js/weights.js`` does; each tensor is flat."""
    content = base64.b64decode(text)
    return [_read(content, **tensor) for tensor in tensors]


def _read(content: bytes, offset: int, length: int, outputs: int) -> Float32Array:
    if outputs < 0:
        return np.frombuffer(content, "i1", length, offset).astype(np.float32)
    if outputs == 0:
        return np.frombuffer(content, "<f4", length, offset)
    scale = np.frombuffer(content, "<f4", outputs, offset)
    steps = np.frombuffer(content, "<i2", length, offset + 4 * outputs)
    values: Float32Array = (steps.reshape(-1, outputs) * scale).astype(np.float32).reshape(-1)
    return values


def described(part: Any, weights: Weights) -> Any:
    """Layers as plain JSON values: each its type, its fields, and the numbers of the tensors added to ``weights``.

    A new type of layer needs nothing here: arrays become tensors, with the outputs as the last axis.

    Raises:
        ExportError: a layer that brings its own ONNX and nothing for a page.
    """
    if isinstance(part, Custom):
        raise ExportError(
            f"A page cannot compute a layer of type {type(part).__name__}. Export to .onnx or .pt2 instead."
        )
    if isinstance(part, tuple):
        return [described(each, weights) for each in part]
    if isinstance(part, np.ndarray):
        return weights.plain(part) if part.ndim == 1 else weights.weight(part.transpose(*range(2, part.ndim), 1, 0))
    if is_dataclass(part):
        name = type(part).__name__
        values = {field.name: described(getattr(part, field.name), weights) for field in fields(part)}
        return {"type": name[0].lower() + name[1:], **values}
    return part


def answer(content: bytes, images: UInt8Array) -> Given:
    """Run the network of a page in torch on images, uint8 (N, H, W, C): the proof needs no browser."""
    parts = dict(_PARTS.findall(content.decode()))
    model = json.loads(parts["model"])
    tensors = [torch.from_numpy(values.copy()) for values in read_tensors(model["tensors"], parts["weights"])]
    preprocessing = Preprocessing(**model["preprocessing"])
    layers, foreign = model["layers"], model["foreign"]
    after = 0 if foreign is None else foreign["after"]
    nearest = None if foreign is None else _prototypes(foreign, tensors)
    results, scores = [], []
    with torch.inference_mode():
        for batch in torch.split(torch.from_numpy(np.array(images)), _BATCH):
            x = preprocessing(batch)
            features = _through(x, layers[:after], tensors)
            if nearest is not None:
                scores.append(score(x, nearest(features), nearest.prototypes).numpy())
            logits = _through(features, layers[after:], tensors)
            results.append(torch.softmax(logits / model["temperature"], dim=1).numpy())
    return Given(np.concatenate(results), np.concatenate(scores) if scores else None)


def _prototypes(foreign: dict[str, Any], tensors: Tensors) -> NearestPrototype:
    weights = tensors[foreign["weights"]].numpy()
    directions = tensors[foreign["directions"]].numpy().reshape(len(weights), foreign["features"])
    roughness = math.inf if foreign["roughness"] is None else foreign["roughness"]
    return NearestPrototype(Prototypes(directions.astype(np.int8), weights, foreign["contrast"], roughness))


def _through(x: Tensor, layers: Sequence[dict[str, Any]], tensors: Tensors) -> Tensor:
    return reduce(lambda y, layer: _LAYERS[layer["type"]](y, layer, tensors), layers, x)


def _convolution(x: Tensor, layer: dict[str, Any], tensors: Tensors) -> Tensor:
    bias = tensors[layer["bias"]]
    kernel = layer["kernel"]
    weight = tensors[layer["weight"]].reshape(kernel, kernel, x.shape[1], len(bias)).permute(3, 2, 0, 1)
    return F.conv2d(x, weight, bias, stride=layer["stride"], padding=layer["padding"])


def _dense(x: Tensor, layer: dict[str, Any], tensors: Tensors) -> Tensor:
    return torch.addmm(tensors[layer["bias"]], x, tensors[layer["weight"]].reshape(x.shape[1], -1))


def _affine(x: Tensor, layer: dict[str, Any], tensors: Tensors) -> Tensor:
    shape = (1, -1, *[1] * (x.ndim - 2))
    return torch.addcmul(tensors[layer["shift"]].reshape(shape), x, tensors[layer["scale"]].reshape(shape))


def _residual(x: Tensor, layer: dict[str, Any], tensors: Tensors) -> Tensor:
    return _through(x, layer["branch"], tensors) + _through(x, layer["shortcut"], tensors)


def _side_by_side(x: Tensor, layer: dict[str, Any], tensors: Tensors) -> Tensor:
    return torch.cat([_through(x, part, tensors) for part in layer["parts"]], dim=1)


def _recurrent(x: Tensor, layer: dict[str, Any], tensors: Tensors) -> Tensor:
    rows = x.permute(0, 2, 3, 1).flatten(2)
    last = rows
    for level in layer["levels"]:
        hidden = len(tensors[level[0]["bias"]]) // 4
        lstm = nn.LSTM(rows.shape[2], hidden, batch_first=True, bidirectional=len(level) == 2)
        named = {}
        for suffix, one in zip(("", "_reverse"), level, strict=False):
            named[f"weight_ih_l0{suffix}"] = tensors[one["inputs"]].reshape(-1, 4 * hidden).T
            named[f"weight_hh_l0{suffix}"] = tensors[one["states"]].reshape(-1, 4 * hidden).T
            named[f"bias_ih_l0{suffix}"] = tensors[one["bias"]]
            named[f"bias_hh_l0{suffix}"] = torch.zeros(4 * hidden)
        lstm.load_state_dict(named)
        rows, (states, _) = lstm(rows)
        last = torch.cat(list(states.unbind()), dim=1)
    return last


_LAYERS: dict[str, Callable[[Tensor, dict[str, Any], Tensors], Tensor]] = {
    "convolution": _convolution,
    "dense": _dense,
    "affine": _affine,
    "maxPool": lambda x, layer, _: F.max_pool2d(x, layer["size"]),
    "meanPixel": lambda x, _, __: x.mean(dim=(2, 3), keepdim=True),
    "flatten": lambda x, _, __: x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x,
    "activation": lambda x, layer, _: ACTIVATION_TYPES[layer["name"]]()(x),
    "residual": _residual,
    "sideBySide": _side_by_side,
    "recurrent": _recurrent,
}
