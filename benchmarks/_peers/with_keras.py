"""Keras 3 on the backend that KERAS_BACKEND names: arrays in memory, ``fit``, nothing measured but the loss."""

from __future__ import annotations

from typing import Any

import keras
from _turns import Turns
from _works import CLASSES, Data, Float32Array, Int64Array, Work
from keras import layers


class _Pause(keras.callbacks.Callback):
    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        float((logs or {})["loss"])  # waits for what is still being computed
        self._turns.epoch_over()


def train(work: Work, data: Data, turns: Turns, wanted: int) -> tuple[Int64Array, str]:
    """Train for so many turns; the labels given to the test images, and a note."""
    keras.utils.set_random_seed(0)
    inputs, test = data.floats(work)
    model = network_of(work, inputs.shape[1:])
    model.compile(
        optimizer={"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[work.optimizer](work.rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(
        inputs, data.labels, batch_size=work.batch, epochs=wanted * work.epochs, verbose=0, callbacks=[_Pause(turns)]
    )
    _measure_norms(model, inputs, work.batch)
    return model.predict(test, batch_size=1000, verbose=0).argmax(1), ""


def _measure_norms(model: keras.Model, inputs: Float32Array, batch: int) -> None:
    """What `torch_networks.measure_norms` does: what the norms held before counts for a hundredth after 20 batches."""
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.8
    for start in range(0, len(inputs) if norms else 0, batch):
        model(inputs[start : start + batch], training=True)


def network_of(work: Work, shape: tuple[int, ...]) -> keras.Model:
    """An untrained network, logits out, that takes float32 (N, *shape)."""
    x = inputs = keras.Input(shape)
    x = {"mlp": _mlp, "conv": _conv, "residual": _residual}[work.network](x, work)
    return keras.Model(inputs, layers.Dense(CLASSES, kernel_initializer=_as_torch())(x))


def _as_torch() -> keras.initializers.Initializer:
    """Initial weights from the range that PyTorch draws them from: accuracy after few epochs depends on it."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def _mlp(x: Any, work: Work) -> Any:
    for width in work.hidden:
        x = layers.Dense(width, activation=work.activation, kernel_initializer=_as_torch())(x)
        if work.dropout:
            x = layers.Dropout(work.dropout)(x)
    return x


def _conv(x: Any, work: Work) -> Any:
    for channels in (32, 64):
        x = layers.Conv2D(channels, 3, activation="relu", kernel_initializer=_as_torch())(x)
        x = layers.MaxPooling2D(2)(x)
    return layers.Dropout(work.dropout)(layers.Flatten()(x))


def _residual(x: Any, work: Work) -> Any:
    x = layers.ReLU()(_norm()(_convolution(32)(x)))
    for channels, stride in ((32, 1), (64, 2), (128, 2)):
        branch = layers.ReLU()(_norm()(_convolution(channels, stride)(x)))
        branch = _norm("zeros")(_convolution(channels)(branch))
        if stride > 1:
            x = _norm()(_convolution(channels, stride, kernel=1)(x))
        x = layers.ReLU()(layers.Add()([branch, x]))
    return layers.GlobalAveragePooling2D()(x)


def _convolution(channels: int, stride: int = 1, kernel: int = 3) -> layers.Layer:
    start = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    return layers.Conv2D(channels, kernel, strides=stride, padding="same", use_bias=False, kernel_initializer=start)


def _norm(gamma: str = "ones") -> layers.Layer:
    # PyTorch's 0.1 and 1e-5; with Keras' own momentum, 0.99, so few steps would leave the averages at their start.
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma)
