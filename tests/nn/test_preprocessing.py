"""Preprocessing against NumPy, in every mode, for images and for vectors."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from glyphnet.errors import SettingsError
from glyphnet.nn import Preprocessing


def pixels(n: int = 2000, channels: int = 3) -> np.ndarray:
    generator = np.random.default_rng(0)
    spread = np.array([255, 90, 7])[:channels]
    return (generator.random((n, 11, 13, channels)) * spread).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_image_statistics_are_numpys(channels: int) -> None:
    images = pixels(channels=channels)
    measured = Preprocessing.measure(images)
    exact = images.astype(np.float64) / 255
    assert measured.mean == tuple(exact.mean(axis=(0, 1, 2)).astype(np.float32).tolist())
    assert measured.std == tuple(exact.std(axis=(0, 1, 2)).astype(np.float32).tolist())


def test_image_statistics_are_the_same_in_any_order_and_from_any_holder(tmp_path: Path) -> None:
    images = pixels()
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    measured = Preprocessing.measure(images)
    assert Preprocessing.measure(images[::-1]) == measured
    assert Preprocessing.measure(mapped) == measured
    assert Preprocessing.measure(torch.from_numpy(images)) == measured


def test_a_std_far_smaller_than_the_mean_keeps_its_digits() -> None:
    images = np.full((3000, 28, 28, 1), 254, dtype=np.uint8)
    images[0, 0, 0, 0] = 255  # one pixel of 2.4 million
    share = 1 / images.size
    expected = np.float32(np.sqrt(share * (1 - share)) / 255)
    assert Preprocessing.measure(images).std == (float(expected),)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vector_statistics_are_numpys(dtype: type) -> None:
    generator = np.random.default_rng(1)
    features = (generator.normal(size=(30_000, 7)) * [1, 10, 0.1, 1e4, 1, 1, 1] + [0, 5, 1e3, 0, 0, 0, 0]).astype(dtype)
    measured = Preprocessing.measure(features)
    np.testing.assert_allclose(measured.mean, features.mean(axis=0, dtype=np.float64), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(measured.std, features.std(axis=0, dtype=np.float64), rtol=1e-6)
    assert Preprocessing.measure(torch.from_numpy(features)) == measured


def test_standardised_training_inputs_have_mean_0_and_std_1() -> None:
    images = torch.from_numpy(pixels())
    x = Preprocessing.measure(images)(images)
    assert x.shape == (2000, 3, 11, 13)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x.double().mean((0, 2, 3)), torch.zeros(3).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.double().std((0, 2, 3), correction=0), torch.ones(3).double(), atol=1e-5, rtol=0)


def test_constant_channels_and_features_are_divided_by_1() -> None:
    images = np.zeros((5, 4, 4, 3), dtype=np.uint8)
    images[..., 1] = 77
    assert Preprocessing.measure(images).std == (1.0, 1.0, 1.0)
    features = np.full((1000, 2), 0.1)  # adding 0.1 many times rounds: the std comes out tiny, not 0
    features[:, 1] = np.arange(1000)
    assert Preprocessing.measure(features).std[0] == 1.0
    assert Preprocessing.measure(features).std[1] == pytest.approx(288.675, rel=1e-6)


def test_to_float_divides_exactly_and_keeps_channels_last() -> None:
    every_byte = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1)
    x = Preprocessing(mode="unit_range")(every_byte)
    assert torch.equal(x.flatten(), torch.from_numpy(np.arange(256, dtype=np.float32) / np.float32(255)))
    colour = Preprocessing(mode="unit_range").to_float(torch.from_numpy(pixels(5)))
    assert colour.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(colour, torch.from_numpy(pixels(5)).permute(0, 3, 1, 2) / 255)


def test_channels_last_survives_normalising() -> None:
    images = torch.from_numpy(pixels(5))
    for mode in ("standardize", "unit_range", "unit_norm"):
        x = Preprocessing.measure(images, mode)(images)
        assert x.is_contiguous(memory_format=torch.channels_last)


def test_vectors_are_float32_and_otherwise_as_they_are_in_unit_range() -> None:
    features = torch.tensor([[1.0, -3.0]], dtype=torch.float64)
    x = Preprocessing.measure(features, "unit_range")(features)
    assert x.dtype == torch.float32
    assert torch.equal(x, torch.tensor([[1.0, -3.0]]))


def test_unit_norm_scales_each_image_and_leaves_black_ones() -> None:
    images = torch.from_numpy(pixels(4))
    images[2] = 0
    x = Preprocessing.measure(images, "unit_norm")(images)
    torch.testing.assert_close(x.flatten(1).norm(dim=1), torch.tensor([1.0, 1.0, 0.0, 1.0]))
    vectors = Preprocessing(mode="unit_norm")(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    torch.testing.assert_close(vectors, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


def test_json_gives_back_the_same_bits() -> None:
    measured = Preprocessing.measure(pixels())
    assert Preprocessing.model_validate_json(measured.model_dump_json()) == measured
    assert all(value == float(np.float32(value)) for value in (*measured.mean, *measured.std))


def test_use_does_not_change_the_value() -> None:
    images = torch.from_numpy(pixels(5))
    fresh, used = Preprocessing.measure(images), Preprocessing.measure(images)
    x = used(images)
    assert used == fresh
    assert hash(used) == hash(fresh)
    for again in (pickle.loads(pickle.dumps(used)), copy.deepcopy(used)):
        assert again == fresh
        assert torch.equal(again(images), x)
    other = used.model_copy(update={"mean": (0.0, 0.0, 0.0)})
    assert not torch.equal(other(images), x)  # no statistics left over from the original


def test_gradients_work_after_a_prediction_came_first() -> None:
    measured = Preprocessing.measure(pixels(5))
    with torch.inference_mode():
        measured(torch.from_numpy(pixels(5)))
    x = torch.rand(2, 3, 11, 13, requires_grad=True)
    measured.normalise(x).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad[0, :, 0, 0], 1 / torch.tensor(measured.std))


def test_nothing_to_measure_and_not_finite_features_are_refused() -> None:
    with pytest.raises(SettingsError, match="no training inputs"):
        Preprocessing.measure(np.empty((0, 4, 4, 1), dtype=np.uint8))
    for bad in (np.nan, np.inf, 1e300):
        features = np.ones((10, 3))
        features[4, 1] = bad
        with pytest.raises(SettingsError, match=r"feature 1 of the inputs holds NaN, .* \(1 of 3 features do\)"):
            Preprocessing.measure(features)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mode": "unit_range", "mean": [0.5], "std": [1.0]}, "only .standardize. has any"),
        ({"mode": "standardize"}, "has 0 means"),
        ({"mean": [0.5, 0.5], "std": [1.0]}, "2 means but 1 standard deviations"),
        ({"mean": [0.5], "std": [0.0]}, "greater than 0"),
        ({"mean": [float("nan")], "std": [1.0]}, "finite"),
        ({"mode": "whiten"}, "standardize"),
    ],
)
def test_a_file_cannot_bring_impossible_statistics(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocessing.model_validate(values)
