"""Presets: from shape and size alone to recipes that can be trained."""

from __future__ import annotations

import pytest
import torch

from glyphnet.nn import build, summary
from glyphnet.nn.kinds import CNNSpec
from glyphnet.training import PRESETS, Pictures, preset
from glyphnet.training.presets import BY_WORK, RUNGS, TIMED
from glyphnet.training.recipe import Mirrored

SHAPES = [(1, 1, 1), (4, 4, 1), (8, 8, 1), (10, 96, 3), (24, 40, 1), (28, 28, 1), (32, 32, 3), (96, 96, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [*PRESETS, *TIMED])
@pytest.mark.parametrize("images", [2, 150, 60_000, 10**6])
def test_every_shape_and_size_has_a_recipe_whose_network_can_be_built(
    name: str, shape: tuple[int, int, int], images: int
) -> None:
    for pictures in (None, Pictures(kind="photographs")):
        recipe = preset(name, shape, images, 7, pictures)
        with torch.device("meta"):
            build(recipe.network, shape, 7)
        assert recipe.without_effect(given=()) == ()
        assert not recipe.augment.get("flip")  # a mirrored 2 is no 2


@pytest.mark.parametrize("name", PRESETS)
def test_more_images_mean_fewer_epochs_but_more_seen_in_all(name: str) -> None:
    few, many = (preset(name, (28, 28, 1), images, 10) for images in (1_000, 50_000))
    assert few.epochs > many.epochs
    assert few.epochs * 1_000 < many.epochs * 50_000


def test_robust_makes_each_of_its_many_changes_to_some_images_and_says_so() -> None:
    recipe = preset("robust", (28, 28, 1), 60_000, 10, Pictures(kind="drawings"))
    assert len(recipe.augment) >= 8
    assert 0.2 <= recipe.augment_share <= 0.6
    assert f"each in {100 * recipe.augment_share:.0f} % of the images" in recipe.about_pictures[0]


@pytest.mark.parametrize("side", [16, 23, 24, 28, 32, 47, 48, 64, 96, 224])
def test_best_pools_larger_images_more_often(side: int) -> None:
    channels = preset("best", (side, side + 3, 1), 1_000, 10).network.channels
    assert 3 <= side >> len(channels) <= 5
    assert channels[-1] == 128


@pytest.mark.parametrize("side", [16, 24, 32, 48, 64, 96, 128, 224])
def test_best_sees_photographs_through_more_channels_the_smaller_they_have_become(side: int) -> None:
    spec = preset("best", (side, side + 3, 3), 10_000, 10, Pictures(kind="photographs")).network
    assert isinstance(spec, CNNSpec)
    assert 4 <= side / spec.stem_stride / 2 ** len(spec.channels) < 8
    assert [wide // 64 for wide in spec.channels] == [2**stage for stage in range(len(spec.channels))]


def test_mirrored_photographs_are_as_frequent_as_others_whatever_share_is_changed() -> None:
    mirrored = Mirrored(n=500, right=400, right_mirrored=395, keep=True)
    for name in BY_WORK:
        recipe = preset(name, (32, 32, 3), 1_000, 10, Pictures(kind="photographs", mirrored=mirrored))
        assert recipe.augment["flip"] * recipe.augment_share == 0.5


@pytest.mark.parametrize("kind", [None, "photographs"])
def test_each_preset_takes_more_work_than_the_one_before(kind: str | None) -> None:
    pictures = None if kind is None else Pictures.model_validate({"kind": kind})

    def work(name: str) -> float:
        recipe = preset(name, (28, 28, 1), 54_000, 10, pictures)
        return recipe.epochs * summary(recipe.network, (28, 28, 1), 10).flops

    assert 5 * work("fast") < work("balanced")
    assert 5 * work("balanced") < work("best")
    assert sorted(RUNGS, key=work) == list(RUNGS)


@pytest.mark.parametrize("name", BY_WORK)
def test_each_kind_of_picture_has_augmentations_of_its_own(name: str) -> None:
    def augment(kind: str | None, channels: int = 1, images: int = 1_000) -> dict[str, float]:
        pictures = None if kind is None else Pictures(kind=kind)
        return preset(name, (28, 28, channels), images, 10, pictures).augment

    assert augment("objects") == augment(None)
    assert "stroke" in augment("drawings")
    photographs = augment("photographs", 3)
    assert {"brightness", "contrast"} <= set(photographs)
    assert "stroke" not in photographs
    assert "brightness" not in augment("drawings")
    assert not augment("photographs").get("colour"), "grey has no colour to change"


def test_fast_on_many_drawings_is_as_fast_as_on_any_images() -> None:
    pictures = Pictures(kind="drawings")
    assert preset("fast", (28, 28, 1), 54_000, 10, pictures).augment == preset("fast", (28, 28, 1), 54_000, 10).augment


@pytest.mark.parametrize("name", BY_WORK)
@pytest.mark.parametrize("kind", ["drawings", "objects", "photographs"])
def test_images_are_mirrored_only_where_that_was_shown_to_keep_their_class(name: str, kind: str) -> None:
    for keep in (None, False, True):
        mirrored = None if keep is None else Mirrored(n=500, right=400, right_mirrored=395, keep=keep)
        pictures = Pictures.model_validate({"kind": kind, "mirrored": mirrored})
        recipe = preset(name, (32, 32, 3), 1_000, 10, pictures)
        assert bool(recipe.augment.get("flip")) == bool(keep)
        assert recipe.pictures == pictures, "a run describes itself"
