"""Classifiers of every kind with weights that matter, without training any."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from glyphnet.classifier import Classifier
from glyphnet.nn import Preprocessing, build, parse_network

from ..knowing import knowing

CLASSES = ("zero", "größe, 数字", 'with "quotes"', "<img src=x onerror=alert(1)>", "five")
PREPROCESSINGS = {
    "standardize": lambda channels: Preprocessing(mean=(0.3, 0.4, 0.5)[:channels], std=(0.3, 0.2, 0.4)[:channels]),
    "unit_range": lambda channels: Preprocessing(mode="unit_range"),
    "unit_norm": lambda channels: Preprocessing(mode="unit_norm"),
}


def images_of(shape, count=40, seed=1):
    """Smooth blobs of all brightnesses, one of them black: not mere noise, which nets see as grey."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (count, 4, 4, shape[2])).astype(np.float32)
    rows, columns = np.arange(shape[0]) * 4 // shape[0], np.arange(shape[1]) * 4 // shape[1]
    images = (coarse[:, rows][:, :, columns] + generator.normal(0, 20, (count, *shape))).clip(0, 255).astype(np.uint8)
    images[0] = 0
    return images


def make_classifier(network="cnn", shape=(16, 12, 1), preprocessing="standardize", samples=True, **parts):
    """Random weights, batch norms as training leaves them, and logits large enough for sure answers."""
    spec = parse_network(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        built = build(spec, shape, len(CLASSES))
        preprocess = PREPROCESSINGS[preprocessing](shape[2])
        inputs = preprocess(torch.from_numpy(images_of(shape)))
        for layer in built.modules():
            if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
                nn.init.normal_(layer.weight)  # some negative: the order of norm and pooling matters then
                nn.init.normal_(layer.bias)
                layer.momentum = 1.0
        with torch.no_grad():
            built.train()(inputs)  # the batch norms take the mean and variance of these images
    with torch.no_grad():
        logits = built.eval()(inputs)
        head = built.get_submodule("head")
        scale = 3 / (logits - logits.mean(dim=0)).std()
        head.weight.mul_(scale)
        head.bias.copy_((head.bias - logits.mean(dim=0)) * scale)
    return Classifier(
        built,
        spec,
        shape,
        CLASSES,
        preprocess,
        **{
            "temperature": 1.7,
            "threshold": 0.6,
            "samples": images_of(shape) if samples else None,
            **knowing(built),
            **parts,
        },
    )


@pytest.fixture(name="make_classifier", scope="session")
def make_classifier_fixture():
    return make_classifier


@pytest.fixture(name="images_of", scope="session")
def images_of_fixture():
    return images_of
