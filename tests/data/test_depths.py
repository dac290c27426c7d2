"""Pictures of different depth in one data set, or for a model of another depth: said, or refused with both counts."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glyphnet.data import load
from glyphnet.data.decode import see_bytes
from glyphnet.data.traits import Depths, TraitCounts, Traits, depth_of
from glyphnet.data.values import EIGHT_BITS, Reading
from glyphnet.errors import BadFileError, DataError

TYPES = {"8": (np.uint8, 255), "12": (np.uint16, 4095), "16": (np.uint16, 65_535), "float": (np.float32, 1)}


def picture(number: int, depth: str, high: float = 0.9) -> np.ndarray:
    """Noise up to ``high`` of white, with a bar across or down, in one of `TYPES`."""
    kind, white = TYPES[depth]
    values = np.random.default_rng(number).random((12, 12)) * 0.3
    values[(slice(4, 8), slice(None)) if number % 2 else (slice(None), slice(4, 8))] += 0.6
    return (values / 0.9 * high * white).astype(kind)


def folder(root: Path, *depths: str, rare: dict[int, str] | None = None, count: int = 24) -> Path:
    """Pictures of two classes, whose depths follow each other; those in ``rare`` have others."""
    for number in range(count):
        depth = (rare or {}).get(number, depths[number // 2 % len(depths)])
        target = root / "set" / "ab"[number % 2] / f"{number:04d}.tif"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number, depth)).save(target)
    return root / "set"


def notes_on_depth(notes: tuple[str, ...]) -> list[str]:
    return [note for note in notes if "stored alike" in note or "nearly black" in note]


@pytest.mark.parametrize(
    ("depths", "white", "kinds"),
    [
        (("8", "12"), 4095, "12 pictures of 8 bits (255 is white), 12 pictures of whole numbers up to 36"),
        (("8", "16"), 65_535, "12 pictures of 8 bits (255 is white), 12 pictures of whole numbers up to 589"),
        (("8", "float"), 1, "12 pictures of 8 bits (255 is white), 12 pictures of floats up to 0.89"),
    ],
)
def test_eight_bits_beside_others_each_have_their_white_and_it_is_said(tmp_path, depths, white, kinds):
    splits = load(folder(tmp_path, *depths), size=12, group_by="none")
    assert splits.reading.value_range == (0, white)
    [said] = notes_on_depth(splits.notes)
    assert kinds in said
    [brightness] = [note for note in splits.notes if note.startswith("Brightness")]
    assert brightness.startswith(
        f"Brightness, for the 12 pictures that are not of 8 bits: 0 is black, {white} is white"
    )
    assert splits.train.images.max(axis=(1, 2, 3)).min() > 215  # none is nearly black


@pytest.mark.parametrize("depths", [("12", "16"), ("float", "16"), ("float", "12")])
def test_two_depths_on_one_scale_are_refused_with_both_counts(tmp_path, depths):
    root = folder(tmp_path, *depths)
    scale = f"0:{TYPES[depths[1]][1]}"
    with pytest.raises(DataError, match=rf"not on one scale:\n  12 of .*\n  12 of .*\n.*--range {scale} makes") as told:
        load(root, group_by="none")
    assert str(told.value).count("\n") < 6
    notes = load(root, group_by="none", value_range=(0, TYPES[depths[1]][1])).notes
    [said] = notes_on_depth(notes)
    assert said.startswith("12 pictures of ")
    assert any(note.startswith("Brightness, for all images alike: ") for note in notes)


@pytest.mark.parametrize(("depths", "rare"), [("8", "12"), ("16", "float"), ("8", "float")])
def test_a_rare_depth_that_the_sample_does_not_meet_is_found_when_all_are_read(tmp_path, monkeypatch, depths, rare):
    root = folder(tmp_path, depths, rare={13: rare})
    monkeypatch.setattr("glyphnet.data.survey.SAMPLE", 4)
    if (depths, rare) == ("8", "float"):  # values up to 1 on 0:255
        with pytest.raises(DataError, match=r"23 of 8 bits.*\n  1 of floats up to 0\.89.*0013\.tif"):
            load(root)
    else:
        with pytest.raises(DataError, match=r"\n  1 of (whole|floats).*0013\.tif|0013\.tif.*\n"):
            load(root)


def test_counts_on_no_usual_scale_beside_eight_bits_are_refused(tmp_path):
    root = folder(tmp_path, "8")
    for number in range(12):
        Image.fromarray(picture(number, "8").astype(np.uint16) + 900).save(
            root / "ab"[number % 2] / f"{number:04d}.tif"
        )
    with pytest.raises(
        DataError, match=r"12 of 8 bits.*\n  12 of whole numbers up to 11.*\n.*--range 900:11\d\d makes"
    ):
        load(root)


def test_dark_pictures_and_hot_pixels_are_no_other_depth(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(24):
        pixels = rng.integers(100, 200 if number % 3 else 140, (64, 64)).astype(np.uint16)
        if number % 4 == 0:  # in 1 of 16,000 values
            pixels[3, 3] = 60_000
        target = tmp_path / "set" / "ab"[number % 2] / f"{number}.tif"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target)
    assert not notes_on_depth(load(tmp_path / "set", group_by="none").notes)


def test_a_few_dark_pictures_of_one_type_are_said_and_not_refused(tmp_path):
    root = folder(tmp_path, "16", rare={13: "12"}, count=60)
    [said] = notes_on_depth(load(root, group_by="none").notes)
    assert said.startswith("1 picture of whole numbers up to ")
    assert "0013.tif" in said


def test_a_range_that_leaves_eight_bits_nearly_black_is_said(tmp_path):
    [said] = notes_on_depth(load(folder(tmp_path, "8", "12"), value_range=(0, 4095), group_by="none").notes)
    assert said.startswith("12 pictures of 8 bits")
    assert "0:4095" in said


@pytest.mark.parametrize(
    ("scale", "depth", "said"),
    [
        ((0.0, 4095.0), "8", "3 pictures of 8 bits, for a model trained on the scale 0:4095: 255 is taken as white."),
        (EIGHT_BITS, "16", "3 pictures of whole numbers up to 58"),
        (EIGHT_BITS, "8", None),
        ((0.0, 4095.0), "12", None),
        ((0.0, 16.0), "8", None),
    ],
)
def test_pictures_of_another_depth_than_a_models_scale_are_said(scale, depth, said):
    counts = TraitCounts()
    for number in range(3):
        Image.fromarray(picture(number, depth)).save(file := io.BytesIO(), "TIFF")
        seen = see_bytes(file.getvalue(), "a.tif", Reading(scale))
        counts.add(seen.traits, seen.pages, seen.outside)
        counts.depths.add(seen.depth, "a.tif")
    sentences = counts.predicted_sentences(Reading(scale))
    assert len(sentences) == (said is not None)
    if said:
        assert sentences[0].startswith(said)


def test_counts_survive_json():
    depths = Depths()
    for depth in ("8", "whole 4071", "whole 60000", "real 0.5"):
        depths.add(depth, f"{depth}.tif")
    assert Depths.from_dict(depths.to_dict()) == depths


def test_depth_of_values():
    assert depth_of(np.array([0, 255], np.uint8)) == "8"
    assert depth_of(np.array([0, 4071], np.uint16)) == "whole 4071"
    assert depth_of(np.array([0.25, np.nan])) == "real 0.25"


# Sixteen bits a colour


def png_of_16_bits(values: np.ndarray) -> bytes:
    """RGB or RGBA of 16 bits, which Pillow cannot write."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def tiff_of_16_bits(values: np.ndarray, order: str) -> bytes:
    """RGB of 16 bits in one strip, uncompressed, of either byte order."""
    height, width, _ = values.shape
    body = values.astype(f"{order}u2").tobytes()
    tags = [(256, width), (257, height), (258, 16), (259, 1), (262, 2), (273, 8), (277, 3), (278, height)]
    tags += [(279, len(body))]
    entries = b"".join(
        struct.pack(f"{order}HHII", tag, 4, 1, value)
        if tag != 258
        else struct.pack(f"{order}HHII", 258, 3, 3, 8 + len(body) + 2 + 12 * len(tags) + 4)
        for tag, value in tags
    )
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)
    return mark + struct.pack(f"{order}I", 8 + len(body)) + body + directory + struct.pack(f"{order}HHH", 16, 16, 16)


@pytest.mark.parametrize(
    "save",
    [png_of_16_bits, lambda values: tiff_of_16_bits(values, "<"), lambda values: tiff_of_16_bits(values, ">")],
    ids=["PNG", "TIFF, little-endian", "TIFF, big-endian"],
)
def test_colours_of_16_bits_are_read_with_all_of_them(save):
    values = np.random.default_rng(0).integers(0, 4096, (9, 7, 3)).astype(np.uint16)
    values[0, 0] = 0, 4095, 17
    seen = see_bytes(save(values), "a", Reading((0.0, 4095.0), strict=False))
    np.testing.assert_array_equal(np.asarray(seen.image), np.rint(values * (255 / 4095)).astype(np.uint8))
    assert seen.depth == "whole 4095"
    assert Traits.WIDE_COLOUR not in seen.traits


def test_colours_of_16_bits_train_on_the_scale_of_their_values(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(12):
        target = tmp_path / "set" / "ab"[number % 2] / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(png_of_16_bits(rng.integers(0, 4000, (8, 8, 3)).astype(np.uint16)))
    splits = load(tmp_path / "set", group_by="none")
    assert splits.reading.value_range == (0, 4095)
    assert splits.train.image_shape == (8, 8, 3)
    assert len(np.unique(splits.train.images)) > 200  # the upper 8 bits of 12 in 16 are 16 levels


def test_transparent_colours_of_16_bits_keep_the_upper_8_and_this_is_said(tmp_path):
    values = np.full((8, 8, 4), 40_000, np.uint16)
    seen = see_bytes(png_of_16_bits(values), "a.png", Reading())
    assert Traits.WIDE_COLOUR in seen.traits


def test_a_colour_array_of_16_bits_is_a_picture():
    values = np.random.default_rng(0).integers(0, 65_536, (8, 8, 3)).astype(np.uint16)
    np.save(file := io.BytesIO(), values)
    seen = see_bytes(file.getvalue(), "a.npy", Reading((0.0, 65_535.0)))
    np.testing.assert_array_equal(np.asarray(seen.image), np.rint(values / 257).astype(np.uint8))


def test_a_model_of_8_bits_refuses_12_bits_a_colour():
    values = np.full((8, 8, 3), 3000, np.uint16)
    with pytest.raises(BadFileError, match=r"values from 3000 to 3000; the model was trained on the scale 0:255"):
        see_bytes(png_of_16_bits(values), "a.png", Reading())
