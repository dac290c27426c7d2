"""Duplicates: every planted one is found, and different images are not called the same."""

import io
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glyphnet.data import duplicates, idx

RNG = np.random.default_rng(0)


def smooth_images(count, height=28, width=28, channels=1, seed=0):
    """Blurred noise: natural enough that averages on a coarse grid say something."""
    noise = np.random.default_rng(seed).integers(0, 256, (count, 6, 6, channels), dtype=np.uint8)
    images = [
        np.asarray(Image.fromarray(each.squeeze()).resize((width, height), Image.Resampling.BICUBIC)) for each in noise
    ]
    return np.stack(images).reshape(count, height, width, channels)


def as_jpeg(image, quality=85):
    buffer = io.BytesIO()
    Image.fromarray(image.squeeze()).save(buffer, "JPEG", quality=quality, subsampling=0)
    return np.asarray(Image.open(buffer)).reshape(image.shape)


@pytest.mark.parametrize("channels", [1, 3])
def test_groups_number_images_by_their_pixels(channels):
    images = smooth_images(5, channels=channels)[[0, 1, 0, 2, 1, 0, 3]]
    assert duplicates.duplicate_groups(images).tolist() == [0, 1, 0, 2, 1, 0, 3]
    assert duplicates.duplicate_groups(images).dtype == np.int64
    assert duplicates.exact_duplicates(images).tolist() == [[0, 2], [1, 4], [0, 5]]
    one_off = images.copy()
    one_off[2, -1, -1, -1] ^= 1
    assert duplicates.duplicate_groups(one_off).tolist() == [0, 1, 2, 3, 1, 0, 4]


def test_groups_are_the_same_for_views_and_across_pieces(monkeypatch):
    images = smooth_images(9)[[0, 1, 2, 3, 4, 5, 0, 7, 3]]
    expected = [0, 1, 2, 3, 4, 5, 0, 6, 3]
    monkeypatch.setattr(duplicates, "_PIECE", 4)
    assert duplicates.duplicate_groups(images).tolist() == expected
    assert duplicates.duplicate_groups(images.transpose(0, 2, 1, 3)).tolist() == expected
    assert duplicates.duplicate_groups(images[:0]).tolist() == []


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(28, 28), (32, 48), (8, 8)])
def test_planted_near_duplicates_are_found_and_no_others(size, channels):
    images = smooth_images(300, *size, channels)
    brighter = np.clip(images[10].astype(int) // 2 + 60, 0, 255).astype(np.uint8)
    noisy = np.clip(images[20] + RNG.normal(0, 2, images[20].shape), 0, 255).astype(np.uint8)
    planted = np.stack([brighter, noisy, as_jpeg(images[30], 98), images[40]])
    found = duplicates.near_duplicates(np.concatenate([images, planted]))
    assert found.tolist() == [[10, 300], [20, 301], [30, 302]], "an exact copy is none of the near ones"


def test_leaks_are_told_apart_as_exact_and_near():
    train, test = smooth_images(200), smooth_images(50, seed=1)
    test[3], test[4], test[7] = train[5], train[5], train[9]
    test[8] = np.clip(train[11].astype(int) + 1, 0, 255)
    train[150] = train[5]
    exact, near = duplicates.leaks(train, test)
    assert exact.tolist() == [[5, 3], [5, 4], [9, 7]]
    assert near.tolist() == [[11, 8]]
    exact, near = duplicates.leaks(test, train)
    assert sorted(exact.tolist()) == [[3, 5], [3, 150], [7, 9]]
    assert near.tolist() == [[8, 11]]


def test_a_near_copy_of_an_image_with_exact_copies_leaks_too():
    train = smooth_images(20)
    train[1] = train[0]
    test = np.stack([train[0], np.clip(train[0].astype(int) + 1, 0, 255).astype(np.uint8)])
    exact, near = duplicates.leaks(train, test)
    assert exact.tolist() == [[0, 0]]
    assert near.tolist() == [[0, 1]]


def test_an_image_near_to_one_that_leaks_exactly_leaks_too():
    train = smooth_images(20)
    train[1] = np.clip(train[0].astype(int) + 1, 0, 255)
    exact, near = duplicates.leaks(train, train[:1])
    assert exact.tolist() == [[0, 0]]
    assert near.tolist() == [[1, 0]]


def test_blank_images_are_no_near_duplicates():
    images = np.zeros((50, 28, 28, 1), np.uint8) + np.arange(50, dtype=np.uint8)[:, None, None, None]
    images[:, 3, 3] += 5
    found = duplicates.find_duplicates([images])
    assert found.blank.all()
    assert found.near.shape == (0, 2)


def test_tiny_sets():
    images = smooth_images(1)
    assert duplicates.near_duplicates(images).shape == (0, 2)
    assert duplicates.near_duplicates(images[:0]).shape == (0, 2)
    assert duplicates.exact_duplicates(images[:0]).shape == (0, 2)
    assert [len(pairs) for pairs in duplicates.leaks(images, images[:0])] == [0, 0]


def test_very_many_alike_do_not_blow_up():
    images = np.repeat(smooth_images(1), 5000, axis=0)
    images[:, :3, :3, 0] += RNG.integers(0, 5, (5000, 3, 3), dtype=np.uint8)
    assert len(duplicates.near_duplicates(images)) <= 5000 * 8


real = pytest.mark.skipif("GLYPHNET_DATA" not in os.environ, reason="needs $GLYPHNET_DATA")


@real
def test_different_digits_of_mnist_are_not_called_duplicates():
    raw = idx.read_idx_folder(Path(os.environ["GLYPHNET_DATA"]) / "mnist")
    parts = {name: (part.images[..., np.newaxis], part.labels) for name, part in raw.parts.items()}
    started = time.process_time()
    found = duplicates.find_duplicates([images for images, _ in parts.values()])
    assert len(found.near) == 0
    assert len(np.unique(found.groups)) == 70_000
    assert time.process_time() - started < 30


@real
@pytest.mark.slow
def test_fashion_mnist_has_near_duplicates_across_its_parts():
    raw = idx.read_idx_folder(Path(os.environ["GLYPHNET_DATA"]) / "fashion-mnist")
    parts = {name: (part.images[..., np.newaxis], part.labels) for name, part in raw.parts.items()}
    (train, train_labels), (test, test_labels) = parts["train"], parts["test"]
    exact, near = duplicates.leaks(train, test)
    assert len(exact) == 0
    assert 10 <= len(near) <= 60
    assert [970, 8869] in near.tolist()
    np.testing.assert_array_equal(train_labels[near[:, 0]], test_labels[near[:, 1]])
