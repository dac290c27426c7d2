"""Presets: from shape and size alone to recipes that can be trained."""

from __future__ import annotations

import pytest
import torch

from glyphnet.nn import build, summary
from glyphnet.training import PRESETS, preset

SHAPES = [(1, 1, 1), (4, 4, 1), (8, 8, 1), (10, 96, 3), (24, 40, 1), (28, 28, 1), (32, 32, 3), (96, 96, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("images", [2, 150, 60_000, 10**6])
def test_every_shape_and_size_has_a_recipe_whose_network_can_be_built(
    name: str, shape: tuple[int, int, int], images: int
) -> None:
    recipe = preset(name, shape, images, 7)
    with torch.device("meta"):
        build(recipe.network, shape, 7)
    assert recipe.without_effect(given=()) == ()
    assert not recipe.augment.get("flip")  # a mirrored 2 is no 2


@pytest.mark.parametrize("name", PRESETS)
def test_more_images_mean_fewer_epochs_but_more_seen_in_all(name: str) -> None:
    few, many = (preset(name, (28, 28, 1), images, 10) for images in (1_000, 50_000))
    assert few.epochs > many.epochs
    assert few.epochs * 1_000 < many.epochs * 50_000


@pytest.mark.parametrize("side", [16, 23, 24, 28, 32, 47, 48, 64, 96, 224])
def test_best_pools_larger_images_more_often(side: int) -> None:
    channels = preset("best", (side, side + 3, 1), 1_000, 10).network.channels
    assert 3 <= side >> len(channels) <= 5
    assert channels[-1] == 128


def test_each_preset_takes_more_work_than_the_one_before() -> None:
    def work(name: str) -> float:
        recipe = preset(name, (28, 28, 1), 54_000, 10)
        return recipe.epochs * summary(recipe.network, (28, 28, 1), 10).flops

    assert 5 * work("fast") < work("balanced")
    assert 5 * work("balanced") < work("best")
