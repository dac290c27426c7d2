from __future__ import annotations

import io
import os
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


def as_jpeg(image, quality=75):
    buffer = io.BytesIO()
    Image.fromarray(image.squeeze()).save(buffer, "JPEG", quality=quality, subsampling=0)
    return np.asarray(Image.open(buffer)).reshape(image.shape)


def turned(image, degrees=5):
    return np.asarray(
        Image.fromarray(image.squeeze()).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=None)
    ).reshape(image.shape)


def cropped(image):
    height, width = image.shape[:2]
    box = (width // 16, height // 16, width - width // 16, height - height // 16)
    return np.asarray(
        Image.fromarray(image.squeeze()).resize((width, height), Image.Resampling.BICUBIC, box=box)
    ).reshape(image.shape)


@pytest.mark.parametrize("channels", [1, 3])
def test_groups_number_images_by_their_pixels(channels):
    images = smooth_images(5, channels=channels)[[0, 1, 0, 2, 1, 0, 3]]
    assert duplicates.duplicate_groups(images).tolist() == [0, 1, 0, 2, 1, 0, 3]
    assert duplicates.duplicate_groups(images).dtype == np.int64
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
@pytest.mark.parametrize("size", [(28, 28), (32, 48), (96, 96)])
def test_changed_copies_are_found_and_no_others(size, channels):
    images = smooth_images(300, *size, channels)
    changes = {
        "altered": lambda image: np.clip(image.astype(int) // 2 + 60, 0, 255).astype(np.uint8),
        "altered by jpeg": as_jpeg,
        "shifted": lambda image: np.concatenate([image[:, :1], image[:, :-1]], axis=1),
        "mirrored": lambda image: image[:, ::-1],
        "turned": turned,
        "enlarged": cropped,
    }
    planted = np.stack([change(images[10 * row]) for row, change in enumerate(changes.values())])
    found = duplicates.find_duplicates([images, planted]).near
    assert found.pairs.tolist() == [[10 * row, 300 + row] for row in range(len(changes))]
    for number, kind in enumerate(changes):
        if size != (96, 96) or kind != "shifted":  # a third of a pixel where pictures of 32 pixels are compared
            assert kind.split()[0] in found.kind(number)
    assert found.mirrored.tolist() == [kind == "mirrored" for kind in changes]
    assert found.same[[0, 2, 3]].all()


def enlarged(grids):
    return np.stack([np.asarray(Image.fromarray(each).resize((32, 32), Image.Resampling.BICUBIC)) for each in grids])


def test_recoloured_and_cropped_photographs_with_other_parts_are_very_similar():
    rng = np.random.default_rng(0)
    textures = enlarged(rng.integers(0, 256, (300, 14, 14, 3), dtype=np.uint8))
    scenes = enlarged(rng.integers(0, 256, (3, 3, 3, 3), dtype=np.uint8))[np.arange(300) % 3]
    images = (0.7 * scenes + 0.3 * textures).astype(np.uint8)  # each resembles a hundred others, but for its texture
    changed = cropped(images[7][:, ::-1])
    changed = (255 * (changed / 255) ** [1.6, 1.0, 0.7]).astype(np.uint8)
    changed[18:26, 3:11] = (200, 40, 40)
    found = duplicates.find_duplicates([images, changed[np.newaxis]]).near
    assert found.pairs.tolist() == [[7, 300]]
    assert not found.same[0]


def test_the_result_is_kept_whatever_the_order_and_the_division(monkeypatch):
    images = smooth_images(60)
    images[50] = np.roll(images[5], 1, axis=1)
    images[51] = images[6]
    first = duplicates.find_duplicates([images[:40], images[40:]])
    assert first.near.pairs.tolist() == [[5, 50]]
    monkeypatch.setattr(duplicates, "near_pairs", None)  # a second search would fail
    again = duplicates.find_duplicates([images[::-1]], most_seconds=0)
    assert again.searched
    assert again.near.pairs.tolist() == [[9, 54]]
    images[0, 0, 0] ^= 1
    assert not duplicates.find_duplicates([images], most_seconds=0).searched


def test_pairs_between_parts_count_exact_copies_of_near_ones_too():
    train, test = smooth_images(40), smooth_images(30, seed=1)
    test[3], test[4], test[7] = train[5], train[5], train[9]
    test[8] = np.roll(train[11], 1, axis=0)
    train[20] = train[11]
    found = duplicates.find_duplicates([train, test])
    part = np.repeat([0, 1], [40, 30])
    exact, near = duplicates.cross_pairs(found, part, 0, 1)
    assert exact.tolist() == [[5, 43], [5, 44], [9, 47]]
    assert near.pairs.tolist() == [[11, 48]]
    assert near.same.all()


def test_mirrored_drawings_are_not_kept_together():
    images = smooth_images(20)
    images[7] = images[3][:, ::-1]
    images[8] = np.roll(images[4], 1, axis=1)
    images[9] = images[5]
    found = duplicates.find_duplicates([images])
    drawings = duplicates.same_picture_groups(found, mirrored=False)
    assert drawings[7] != drawings[3]
    assert drawings[8] == drawings[4]
    assert drawings[9] == drawings[5]
    photographs = duplicates.same_picture_groups(found, mirrored=True)
    assert photographs[7] == photographs[3]


def test_blank_images_are_no_near_duplicates():
    images = np.zeros((50, 28, 28, 1), np.uint8) + np.arange(50, dtype=np.uint8)[:, None, None, None]
    images[:, 3, 3] += 5
    found = duplicates.find_duplicates([images])
    assert found.blank.all()
    assert len(found.near) == 0


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [(28, 28), (2, 3)])
def test_tiny_sets(count, size):
    assert (
        len(
            duplicates.find_duplicates(
                [smooth_images(count, *size) if count else np.empty((0, *size, 1), np.uint8)]
            ).near
        )
        == 0
    )


def test_very_many_alike_do_not_blow_up():
    images = np.repeat(smooth_images(1), 200, axis=0)  # 19,900 pairs
    images[:, :3, :3, 0] += RNG.integers(0, 5, (200, 3, 3), dtype=np.uint8)
    assert len(duplicates.find_duplicates([images]).near) <= 200 * 8


@pytest.mark.skipif("GLYPHNET_DATA" not in os.environ, reason="needs $GLYPHNET_DATA")
def test_ones_of_mnist_are_not_the_same_picture_but_their_turned_copies_are():
    test = idx.read_idx_folder(Path(os.environ["GLYPHNET_DATA"]) / "mnist").parts["test"]
    ones = test.images[test.labels == 1, ..., np.newaxis]
    copies = np.stack([turned(image) for image in ones[:30]])
    found = duplicates.find_duplicates([ones, copies]).near
    planted = found.pairs[:, 1] - found.pairs[:, 0] == len(ones)
    assert not (found.same & ~planted).any()
    assert planted.sum() >= 28
