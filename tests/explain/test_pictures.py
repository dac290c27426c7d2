"""The pictures: every kind of network is drawn, names stay text, and pyplot is not touched."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glyphnet.explain import LayerActivation, explain_image, first_layer_weights, save_figure
from glyphnet.explain.figure import most_active, shown_layers, strip, tile
from glyphnet.nn import NETWORKS

ODD = ("$x^2$", "größe 数字", "a\u200bb", "x" * 255)


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_network_is_drawn(make, pixels, tmp_path: Path, kind: str) -> None:
    shape = (14, 12, 3 if kind == "cnn" else 1)
    classifier = dataclasses.replace(make(kind, shape), classes=ODD)
    explanation = explain_image(classifier, pixels(1, shape), target=2)
    assert explanation.target == 2
    figure = explanation.figure("$file$\x1b.png")
    save_figure(figure, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
        assert picture.width == 1500
        assert picture.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
    weights = first_layer_weights(classifier).figure()
    save_figure(weights, tmp_path / "w.png")
    text = [each.get_text() for each in figure.findobj(lambda artist: hasattr(artist, "get_parse_math"))]
    assert "$x^2$" in text
    assert all("\x1b" not in each and len(each) < 130 for each in text)
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_the_same_explanation_gives_the_same_bytes(make, pixels, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_figure(explain_image(make(), pixels(1)).figure(), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_blank_image_and_a_network_that_says_nothing_are_drawn(make, tmp_path: Path) -> None:
    explanation = explain_image(make("linear"), np.zeros((14, 12), np.uint8))
    assert not explanation.saliency.any()  # it is its own background
    save_figure(explanation.figure(), tmp_path / "a.png")


def layer(name: str, kind: str, *shape: int) -> LayerActivation:
    return LayerActivation(name, kind, np.arange(np.prod(shape), dtype=np.float32).reshape(shape))


def test_a_layer_is_shown_with_its_normalisation_and_activation_as_one() -> None:
    layers = [
        layer("conv1", "Conv2d", 4, 4, 2), layer("norm1", "BatchNorm2d", 4, 4, 2),
        layer("activation1", "ReLU", 4, 4, 2),
        layer("pool1", "MaxPool2d", 2, 2, 2), layer("flatten", "Flatten", 8), layer("dropout", "Dropout", 8),
        layer("dense1", "Linear", 5), layer("head", "Linear", 3),
    ]  # fmt: skip
    shown = shown_layers(layers)
    assert [each.name for each in shown] == ["conv1", "pool1", "dense1"]
    assert shown[0].values is layers[2].values


def test_many_channels_are_cut_to_the_most_active_and_it_is_said() -> None:
    values = np.zeros((3, 3, 100), np.float32)
    values[1, 1, 40:72] = -1
    cut = strip(LayerActivation("conv9", "Conv2d", values))
    assert cut.caption == "100 maps of 3×3\nthe 32 most active"
    assert np.nansum(cut.values) == -32
    assert strip(layer("dense", "Linear", 128)).caption == "128 units"
    assert strip(layer("dense", "Linear", 300)).caption == "300 units\nthe 256 most active"
    assert strip(layer("pool", "AdaptiveAvgPool2d", 1, 1, 128)).caption == "128 units"
    assert strip(layer("lstm", "LSTM", 28, 128)).values.shape == (28, 128)


def test_tiles_keep_their_pixels_and_their_order() -> None:
    images = np.arange(3 * 2 * 2, dtype=np.float32).reshape(3, 2, 2)
    sheet = tile(images, 2)
    assert sheet.shape == (5, 5)
    np.testing.assert_array_equal(sheet[:2, :2], images[0])
    np.testing.assert_array_equal(sheet[:2, 3:], images[1])
    np.testing.assert_array_equal(sheet[3:, :2], images[2])
    assert np.isnan(sheet[3:, 3:]).all()
    assert most_active(np.array([1, 5, 5, 2], np.float32), 3).tolist() == [1, 2, 3]
