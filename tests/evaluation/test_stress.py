"""Corrupted images keep their form and class, and a stress test says what a model loses on them."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from glyphnet.augment import AUGMENTATIONS
from glyphnet.data import ImageDataset
from glyphnet.data.dataset import UInt8Array
from glyphnet.errors import DataError
from glyphnet.evaluation.corruptions import CORRUPTIONS, corrupt
from glyphnet.evaluation.intervals import proportion
from glyphnet.evaluation.stress import FIRST, Stress, stress


def bars(shape: tuple[int, int, int] = (28, 28, 1), count: int = 12) -> UInt8Array:
    """Light bars on black, upright and level by turns."""
    images = np.zeros((count, *shape), dtype=np.uint8)
    height, width = shape[:2]
    down, along = (max(1, side // 14) for side in (height, width))
    images[::2, height // 6 : -height // 6, width // 2 - along : width // 2 + along] = 255
    images[1::2, height // 2 - down : height // 2 + down, width // 6 : -width // 6] = 255
    return images


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(28, 28, 1), (40, 33, 3), (8, 8, 1)])
def test_a_corruption_changes_images_reproducibly_and_keeps_their_form(name: str, shape: tuple[int, int, int]) -> None:
    images = bars(shape)
    before = images.copy()
    made = corrupt(images, name, seed=1)
    assert (made.dtype, made.shape) == (np.uint8, images.shape)
    assert np.abs(made.astype(int) - images).mean() > 0.5
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(made, corrupt(images, name, seed=1))
    assert CORRUPTIONS[name].doc.endswith(".")
    assert set(CORRUPTIONS[name].helps) <= set(AUGMENTATIONS)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_dark_drawings_on_light_suffer_what_their_negatives_suffer(name: str) -> None:
    np.testing.assert_allclose(corrupt(255 - bars(), name).astype(int), 255 - corrupt(bars(), name).astype(int), atol=1)


def test_strengths_are_those_that_are_published() -> None:
    flat = np.full((4, 28, 28, 1), 100, dtype=np.uint8)
    assert set(np.unique(corrupt(flat, "brightness"))) == {228}  # 100 and half of 255
    changed = corrupt(flat, "impulse_noise") != 100
    assert changed.mean() == pytest.approx(0.17, abs=0.02)
    photons = corrupt(flat, "shot_noise")
    assert set(np.unique(photons)) <= {0, 85, 170, 255}, "thirds"
    striped = corrupt(bars(), "stripe")
    assert striped[0, 0, :7].min() == striped[0, 0, 21:].min() == 255
    assert striped[0, 0, 7:21].max() == 0
    assert corrupt(bars(), "scale").sum(dtype=int) == pytest.approx(0.49 * bars().sum(dtype=int), rel=0.1)
    edges = corrupt(bars(), "canny_edges")
    assert set(np.unique(edges)) == {0, 255}
    assert edges[0, 14, 14, 0] == 0, "inside a bar is no edge"


class Upright:
    """Knows an upright bar by its ink in the middle column; anything with much ink it calls level."""

    classes = ("upright", "level")
    recipe = MappingProxyType({"augment": {"noise": 0.1}})

    def predict_labels(self, images: UInt8Array) -> np.ndarray:
        ink = images[..., 0].astype(int)
        return (ink.max(axis=1).mean(axis=1) > ink.max(axis=2).mean(axis=1)).astype(np.int64)


def labelled(count: int) -> ImageDataset:
    labels = (np.arange(count) % 2).astype(np.int64)
    return ImageDataset(bars(count=count), labels, ("upright", "level"), [str(row) for row in range(count)])


def test_a_stress_test_counts_right_answers_and_names_what_would_help() -> None:
    found = stress(Upright(), labelled(60), seconds=60)  # type: ignore[arg-type]
    assert (found.n, found.of, found.clean.value) == (60, 60, 1.0)
    assert set(found.corrupted) == set(CORRUPTIONS)
    assert found.corrupted["translate"].value == 1.0
    assert found.corrupted["stripe"].value < 0.8
    assert found.mean == pytest.approx(np.mean([each.value for each in found.corrupted.values()]))
    lines = found.lines()
    assert "over 15 kinds (60 images)" in lines[0]
    assert any(line.strip().startswith("stripe") for line in lines)
    assert found.to_dict()["corrupted"]["stripe"]["n"] == 60


def test_where_time_is_short_a_sample_is_taken_and_its_size_is_said() -> None:
    asked: list[int] = []

    class Slow(Upright):
        def predict_labels(self, images: UInt8Array) -> np.ndarray:
            asked.append(len(images))
            return super().predict_labels(images)

    found = stress(Slow(), labelled(600), seconds=0.001)  # type: ignore[arg-type]
    assert (found.n, found.of) == (FIRST[0], 600)
    assert f"({FIRST[0]} of 600 images, to fit the time)" in found.lines()[0]
    assert set(asked) == {FIRST[0]}, "no more images are tried than there is time for"


def test_the_advice_is_for_what_costs_most_and_knows_what_was_used() -> None:
    figures = {name: proportion(99, 100) for name in CORRUPTIONS}
    clean = proportion(99, 100)
    assert Stress(100, 100, clean, figures).advice == ""
    worst = {**figures, "rotate": proportion(50, 100)}
    said = Stress(100, 100, clean, worst).advice
    assert "--set augment.rotate=" in said
    assert "preset robust" in said
    assert "more rotate than 10" in Stress(100, 100, clean, worst, {"rotate": 10.0}).advice.lower()


def test_no_images_are_refused() -> None:
    with pytest.raises(DataError, match="no image to corrupt"):
        stress(Upright(), labelled(4).subset(np.arange(0)))  # type: ignore[arg-type]
