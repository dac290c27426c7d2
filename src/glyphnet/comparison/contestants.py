"""What takes part in a comparison: something that is fitted on splits, answers on images, and has a size.

A contestant is made in the parent process and pickled to a child, which lets it run. scikit-learn's estimators
are one kind; our presets, which need torch, are the other (`presets.py`).
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..data.dataset import Splits, UInt8Array

Float32Array = npt.NDArray[np.float32]


class Contestant(Protocol):
    """One method in a comparison, fitted once."""

    def fit(self, splits: Splits) -> None:
        """Learn from the training part, and from the validation part in the method's own way; no other is given."""

    def predict_proba(self, images: UInt8Array, /) -> npt.NDArray[np.floating]:
        """Probabilities (N, K) of uint8 images (N, H, W, C)."""

    def size(self) -> int:
        """How large the fitted model is when it is saved, in bytes."""


@dataclass(eq=False)
class EstimatorContestant:
    """An estimator of scikit-learn's kind, on pixels scaled to [0, 1], each image a row.

    It learns from the training and the validation images together: its settings are fixed, and nothing is
    chosen by validation, while our presets choose their best epoch by it. So all have seen the same labels.

    Attributes:
        estimator: with ``fit`` and ``predict_proba``, or ``decision_function``, whose softmax is taken then.
    """

    estimator: Any
    _present: npt.NDArray[np.int64] | None = None
    _classes: int = 0

    def fit(self, splits: Splits) -> None:
        """See `Contestant`."""
        images = np.concatenate([splits.train.images, splits.validation.images])
        labels = np.concatenate([splits.train.labels, splits.validation.labels])
        # Some estimators take no gap in the labels, as a class without training images would leave.
        self._present, encoded = np.unique(labels, return_inverse=True)
        self._classes = len(splits.classes)
        self.estimator.fit(rows_of(images), encoded)

    def predict_proba(self, images: UInt8Array, /) -> npt.NDArray[np.floating]:
        """See `Contestant`."""
        rows = rows_of(images)
        if hasattr(self.estimator, "predict_proba"):
            found = self.estimator.predict_proba(rows)
        else:
            found = _softmax(self.estimator.decision_function(rows))
        probabilities = np.zeros((len(images), self._classes), dtype=found.dtype)
        probabilities[:, self._present] = found
        return probabilities

    def size(self) -> int:
        """The length of the pickled estimator, without holding it in memory."""
        counter = _Counter()
        pickle.Pickler(counter, protocol=pickle.HIGHEST_PROTOCOL).dump(self.estimator)
        return counter.length


def rows_of(images: UInt8Array) -> Float32Array:
    """Images uint8 (N, H, W, C) as rows of pixels in [0, 1]: float32 (N, H·W·C)."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def _softmax(decisions: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    if decisions.ndim == 1:  # of two classes scikit-learn gives one value: how much it speaks for the second
        decisions = np.stack([-decisions, decisions], axis=1)
    powers = np.exp(decisions - decisions.max(axis=1, keepdims=True))
    shares: npt.NDArray[np.floating] = powers / powers.sum(axis=1, keepdims=True)
    return shares


class _Counter:
    """A file that only counts what is written to it."""

    def __init__(self) -> None:
        self.length = 0

    def write(self, content: bytes | memoryview | pickle.PickleBuffer) -> int:
        length = memoryview(content).nbytes
        self.length += length
        return length
