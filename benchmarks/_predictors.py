"""The same trained network in the hands of each library: from uint8 pixels to labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _works import WORKS, Int64Array, UInt8Array

Predict = Callable[[UInt8Array], Int64Array]
"""From images uint8 (N, 28, 28, 1) to labels int64 (N,)."""

MODELS = {"mlp": WORKS["c"], "conv": WORKS["e"]}
"""The networks: 784–128–10, and convolutions of 32 and 64 channels."""


def classifier(folder: Path, model: str) -> Predict:
    import glyphnet

    return glyphnet.load_model(folder / f"{model}.safetensors").predict_labels


def onnx_model(folder: Path, model: str) -> Predict:
    from glyphnet.onnxmodel import load_onnx

    return load_onnx(folder / f"{model}.onnx").predict_labels


def onnx_runtime(folder: Path, model: str) -> Predict:
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / f"{model}.onnx", providers=["CPUExecutionProvider"])
    return lambda images: session.run(["probabilities"], {"images": images})[0].argmax(1)


def numpy_alone(folder: Path, model: str) -> Predict:
    (hidden, hidden_bias), (head, bias) = _layers(folder, model)
    hidden, head = hidden.T.copy() / np.float32(255), head.T.copy()

    def predict(images: UInt8Array) -> Int64Array:
        x = images.reshape(len(images), -1).astype(np.float32)
        labels: Int64Array = (np.maximum(x @ hidden + hidden_bias, 0) @ head + bias).argmax(1)
        return labels

    return predict


def plain_torch(folder: Path, model: str) -> Predict:
    import torch
    from _peers.torch_networks import network_of

    network = network_of(MODELS[model], 784).eval()
    layers = _layers(folder, model)
    if model == "conv":  # its head reads (channel, row, column), ours (row, column, channel)
        head, bias = layers[-1]
        layers[-1] = (head.reshape(-1, 5, 5, 64).transpose(0, 3, 1, 2).reshape(len(head), -1), bias)
    with torch.no_grad():
        for parameter, values in zip(network.parameters(), [each for layer in layers for each in layer], strict=True):
            parameter.copy_(torch.from_numpy(values))
    shape = (-1, 784) if model == "mlp" else (-1, 1, 28, 28)

    @torch.inference_mode()
    def predict(images: UInt8Array) -> Int64Array:
        parts = torch.from_numpy(images).reshape(shape).split(1000)
        return torch.cat([network(part.float() / 255).argmax(1) for part in parts]).numpy()

    return predict


def keras_model(folder: Path, model: str) -> Predict:
    from _peers.with_keras import network_of

    keras_network = network_of(MODELS[model], (784,) if model == "mlp" else (28, 28, 1))
    weights: list[Any] = []
    for weight, bias in _layers(folder, model):
        weights += [weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T, bias]
    keras_network.set_weights(weights)

    def predict(images: UInt8Array) -> Int64Array:
        x = images.astype(np.float32) / np.float32(255)
        x = x.reshape(len(x), -1) if model == "mlp" else x
        if len(x) == 1:  # what Keras advises for few inputs; `predict` takes tens of milliseconds to begin
            return keras_network.predict_on_batch(x).argmax(1)
        return keras_network.predict(x, batch_size=1000, verbose=0).argmax(1)

    return predict


def scikit_learn(folder: Path, model: str) -> Predict:
    from sklearn.neural_network import MLPClassifier

    layers = _layers(folder, model)
    rows = np.eye(10, 784, dtype=np.float32)
    mlp = MLPClassifier([len(bias) for _, bias in layers[:-1]]).partial_fit(rows, np.arange(10), classes=np.arange(10))
    mlp.coefs_ = [weight.T.copy() for weight, _ in layers]
    mlp.intercepts_ = [bias for _, bias in layers]
    return lambda images: mlp.predict(images.reshape(len(images), -1).astype(np.float32) / np.float32(255))


def _layers(folder: Path, model: str) -> list[tuple[Any, Any]]:
    """Weight and bias of each layer, float32, as PyTorch lays them out."""
    with np.load(folder / f"{model}.npz") as arrays:
        values = [arrays[name] for name in arrays.files]
    return list(zip(values[::2], values[1::2], strict=True))


@dataclass(frozen=True)
class Way:
    """One way to predict: how it is loaded, of which models, and the peer that it needs."""

    title: str
    load: Callable[[Path, str], Predict]
    peer: str = "torch"
    models: tuple[str, ...] = tuple(MODELS)


WAYS = {
    "classifier": Way("GlyphNet, Classifier", classifier),
    "onnx": Way("GlyphNet, OnnxModel", onnx_model),
    "onnxruntime": Way("ONNX Runtime", onnx_runtime),
    "numpy": Way("NumPy", numpy_alone, models=("mlp",)),
    "torch": Way("plain PyTorch", plain_torch),
    "sklearn": Way("scikit-learn", scikit_learn, "sklearn", models=("mlp",)),
    "keras-tensorflow": Way("Keras on TensorFlow", keras_model, "keras-tensorflow"),
    "keras-jax": Way("Keras on JAX", keras_model, "keras-jax"),
    "keras-torch": Way("Keras on PyTorch", keras_model, "keras-torch"),
}
"""The first is ours, which the others' answers are held against."""
