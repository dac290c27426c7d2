"""The same work for every peer: data, network, batch, optimizer. Knows no framework, so that each is loaded alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]

CLASSES = 10


@dataclass(frozen=True)
class Work:
    """One training, described so that each peer can be told to do it.

    Attributes:
        title: in the table.
        data: a name in ``SOURCES``.
        network: "mlp" with ``hidden``, "conv" (convolutions of 32 and 64 channels, each with ReLU and pooling) or
            "residual" (a stem of 32 channels; blocks of 32, 64, 128).
        optimizer: each peer's own, with its defaults but for the rate; "sgd" without momentum.
        batch: images a step.
        images: training images, a multiple of ``batch``.
        epochs: passes that are timed together, a turn; with L-BFGS, iterations of a fit.
        fits: trainings from the start in a turn, with L-BFGS.
        scaled: pixels / 255 ("range"), or each image of length 1 ("norm").
        swing: by how much accuracies of equal runs differ beyond the chance of the test images.
        goal: what was promised, for the table.
    """

    title: str
    data: str
    network: Literal["mlp", "conv", "residual"]
    optimizer: Literal["sgd", "adam", "lbfgs"]
    batch: int
    images: int
    rate: float = 1e-3
    epochs: int = 1
    fits: int = 1
    hidden: tuple[int, ...] = ()
    activation: Literal["relu", "sigmoid"] = "relu"
    dropout: float = 0.0
    scaled: Literal["range", "norm"] = "range"
    swing: float = 0.0
    goal: str = "1.0 of the fastest"

    def shortened(self, images: int | None) -> Work:
        """The same over at most so many images, in whole batches; full-batch work stays as it is."""
        if images is None or self.optimizer == "lbfgs":
            return self
        return replace(self, images=min(self.images, max(1, images // self.batch) * self.batch))


_TWO_GOALS = "1.0 of the fastest, 1.5 of plain PyTorch"

WORKS = {
    "a": Work("digits, 64–16–10, L-BFGS", "digits", "mlp", "lbfgs", 1347, 1347, epochs=100, fits=5, hidden=(16,)),
    "b": Work(
        "MNIST, 784–50–10, sigmoid, SGD, batch 1,200", "mnist", "mlp", "sgd", 1200, 60_000, rate=0.5, epochs=10,
        hidden=(50,), activation="sigmoid",
    ),
    "c": Work(
        "MNIST, 784–128–10, dropout 0.2, Adam, batch 32", "mnist", "mlp", "adam", 32, 60_000, hidden=(128,),
        dropout=0.2, goal=_TWO_GOALS,
    ),
    "d": Work(
        "MNIST, 784–784–10, Adam, batch 50", "mnist", "mlp", "adam", 50, 60_000, hidden=(784,), scaled="norm",
        goal=_TWO_GOALS,
    ),
    "e": Work("MNIST, convolutions 32–64, Adam, batch 128", "mnist", "conv", "adam", 128, 19_200, dropout=0.5),
    "f": Work(
        "Fashion-MNIST tinted, 32×32×3, residual, Adam, batch 256", "tinted", "residual", "adam", 256, 5_120, rate=5e-3,
        swing=0.02,  # after 80 steps it is learning quickly still
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Data:
    """Training and test images, uint8 (N, H, W, C), with labels, int64 (N,)."""

    images: UInt8Array
    labels: Int64Array
    test_images: UInt8Array
    test_labels: Int64Array

    def floats(self, work: Work) -> tuple[Float32Array, Float32Array]:
        """Training and test inputs as peers take them, scaled once: float32, (N, D) for an MLP, else (N, H, W, C)."""
        return _scaled(self.images, work), _scaled(self.test_images, work)


def read(work: Work, images: int | None = None) -> Data:
    """The images of a work, or so many; which of the training images they are is the same for every peer."""
    from glyphnet.data import load

    source = SOURCES[work.data]
    splits = load(source.name, validation_fraction=0, test_fraction=source.test_fraction)
    generator = np.random.default_rng(0)
    chosen = generator.permutation(len(splits.train))[: images or work.images]
    return Data(
        source.change(splits.train.images[chosen], generator),
        splits.train.labels[chosen],
        source.change(splits.test.images, generator),
        splits.test.labels,
    )


def _scaled(images: UInt8Array, work: Work) -> Float32Array:
    x = images.astype(np.float32) / np.float32(255)
    if work.scaled == "norm":
        x /= np.maximum(np.linalg.norm(x.reshape(len(x), -1), axis=1), 1e-12)[:, None, None, None]
    return x.reshape(len(x), -1) if work.network == "mlp" else x


def _tint(images: UInt8Array, generator: np.random.Generator) -> UInt8Array:
    """A border of two pixels, and each image in a colour of its own that tells nothing of its class."""
    tints = generator.integers(80, 256, size=(len(images), 1, 1, 3), dtype=np.uint16)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    return (padded * tints >> 8).astype(np.uint8)


@dataclass(frozen=True)
class Source:
    """A data set, the share of it that is kept for testing where it has no such part, and what is done to images."""

    name: str
    test_fraction: float = 0.0
    change: Callable[[UInt8Array, np.random.Generator], UInt8Array] = lambda images, generator: images


SOURCES = {
    "digits": Source("digits", test_fraction=0.25),
    "mnist": Source("mnist"),
    "tinted": Source("fashion-mnist", change=_tint),
}
