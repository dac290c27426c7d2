"""What the lab is asked, and the data that all its parts look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data import load
from ...data.dataset import Int64Array, UInt8Array
from ..lab import LabSettings

Float64Array = npt.NDArray[np.float64]

KNOWN: dict[str, Any] = {"hidden_layer_sizes": (16,), "solver": "lbfgs", "random_state": 1}
"""The known system's network, as scikit-learn's MLPClassifier takes it."""

ENOUGH = 1000
"""Iterations after which every one of these networks has converged; the largest of the known three."""


class DigitsSettings(LabSettings):
    """What the lab can be asked; ``seeds`` is the number of splits: 20, or 2 if quick."""

    @property
    def splits(self) -> int:
        """How many times the images are divided anew."""
        return self.seeds or (2 if self.quick else 20)


@dataclass(frozen=True, eq=False)
class Digits:
    """All 1,797 images.

    Attributes:
        images: uint8 (N, 8, 8, 1), 0 to 255.
        pixels: float64 (N, 64), 0 to 16, as scikit-learn has them.
        labels: int64 (N,).
    """

    images: UInt8Array
    pixels: Float64Array
    labels: Int64Array

    def divide(self, seed: int) -> tuple[Int64Array, Int64Array]:
        """scikit-learn's default split, three quarters and one: the numbers of training and test images."""
        from sklearn.model_selection import train_test_split

        train, test = train_test_split(np.arange(len(self.labels)), random_state=seed)
        return train, test


def read_digits() -> Digits:
    """The images from our data path; scikit-learn's values come back exactly: see `glyphnet.data.digits`."""
    splits = load("digits", validation_fraction=0.0, test_fraction=0.0)
    images, labels = splits.train.images, splits.train.labels
    pixels = np.rint(images.reshape(len(images), -1) * (16 / 255))
    return Digits(images, pixels, labels)
