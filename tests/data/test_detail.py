"""The size of images is chosen for their content: line drawings small, fine texture large, small sources unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from glyphnet.data import load
from glyphnet.data.survey import SIDES, choose_side, measure_detail


def drawing(seed: int, side: int = 105) -> Image.Image:
    """A few thin strokes that meet, as a character of Omniglot."""
    rng = np.random.default_rng(seed)
    picture = Image.new("L", (side, side), 255)
    pen = ImageDraw.Draw(picture)
    x, y = rng.uniform(0.1 * side, 0.25 * side, 2)
    pen.ellipse((x, y, x + 0.4 * side, y + 0.4 * side), outline=0, width=3)
    pen.line((x + 0.4 * side, y + 0.2 * side, x + 0.6 * side, y + rng.uniform(0, 0.6 * side)), fill=0, width=3)
    return picture


def texture(seed: int, side: int = 105) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8))


def blurred(seed: int, side: int = 105) -> Image.Image:
    return texture(seed, 6).resize((side, side), Image.Resampling.BICUBIC)


def chosen(make, side=105):
    return choose_side([measure_detail(make(seed, side)) for seed in range(12)], side)


def test_line_drawings_are_small():
    side, why = chosen(drawing)
    assert side == 28
    assert "of the drawings stay, with strokes" in why


def test_soft_pictures_are_small_and_fine_texture_stays_large():
    assert chosen(blurred)[0] == 28
    assert chosen(texture) == (105, "smaller, detail would be lost")


def test_a_drawing_of_small_parts_needs_a_larger_side():
    def grid(seed: int, side: int) -> Image.Image:
        picture = Image.new("L", (side, side), 255)
        pen = ImageDraw.Draw(picture)
        for x in range(8 + seed % 3, side - 4, 7):  # lines that melt together when there are fewer pixels
            pen.line((x, 10, x, side - 10), fill=0, width=3)
        return picture

    assert chosen(grid)[0] > 28


def save(folder: Path, make, side: int = 105, suffix: str = ".png") -> Path:
    for seed in range(20):
        path = folder / "ab"[seed % 2] / f"{seed}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        make(seed, side).save(path)
    return folder


@pytest.mark.parametrize("kind", ["files", "arrays"])
def test_the_choice_and_the_alternative_are_said(tmp_path, kind):
    source = save(tmp_path / "set", drawing)
    if kind == "arrays":
        images = np.stack([np.asarray(drawing(seed)) for seed in range(20)])
        source = tmp_path / "set.npz"
        np.savez(source, images=images, labels=np.arange(20) % 2)
    splits = load(source)
    assert splits.image_shape == (28, 28, 1)
    [note] = [note for note in splits.notes if "--size 96" in note]
    assert "At 28×28 the shapes of" in note
    assert "about 12 times as long" in note
    assert load(source, size=96).image_shape == (96, 96, 1)


@pytest.mark.parametrize(("side", "expected"), [(28, 28), (32, 32), (48, 48)])
def test_small_sources_keep_their_size(tmp_path, side, expected):
    assert load(save(tmp_path / "set", drawing, side)).image_shape == (expected, expected, 1)


def test_fine_texture_keeps_the_largest_side(tmp_path):
    assert load(save(tmp_path / "set", texture)).image_shape == (96, 96, 1)
    assert load(save(tmp_path / "64", texture, 64)).image_shape == (64, 64, 1)


def test_every_side_is_measured():
    assert len(measure_detail(drawing(0)).kept) == len(SIDES)
