"""Pages after the first, turns and conversions: nothing is dropped or reinterpreted without a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from glyphnet.data import load
from glyphnet.data.decode import fit_image, read_picture, see_bytes
from glyphnet.data.values import Reading
from glyphnet.errors import BadFileError, SettingsError

Save = Callable[[Path, int], None]


def stack(levels: list[int], mode: str = "L", size: tuple[int, int] = (8, 8)) -> list[Image.Image]:
    kind = np.uint16 if mode == "I;16" else np.uint8
    pages = []
    for level in levels:
        pixels = np.full(size, level, dtype=kind)
        pixels[2:5, 2:5] += 3
        pages.append(Image.fromarray(pixels))
    return pages


def save_pages(path: Path, pages: list[Image.Image], **how: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pages[0].save(path, save_all=True, append_images=pages[1:], **how)
    return path


def stacks(root: Path, suffix: str = ".tif", mode: str = "L") -> Path:
    for number in range(12):
        level = 90 if number % 2 else 30
        pages = stack([10 + number, 60, level + number, 200], mode)
        save_pages(
            root / "set" / "ab"[number % 2] / f"{number:02d}{suffix}",
            pages,
            **{".webp": {"lossless": True}}.get(suffix, {}),
        )
    return root / "set"


@pytest.mark.parametrize(("page", "value"), [(1, 10), (3, 30), (4, 200), ("mean", 75), ("max", 200)])
def test_the_page_that_is_asked_for_is_read(tmp_path, page, value):
    path = save_pages(tmp_path / "a.tif", stack([10, 60, 30, 200]))
    assert fit_image(read_picture(path, Reading(page=page)), (8, 8, 1))[0, 0, 0] == value


def test_pages_are_counted_and_said_once(tmp_path):
    splits = load(stacks(tmp_path))
    assert [note for note in splits.notes if "page" in note] == [
        "12 files have 4 pages: page 1 is read. Choose by --page N, mean or max."
    ]
    assert splits.reading.page == 1
    third = load(stacks(tmp_path), page=3)
    assert third.train.images.max() > 90
    assert any("page 3 is read" in note for note in third.notes)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_frames_of_an_animation_are_counted(tmp_path, suffix):
    notes = load(stacks(tmp_path, suffix)).notes
    assert any(note.startswith("12 files have 4 frames: frame 1 is read.") for note in notes)


def test_pages_of_16_bits_keep_their_values(tmp_path):
    path = save_pages(tmp_path / "a.tif", stack([100, 180, 260], "I;16"))
    reading = Reading((100.0, 260.0), "mean")
    assert fit_image(read_picture(path, reading), (8, 8, 1))[0, 0, 0] == 128


def test_a_page_that_is_not_there_and_pages_of_two_sizes_are_bad_files(tmp_path):
    path = save_pages(tmp_path / "a.tif", [*stack([1, 2]), *stack([3], size=(4, 4))])
    with pytest.raises(BadFileError, match=r"a\.tif: 3 pages, and page 4 is asked for\. Choose another by --page"):
        fit_image(read_picture(path, Reading(page=4)), (8, 8, 1))
    with pytest.raises(BadFileError, match="pages differ in size or colour, so there is no max of them"):
        fit_image(read_picture(path, Reading(page="max")), (8, 8, 1))
    single = save_pages(tmp_path / "b.tif", stack([1]))
    with pytest.raises(BadFileError, match="one page only, and page 2 is asked for"):
        fit_image(read_picture(single, Reading(page=2)), (8, 8, 1))


def test_a_thumbnail_in_a_tiff_is_no_page(tmp_path):
    path = tmp_path / "a.tif"
    small = stack([9], size=(4, 4))[0]
    small.encoderinfo = {"tiffinfo": {254: 1}}
    stack([30])[0].save(path, save_all=True, append_images=[small])
    assert see_bytes(path.read_bytes(), path, Reading()).pages == 1


@pytest.mark.parametrize("page", [0, -1, 1.5, "last", True])
def test_an_impossible_page_is_refused(page):
    with pytest.raises(SettingsError, match=r"page \(=.*\) must be a number from 1 up, mean or max"):
        load("digits", page=page)


def rotated(path: Path, number: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(np.full((8, 8), 20 * number, np.uint8)).save(path.with_suffix(".jpg"), exif=exif)


def with_palette(path: Path, number: int) -> None:
    picture = Image.fromarray(np.full((8, 8), 20 * number, np.uint8)).convert("P")
    picture.save(path.with_suffix(".png"))


def in_cmyk(path: Path, number: int) -> None:
    Image.fromarray(np.full((8, 8, 3), 20 * number, np.uint8)).convert("CMYK").save(path.with_suffix(".jpg"))


def transparent(path: Path, number: int) -> None:
    pixels = np.full((8, 8, 4), 20 * number, np.uint8)
    pixels[:, ::2, 0] += 70  # two colours: no drawing with a light pen
    pixels[4:, :, 3] = 255
    pixels[:4, :, 3] = 0
    Image.fromarray(pixels).save(path.with_suffix(".png"))


def light_on_transparent(path: Path, number: int) -> None:
    pixels = np.full((8, 8, 4), 245 + number, np.uint8)
    pixels[:, ::2, 3] = 0
    Image.fromarray(pixels).save(path.with_suffix(".png"))


@pytest.mark.parametrize(
    ("save", "said"),
    [
        (rotated, "10 pictures turned upright, as EXIF says."),
        (with_palette, "10 pictures with a palette: read as its colours, not as its numbers."),
        (in_cmyk, "10 pictures in CMYK: converted to RGB."),
        (transparent, "10 pictures with transparent parts: laid on white."),
        (light_on_transparent, "10 pictures with transparent parts, drawn in one light colour: laid on black."),
    ],
)
def test_what_was_done_to_pictures_is_said_once_with_a_count(tmp_path, save: Save, said):
    for number in range(10):
        path = tmp_path / "set" / "ab"[number % 2] / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, number)
    notes = load(tmp_path / "set").notes
    assert [note for note in notes if note.startswith("10 ") and "images" not in note] == [said]
