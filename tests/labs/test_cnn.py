"""What the lab of convolution must find, and the ruler it measures by."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glyphnet.classifier import Classifier
from glyphnet.labs.cnn import fields, shifted
from glyphnet.nn import Preprocessing, build
from glyphnet.nn.kinds import ClassicCNNSpec


@pytest.fixture
def untrained():
    torch.manual_seed(0)
    spec = ClassicCNNSpec(channels=(4, 4), padding=True)
    network = build(spec, (24, 24, 1), 3)
    return Classifier(network, spec, (24, 24, 1), ("a", "b", "c"), Preprocessing(mode="unit_range"))


def test_images_are_moved_as_numpy_rolls_them_where_nothing_is_lost():
    images = np.pad(np.arange(1, 19, dtype=np.uint8).reshape(2, 3, 3, 1), ((0, 0), (2, 2), (2, 2), (0, 0)))
    for down, right in ((0, 0), (2, 0), (-1, 0), (0, 2), (0, -2), (1, -1)):
        assert np.array_equal(shifted(images, down, right), np.roll(images, (down, right), axis=(1, 2)))
    assert not shifted(images, 5, 0)[:, :5].any(), "what leaves the picture does not come in again"


def test_the_receptive_field_is_the_square_of_pixels_that_reach_a_unit(untrained):
    for row in fields(untrained):
        x = torch.zeros(1, 1, 24, 24, requires_grad=True)
        reached = x
        for name, layer in untrained.network.named_children():
            # A mean in place of the maximum, and no ReLU: all pixels that can reach the unit do so at once.
            if name.startswith("pool"):
                reached = torch.nn.functional.avg_pool2d(reached, 2)
            elif name.startswith("conv"):
                reached = layer(reached)
            if name == row["layer"]:
                break
        middle = reached.shape[2] // 2
        reached[0, :, middle, middle].sum().backward()
        rows = torch.nonzero(x.grad[0, 0].abs().sum(dim=1)).ravel()
        assert int(rows[-1] - rows[0]) + 1 == row["sees"], row["layer"]
        assert 24 // reached.shape[2] == row["apart"]


def test_a_shift_breaks_the_fully_connected_network_more(numbers):
    plain, by_one, by_two, by_three = (row["accuracy"] for row in numbers["shifts"])
    assert plain["mlp"]["mean"] > 0.9
    assert plain["cnn"]["mean"] > 0.9
    assert by_one["cnn"]["mean"] > by_one["mlp"]["mean"] + 0.08
    assert by_two["cnn"]["mean"] > by_two["mlp"]["mean"] + 0.08
    assert by_two["mlp"]["mean"] < 0.3
    assert by_three["cnn shifted"]["mean"] > by_three["cnn"]["mean"] + 0.3
    assert all(figure["n"] == numbers["seeds"] == 2 for figure in plain.values())


def test_maps_move_along_with_the_image_exactly(numbers):
    changes = numbers["changes"]
    for layer in ("conv1", "pool1"):
        assert changes[layer]["stays"] > 0.5
        assert changes[layer]["moved_back"] < 1e-6
    assert changes["pool2"]["moved_back"] is None, "two pixels are half a cell there"
    assert changes["mlp hidden"]["stays"] > 0.5


def test_the_convolutional_network_is_the_smaller_one(numbers):
    assert numbers["first_layer"] == {"mlp": 14 * 14 * 128 + 128, "cnn": 9 * 8 + 8}
    assert numbers["parameters"]["cnn"] < numbers["parameters"]["mlp"]
    assert [row["sees"] for row in numbers["fields"]] == [3, 4, 8, 10]


def test_its_text_is_made_of_its_numbers(quick_lab, numbers):
    page = quick_lab("cnn").page.read_text(encoding="utf-8")
    first = numbers["first_layer"]
    assert f"Shared weights: {first['cnn']} numbers in the first layer instead of {first['mlp']:,}" in page
