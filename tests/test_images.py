"""Whatever a person has at hand is classified as the same pixels in any other form."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from glyphnet.data.values import Reading
from glyphnet.errors import DataError
from glyphnet.images import image_batches
from glyphnet.serving.api import APIError
from glyphnet.serving.bodies import contents_of

RNG = np.random.default_rng(0)
GREY = RNG.integers(17, 256, (5, 6), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (5, 6, 3), dtype=np.uint8)


def model(channels: int = 1, value_range: tuple[float, float] = (0.0, 255.0)) -> Any:
    return SimpleNamespace(
        input_shape=(5, 6, channels), ink=None, normalize=False, reading=Reading(value_range), classes=("a", "b")
    )


def pixels(images: Any, channels: int = 1, **how: Any) -> np.ndarray:
    return np.concatenate([batch.pixels for batch in image_batches(images, model(channels, **how), 4)])


def png(array: np.ndarray = GREY) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "image",
    [
        png(),
        bytearray(png()),
        memoryview(png()),
        [io.BytesIO(png())],
        Image.fromarray(GREY),
        torch.from_numpy(GREY),
        torch.from_numpy(GREY).float(),
        [torch.from_numpy(GREY)],
        GREY.astype(np.float64),
        GREY.astype(np.int64),
        GREY.tolist(),
        [GREY.tolist()],
        GREY.ravel(),
        [GREY.ravel()],
        GREY[np.newaxis, np.newaxis],
        GREY[np.newaxis, ..., np.newaxis],
        [GREY[np.newaxis]],
        {"background": None, "layers": [], "composite": Image.fromarray(GREY)},
        {"background": None, "layers": [], "composite": GREY},
    ],
    ids=lambda image: type(image).__name__,
)
def test_every_form_of_a_grey_picture_gives_the_same_pixels(image):
    np.testing.assert_array_equal(pixels(image), GREY[np.newaxis, ..., np.newaxis])


def test_open_files_and_gradios_paths(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(png())
    with path.open("rb") as file:
        np.testing.assert_array_equal(pixels(file)[0, ..., 0], GREY)
    np.testing.assert_array_equal(pixels({"path": str(path), "url": None})[0, ..., 0], GREY)
    with path.open(encoding="latin-1") as file, pytest.raises(DataError, match=r"opened as text. Open it for bytes"):
        pixels(file)


@pytest.mark.parametrize(
    "image",
    [COLOUR, COLOUR[np.newaxis], COLOUR.transpose(2, 0, 1)[np.newaxis], [COLOUR.transpose(2, 0, 1)],
     torch.from_numpy(COLOUR).permute(2, 0, 1)[None], Image.fromarray(COLOUR), COLOUR.tolist()],
)  # fmt: skip
def test_channels_first_or_last(image):
    np.testing.assert_array_equal(pixels(image, 3), COLOUR[np.newaxis])


def test_rows_of_pixels_are_images():
    rows = RNG.integers(17, 256, (7, 30), dtype=np.uint8)
    np.testing.assert_array_equal(pixels(rows), rows.reshape(7, 5, 6, 1))


@pytest.mark.parametrize(
    ("images", "channels", "message"),
    [
        (np.zeros((2, 90), np.uint8), 3, r"give images\.reshape\(-1, 5, 6, 3\), or \.reshape\(-1, 3, 5, 6\) if all of"),
        (
            np.zeros((3, 5, 6), np.uint8),
            3,
            r"images\[np\.newaxis\] for one, or images\[\.\.\., np",
        ),
        (np.zeros((2, 3, 9, 3), np.uint8), 3, "either 3×9 pixels of 3 channels or 9×3 pixels of 3"),
        (torch.full((1, 5, 6), 0.5), 1, r"in 0\.\.0\.5, and the model's scale is 0:255"),
        ([[1, 2], [3]], 1, "rows of a nested list differ in length"),
        ({"a": 1}, 1, "A dict with the keys 'a' is no image"),
        ({"composite": None}, 1, "'composite' is None: there is no picture in it yet"),
    ],
)
def test_what_can_be_read_in_two_ways_or_none_is_refused(images, channels, message):
    with pytest.raises(DataError, match=message):
        pixels(images, channels)


def test_all_forms_are_on_the_models_scale():
    counts = np.linspace(100, 260, 30).reshape(5, 6).astype(np.uint16)
    expected = np.rint((counts.astype(float) - 100) * (255 / 160))[np.newaxis, ..., np.newaxis]
    tiff = io.BytesIO()
    Image.fromarray(counts).save(tiff, "TIFF")
    for image in (counts, counts.tolist(), tiff.getvalue(), [Image.fromarray(counts)], torch.tensor(counts.tolist())):
        np.testing.assert_array_equal(pixels(image, value_range=(100.0, 260.0)), expected)


# The service


def contents(images: list[Any], **how: Any) -> Any:
    import json

    return contents_of(json.dumps({"images": images}).encode(), "application/json", model(**how), 9)


def test_json_takes_base64_and_data_urls():
    text = base64.b64encode(png()).decode()
    assert [picture.content for picture in contents([text, f"data:image/png;base64,{text}"])] == [png(), png()]
    for wrong in ("data:image/png,abc", "%%%"):
        with pytest.raises(APIError, match="Image 1"):
            contents([wrong])


def test_json_pixels_are_on_the_models_scale():
    assert contents([GREY.tolist()])[0, ..., 0].tolist() == GREY.tolist()
    ones = np.zeros((5, 6))
    ones[2, 3] = 0.5
    assert contents([ones.tolist()], value_range=(0.0, 1.0)).max() == 128
    with pytest.raises(APIError, match="numbers from 100 to 260"):
        contents([[["a"]]], value_range=(100.0, 260.0))
