"""Small, quick things to train on."""

from __future__ import annotations

import numpy as np
import pytest

from glyphnet.data import ImageDataset, Splits, load
from glyphnet.training import Examples


@pytest.fixture(scope="session")
def digits() -> Splits:
    return load("digits")


@pytest.fixture(scope="session")
def few(digits: Splits) -> Splits:
    """200 digits to learn from, 60 to validate on, 60 to test on."""
    parts = [
        digits.train.subset(slice(0, 200)),
        digits.train.subset(slice(200, 260)),
        digits.test.subset(slice(60)),
    ]
    return Splits("few digits", *parts)


def examples(dataset: ImageDataset) -> Examples:
    return Examples.of(dataset.images, dataset.labels)


@pytest.fixture(scope="session")
def train_examples(few: Splits) -> Examples:
    return examples(few.train)


@pytest.fixture(scope="session")
def validation_examples(few: Splits) -> Examples:
    return examples(few.validation)


@pytest.fixture(scope="session")
def blobs() -> Examples:
    """Two clouds of points in the plane, easy to tell apart."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 120)
    points = random.normal(size=(120, 2)) + 4.0 * labels[:, None]
    return Examples.of(points.astype(np.float32), labels)
