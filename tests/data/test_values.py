"""One scale of brightness for a whole data set, whatever values it comes in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glyphnet.data import load
from glyphnet.data.values import NEARLY_BLACK, Reading, ValueSurvey, on_scale, scaled_to_8_bits
from glyphnet.errors import BadFileError, DataError, SettingsError

COUNTS = np.random.default_rng(0).integers(0, 161, (40, 6, 6))  # a camera's counts above its offset


@pytest.fixture
def rng() -> np.random.Generator:
    """Each test draws the same, in whatever order they run."""
    return np.random.default_rng(1)


def surveyed(values: np.ndarray) -> tuple[float, float]:
    survey = ValueSurvey()
    survey.add(np.asarray(values))
    return survey.choose()


def array_file(folder: Path, images: np.ndarray, **more: np.ndarray) -> Path:
    np.savez(folder / "set.npz", images=images, labels=np.arange(len(images)) % 2, **more)
    return folder / "set.npz"


def picture_folder(folder: Path, images: np.ndarray, suffix: str = ".tif") -> Path:
    for number, pixels in enumerate(images):
        target = folder / "set" / "ab"[number % 2] / f"{number:02d}{suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target)
    return folder / "set"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.linspace(0, 0.98, 50), (0, 1)),
        (np.arange(256), (0, 255)),
        (np.arange(3000), (0, 4095)),
        (np.arange(60_000), (0, 65_535)),
        (np.arange(0, 17), (0, 16)),
        (np.arange(100, 261), (100, 260)),
        (np.arange(1000, 1161), (1000, 1160)),
        (np.linspace(-2.1, 2.6, 50), (-2.1, 2.6)),
        (np.zeros(9), (0, 1)),
        (np.array([0, 1]), (0, 1)),
    ],
)
def test_the_range_is_that_of_all_values_or_a_usual_scale(values, expected):
    assert surveyed(values) == pytest.approx(expected)


def test_hot_and_dead_pixels_do_not_set_the_range():
    values = np.tile(np.arange(100, 261), 1000)
    values[[7, 70_000]] = 65_535, -3000
    assert surveyed(values) == (100, 260)


def test_sparse_bright_objects_do_set_the_range():
    values = np.zeros(100_000)
    values[::5000] = 3000
    assert surveyed(values) == (0, 4095)


@pytest.mark.parametrize("offset", [100, 1000, -300])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("kind", ["files", "arrays"])
def test_an_offset_and_a_type_change_nothing(tmp_path, offset, dtype, kind):
    if offset < 0 and dtype == np.uint16:
        pytest.skip("no negative values in this type")
    make = picture_folder if kind == "files" else array_file
    splits = load(make(tmp_path, (COUNTS + offset).astype(dtype)), validation_fraction=0, test_fraction=0)
    low = offset
    assert splits.value_range == (low, offset + 160)
    expected = np.rint((COUNTS + offset - low) * (255 / (offset + 160 - low)))
    if kind == "arrays":
        np.testing.assert_array_equal(splits.train.images[..., 0], expected)
    else:  # in the order of their names: classes first
        np.testing.assert_array_equal(splits.train.images[..., 0], np.concatenate([expected[::2], expected[1::2]]))
    [said] = [note for note in splits.notes if "Brightness" in note]
    assert f"{low} is black, {offset + 160} is white" in said
    assert "--range LOW:HIGH" in said


def test_sixteen_bit_png_and_tiff_are_read_alike(tmp_path):
    for suffix in (".png", ".tif"):
        folder = tmp_path / suffix[1:]
        folder.mkdir()
        splits = load(picture_folder(folder, (COUNTS + 100).astype(np.uint16), suffix))
        assert splits.value_range == (100, 260)
        assert splits.train.images.max() == 255


@pytest.mark.parametrize("high", [1, 3, NEARLY_BLACK])
@pytest.mark.parametrize("kind", ["files", "arrays"])
def test_nearly_black_images_of_8_bits_are_scaled_and_said(rng, tmp_path, kind, high):
    images = rng.integers(0, high + 1, (20, 6, 6), dtype=np.uint8)
    splits = load(picture_folder(tmp_path, images, ".png") if kind == "files" else array_file(tmp_path, images))
    assert splits.value_range == (0, high)
    assert splits.train.images.max() == 255
    assert any(f"0 is black, {high} is white" in note for note in splits.notes)


@pytest.mark.parametrize("kind", ["files", "arrays"])
def test_other_images_of_8_bits_stay_as_they_are(rng, tmp_path, kind):
    images = rng.integers(0, 90, (20, 6, 6), dtype=np.uint8)
    splits = load(picture_folder(tmp_path, images, ".png") if kind == "files" else array_file(tmp_path, images))
    assert splits.value_range is None
    assert splits.train.images.max() == images.max()
    assert not any("Brightness" in note for note in splits.notes)


@pytest.mark.parametrize("kind", ["files", "arrays"])
def test_a_given_range_holds_for_8_bits_too_and_counts_what_lies_outside(rng, tmp_path, kind):
    images = rng.integers(20, 60, (20, 6, 6), dtype=np.uint8)
    path = picture_folder(tmp_path, images, ".png") if kind == "files" else array_file(tmp_path, images)
    splits = load(path, value_range=(30, 50), validation_fraction=0, test_fraction=0)
    outside = int(((images < 30) | (images > 50)).sum())
    assert any(
        "30 is black, 50 is white (as asked for)" in note and f"{outside:,} values" in note for note in splits.notes
    )
    assert (splits.train.images.min(), splits.train.images.max()) == (0, 255)


@pytest.mark.parametrize("given", [(5, 5), (9, 1), (0, float("nan")), (1,), "0:1"])
def test_an_impossible_range_is_refused(given):
    with pytest.raises(SettingsError, match="value_range .* must be"):
        load("digits", value_range=given)


def test_files_of_8_and_of_more_bits_are_not_mixed(rng, tmp_path):
    folder = picture_folder(tmp_path, (COUNTS[:20] + 100).astype(np.uint16))
    picture_folder(tmp_path, rng.integers(0, 256, (10, 6, 6), dtype=np.uint8), ".png")
    with pytest.raises(DataError, match=r"\n  10 of 8 bits.*\n  20 of whole numbers up to 260.*\n.* --range 100:260"):
        load(folder)


def test_parts_on_two_scales_are_refused(tmp_path):
    images = np.arange(20 * 6 * 6).reshape(20, 6, 6) % 256
    np.savez(
        tmp_path / "two.npz",
        x_train=images.astype(np.uint8), y_train=np.arange(20) % 2,
        x_test=(images / 255).astype(np.float32), y_test=np.arange(20) % 2,
    )  # fmt: skip
    with pytest.raises(DataError, match="x_train runs to 255 and x_test only to 1: they are not on one scale"):
        load(tmp_path / "two.npz")


def test_a_float_picture_with_nan_is_a_bad_file(tmp_path):
    images = (COUNTS[:20] + 100).astype(np.float32)
    images[3, 2, 2] = np.nan
    with pytest.raises(BadFileError, match=r"b/03\.tif: holds values that are no numbers"):
        load(picture_folder(tmp_path, images))


# What somebody wants classified


def test_arrays_of_any_type_are_put_on_the_models_scale():
    values = np.array([[100, 180, 260]])
    for dtype in (np.uint16, np.int64, np.float32):
        assert on_scale(values.astype(dtype), (100.0, 260.0)).tolist() == [[0, 128, 255]]
    assert on_scale(np.array([[True, False]]), (100.0, 260.0)).tolist() == [[255, 0]]
    assert on_scale(np.array([[0.0, 0.5, 1.0]]), (0.0, 1.0)).tolist() == [[0, 128, 255]]
    assert on_scale(np.array([[0, 128, 255]]), (0.0, 255.0)).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("high", [1.0, 7.0, 16.0])
def test_bytes_are_brightness_or_values_of_a_nearly_black_set_never_both(high):
    raw = np.arange(0, int(high) + 1, dtype=np.uint8)[np.newaxis]
    scaled, _ = scaled_to_8_bits(raw, (0.0, high))
    np.testing.assert_array_equal(on_scale(raw, (0.0, high)), scaled)
    np.testing.assert_array_equal(on_scale(scaled, (0.0, high)), scaled)


@pytest.mark.parametrize(
    ("values", "value_range", "message"),
    [
        (np.array([[0.0, 0.4, 1.0]]), (0.0, 255.0), r"lie in 0\.\.1, and the model's scale is 0:255.* images \* 255"),
        (np.array([[0, 1500, 4095]]), (0.0, 255.0), "2 of 3 values lie outside 0:255, .* run from 0 to 4095"),
        (np.array([[1.0, 2.0]]), (100.0, 260.0), "2 of 2 values lie outside 100:260"),
        (np.array([["a"]]), (0.0, 255.0), "must hold numbers, not <U1"),
    ],
)
def test_arrays_that_cannot_be_on_the_scale_are_refused(values, value_range, message):
    with pytest.raises(DataError, match=message):
        on_scale(values, value_range)


def test_readings_are_equal_when_they_read_alike():
    assert Reading() == Reading((0.0, 255.0), 1)
