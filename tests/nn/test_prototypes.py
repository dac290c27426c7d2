"""The score of images unlike the training images, against NumPy, for every network."""

import numpy as np
import pytest
import torch
from torch import nn

from glyphnet.nn import NETWORKS, build, parse_network, without_head
from glyphnet.nn.prototypes import Prototypes, fit_prototypes
from glyphnet.nn.scoring import Compared, WithScore, compared_width, parts_of, texture

SHAPE = (16, 12, 1)


@pytest.fixture(params=NETWORKS)
def network(request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return build(parse_network(request.param), SHAPE, 4).eval()


def inputs(count=12, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, 1, 16, 12)).astype(np.float32))


def test_the_parts_of_a_network_are_the_network(network):
    x = inputs()
    with torch.inference_mode():
        body, activation, head = parts_of(network)
        features = body(x)
        torch.testing.assert_close(head(activation(features.clone())), network(x), rtol=0, atol=1e-6)
        torch.testing.assert_close(activation(features.clone()), without_head(network)(x), rtol=0, atol=1e-6)


def test_the_last_hidden_layer_is_compared_before_its_activation():
    network = build(parse_network("mlp"), SHAPE, 4).eval()
    with torch.inference_mode():
        assert isinstance(parts_of(network).activation, nn.ReLU)
        assert (parts_of(network).body(inputs()) < 0).any()


def test_logits_stay_the_same_to_the_bit_and_the_score_is_numpys(network):
    width = compared_width(network)
    generator = np.random.default_rng(1)
    directions = generator.integers(-127, 128, (7, width), dtype=np.int8)
    weights = generator.uniform(0.5, 2, 7).astype(np.float32)
    x = inputs()
    x[1] *= 0.01
    with torch.inference_mode():
        rows = WithScore(network, Prototypes(directions, weights, contrast=0.5, roughness=1.0))(x).numpy()
        compared = Compared(network)(x).numpy().astype(np.float64)
        np.testing.assert_array_equal(rows[:, :-2], network(x).numpy())
    features, contrast, rough = compared[:, :-2], compared[:, -2], compared[:, -1]
    unit = directions / np.linalg.norm(directions.astype(float), axis=1, keepdims=True)
    cosine = features @ unit.T / np.linalg.norm(features, axis=1, keepdims=True)
    outside = 10 * np.maximum(0, 1 - contrast / 0.5) + 10 * np.maximum(0, rough - 1)
    distance = ((1 - cosine) * weights).min(axis=1)
    np.testing.assert_allclose(rows[:, -2], distance + outside, atol=1e-4)
    np.testing.assert_allclose(rows[:, -1], distance, atol=1e-4)
    assert outside[1] > 9


def test_texture_by_hand():
    flat, step = np.full((3, 4), 0.3, np.float32), np.float32([[0, 1, 0, 1]] * 3)
    found = texture(torch.from_numpy(np.stack([flat, step])[:, None])).numpy()
    np.testing.assert_allclose(found[0], [0, 0], atol=1e-6)
    np.testing.assert_allclose(found[1], [0.5, (0 + 1) / 2 / 0.5])
    one = texture(torch.ones(2, 3, 1, 1)).numpy()
    assert np.isfinite(one).all()


def clusters(seed=0, classes=3, count=400):
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = np.random.default_rng(9).normal(size=(classes, 20))
    features = centres[labels] + 0.1 * generator.normal(size=(count, 20))
    return np.hstack([features, np.full((count, 1), 0.8), np.full((count, 1), 0.5)]).astype(np.float32), labels


def test_prototypes_are_the_same_each_time_and_lie_among_their_images():
    compared, labels = clusters()
    bank, again = fit_prototypes(compared, labels), fit_prototypes(compared, labels)
    np.testing.assert_array_equal(bank.directions, again.directions)
    assert bank.directions.dtype == np.int8
    own = compared[:, :-2] / np.linalg.norm(compared[:, :-2], axis=1, keepdims=True)
    assert (1 - own @ bank.unit.T).min(axis=1).max() < 0.02
    assert 0.7 < bank.contrast < 0.8
    assert 0.5 < bank.roughness < 0.6


def test_blank_and_rough_training_images_set_no_limits():
    compared, labels = clusters()
    compared[:40, -2], compared[40:80, -1] = 0.0, 1.2  # an "empty" class, and textures like noise
    bank = fit_prototypes(compared, labels)
    assert bank.contrast == 0
    assert bank.roughness > 1.2


def test_many_classes_and_many_features_stay_within_the_bound():
    generator = np.random.default_rng(0)
    labels = np.arange(300) % 150
    bank = fit_prototypes(generator.normal(size=(300, 5000)).astype(np.float32), labels)
    assert bank.directions.size <= 1 << 18
    assert fit_prototypes(np.zeros((10, 7), np.float32), np.zeros(10, dtype=np.int64)) is None
