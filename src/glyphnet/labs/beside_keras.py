"""The same network in GlyphNet and in Keras: both as code for the page, both trained where Keras is installed.

The two functions that train are shown on the page as they stand here, so the code that is read is the code that ran.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from textwrap import dedent
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import glyphnet

from ..data import Splits
from ..progress import Progress
from ..training import Recipe
from ..training.examples import batch_count, epoch_order
from ..training.state import initial_network

Labels: TypeAlias = npt.NDArray[np.int64]
Weights: TypeAlias = list[npt.NDArray[np.float32]]

WIDTH = 128
BATCH = 32
RATE = 0.001
SEED = 0


def with_glyphnet(splits: Splits, epochs: int) -> tuple[list[float], Labels]:
    """The mean loss of each epoch, and the labels given to the test images."""
    recipe = glyphnet.Recipe.parse(
        {
            "network": {"kind": "mlp", "hidden": [WIDTH]},  # ReLU between the layers
            "preprocessing": "unit_range",  # pixels / 255
            "optimizer": {"name": "adam", "lr": RATE},
            "batch_size": BATCH,
            "epochs": epochs,
            "keep_best": False,
            "seed": SEED,
        }
    )
    run = glyphnet.train(splits, recipe=recipe)
    assert run.classifier is not None  # it was not stopped
    losses = [row["loss"] or 0.0 for row in run.history]
    return losses, run.classifier.predict_labels(splits.test.images)


def with_keras(
    splits: Splits,
    epochs: int,
    weights: Weights,
    batches: Callable[[int], list[Labels]],
) -> tuple[list[float], Labels]:
    """The same, from the same weights, with the same images in each batch."""
    import keras

    model = keras.Sequential(
        [
            keras.Input(splits.image_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(WIDTH, activation="relu"),
            keras.layers.Dense(len(splits.classes), activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(RATE, epsilon=1e-8),
        loss="sparse_categorical_crossentropy",
    )
    model.set_weights(weights)
    images, labels = splits.train.images / np.float32(255), splits.train.labels
    losses = []
    for epoch in range(epochs):
        total = 0.0
        for rows in batches(epoch):
            loss = model.train_on_batch(images[rows], labels[rows])
            total += float(loss) * len(rows)
        losses.append(total / len(labels))
    test = splits.test.images / np.float32(255)
    answers = model.predict(test, batch_size=1000, verbose=0)
    return losses, answers.argmax(axis=1)


def code() -> dict[str, str]:
    """Both functions as the page shows them."""
    return {each.__name__: dedent(inspect.getsource(each)).strip() for each in (with_glyphnet, with_keras)}


def is_installed() -> bool:
    """Whether Keras is; a folder of that name without code is not."""
    spec = find_spec("keras")
    return spec is not None and spec.origin is not None


def compare(splits: Splits, epochs: int, progress: Progress) -> dict[str, Any] | None:
    """Train both for so many epochs, as plain JSON values; None where Keras is not installed.

    Keras computes with the backend that the environment variable ``KERAS_BACKEND`` names, else with PyTorch, which is
    there anyway.
    """
    if not is_installed():
        return None
    os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras reads it when it is imported, and never again
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras' own, about NumPy and PyTorch: not of this code
        return _compared(splits, epochs, progress)


def _compared(splits: Splits, epochs: int, progress: Progress) -> dict[str, Any]:
    import keras

    progress(0, 2, "the same network in GlyphNet")
    own, own_labels = with_glyphnet(splits, epochs)
    progress(1, 2, "the same network in Keras")
    other, other_labels = with_keras(splits, epochs, initial_weights(splits), lambda epoch: batches(splits, epoch))
    truth = splits.test.labels
    return {
        "version": keras.__version__,
        "backend": keras.backend.backend(),
        "epochs": epochs,
        "test_images": len(truth),
        "same_labels": int((own_labels == other_labels).sum()),
        "largest_difference": max(abs(a - b) for a, b in zip(own, other, strict=True)),
        "rows": [
            {"name": name, "losses": losses, "right": int((labels == truth).sum())}
            for name, losses, labels in (("GlyphNet", own, own_labels), ("Keras", other, other_labels))
        ],
    }


def initial_weights(splits: Splits) -> Weights:
    """What `with_glyphnet` begins with, in Keras' order and layout: a kernel is (inputs, outputs)."""
    recipe = Recipe.parse({"network": {"kind": "mlp", "hidden": [WIDTH]}, "seed": SEED})
    network = initial_network(recipe, splits.image_shape, len(splits.classes))
    return [each.detach().numpy().T.copy() for each in network.parameters()]


def batches(splits: Splits, epoch: int) -> list[Labels]:
    """The rows of each batch of an epoch, as `with_glyphnet` draws them."""
    images = len(splits.train)
    order = epoch_order(images, SEED, epoch)
    return [rows.numpy() for rows in order.tensor_split(batch_count(images, BATCH))]
