"""The lab of explanations: what its quick version finds, on the embedded digits."""

from __future__ import annotations

import numpy as np
import pytest

from glyphnet.labs.explanations import agreement, without_ink


def test_named_pixels_matter_more_than_ink_at_random(numbers):
    assert {row["name"] for row in numbers["methods"]} == {"integrated-gradients", "grad-cam", "occlusion"}
    best = min(row["area"] for row in numbers["methods"])
    assert best < numbers["random"]["area"] - 0.2
    assert all(shares[0] == 1 for shares in numbers["kept"].values()), "with all ink the answers are right"


def test_ink_is_removed_in_the_order_of_the_map_and_background_stays():
    image = np.zeros((1, 4, 4, 1), np.uint8)
    image[0, 1, 1:3, 0] = 9, 8
    image[0, 2, 1:3, 0] = 7, 6
    maps = np.zeros((1, 4, 4), np.float32)
    maps[0, 0, 0] = 100  # background: removing it would change nothing
    maps[0, 2, 1] = 5
    cut = without_ink(image, maps, 0.25)
    assert cut[0, 1:3, 1:3, 0].tolist() == [[9, 8], [0, 6]]
    assert not without_ink(image, maps, 1.0).any()
    assert image[0, 2, 1, 0] == 7, "the given images are not changed"


def test_agreement_is_1_for_equal_rankings_and_near_0_for_chance():
    generator = np.random.default_rng(0)
    one, other = generator.random((2, 20, 8, 8))
    assert agreement(one, -3 * one) == pytest.approx(1)
    assert abs(agreement(one, other)) < 0.2
