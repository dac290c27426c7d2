"""Untrained classifiers of every kind, with weights large enough for answers to differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from glyphnet.classifier import Classifier
from glyphnet.nn import Preprocessing, build, parse_network

Make = Callable[..., Classifier]
UInt8 = npt.NDArray[np.uint8]


@pytest.fixture(scope="session")
def make() -> Make:
    def classifier(
        network: str | dict[str, Any] = "cnn", shape: tuple[int, int, int] = (14, 12, 1), classes: int = 4
    ) -> Classifier:
        spec = parse_network(network)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(2)
            built = build(spec, shape, classes)
            with torch.no_grad():
                for parameter in built.parameters():
                    # Through 50 layers twice as strong, rounding would grow until it decides.
                    parameter.mul_(1 if network == "efficientnet-lite0" else 2)
        names = tuple(f"class {number}" for number in range(classes))
        means = Preprocessing(mean=(0.4,) * shape[2], std=(0.3,) * shape[2])
        return Classifier(network=built, spec=spec, input_shape=shape, classes=names, preprocessing=means)

    return classifier


@pytest.fixture(scope="session")
def pixels() -> Callable[..., UInt8]:
    def draw(count: int, shape: tuple[int, int, int] = (14, 12, 1), seed: int = 0) -> UInt8:
        return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)

    return draw
