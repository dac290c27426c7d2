"""A page's network run again in torch, from what stands in the page: so the page proves itself without a browser."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.dataset import UInt8Array
from ..nn import Preprocessing
from ..nn.prototypes import NearestPrototype, Prototypes, score
from ..nn.spec import activation
from .pageweights import read_tensors
from .proof import Given

Tensors = Sequence[Tensor]

_PARTS = re.compile(r'<script type="[^"]+" id="(model|weights)">([^<]*)</script>')
_AT_ONCE = 512  # images


def answer(content: bytes, images: UInt8Array) -> Given:
    """What the network in a page gives for images, uint8 (N, H, W, C)."""
    parts = dict(_PARTS.findall(content.decode()))
    model = json.loads(parts["model"])
    tensors = [torch.from_numpy(values.copy()) for values in read_tensors(model["tensors"], parts["weights"])]
    preprocessing = Preprocessing(**model["preprocessing"])
    layers, foreign = model["layers"], model["foreign"]
    after = 0 if foreign is None else foreign["after"]
    nearest = None if foreign is None else _prototypes(foreign, tensors)
    results, scores = [], []
    with torch.inference_mode():
        for batch in torch.split(torch.from_numpy(np.array(images)), _AT_ONCE):
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
    "activation": lambda x, layer, _: activation(layer["name"])(x),
    "residual": _residual,
    "sideBySide": _side_by_side,
    "recurrent": _recurrent,
}
