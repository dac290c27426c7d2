"""Every method in the table, on every kind of network: the promises that all of them make."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from glyphnet.data.decode import fit_image
from glyphnet.data.ink import InkSpec, normalize_picture
from glyphnet.errors import DataError, SettingsError
from glyphnet.explain import METHODS, activations, explain_image, saliency
from glyphnet.nn import NETWORKS
from glyphnet.nn.modules import join
from glyphnet.nn.networks import EnsembleSpec

KINDS = [*NETWORKS, "bidirectional", "ensemble of cnn"]
PAIRS = [(method, kind) for method in METHODS for kind in KINDS]


def network_of(kind: str):
    twists = {
        "bidirectional": {"kind": "rnn", "bidirectional": True, "layers": 2, "dropout": 0.5},
        "ensemble of cnn": {"kind": "ensemble", "members": 3, "member": {"kind": "cnn"}},
    }
    return twists.get(kind, kind)


def suits(method: str, classifier) -> bool:
    return not METHODS[method].unsuited(classifier.network)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_a_method_gives_a_map_an_image_or_says_why_not(make, pixels, method: str, kind: str, channels: int) -> None:
    shape = (14, 12, channels)
    classifier = make(network_of(kind), shape)
    images = pixels(3, shape)
    if not suits(method, classifier):
        with pytest.raises(SettingsError, match=f'method "{method}" needs .*. Choose .*integrated-gradients'):
            saliency(classifier, images, method=method)
        return
    maps = saliency(classifier, images, method=method)
    assert (maps.shape, maps.dtype) == ((3, 14, 12), np.float32)
    assert np.isfinite(maps).all()
    assert np.abs(maps).max() > 0
    np.testing.assert_array_equal(maps, saliency(classifier, images, method=method))
    each = saliency(classifier, images, classifier.predict_labels(images), method=method)
    np.testing.assert_array_equal(maps, each)  # without targets it is the likeliest class
    alone = np.concatenate([saliency(classifier, image, method=method) for image in images])
    np.testing.assert_allclose(alone, maps, atol=1e-5 * np.abs(maps).max() + 1e-7)


@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_the_network_comes_back_as_it_was(make, pixels, method: str, kind: str) -> None:
    classifier = make(network_of(kind))
    if not suits(method, classifier):
        return
    network = classifier.network.train()
    next(network.parameters()).requires_grad_(False)

    def state() -> list[object]:
        return [
            *((parameter.requires_grad, parameter.grad) for parameter in network.parameters()),
            *(
                (module.training, len(module._forward_hooks), len(module._backward_hooks))
                for module in network.modules()
            ),
            *(len(module._forward_pre_hooks) for module in network.modules()),
        ]

    weights, before = copy.deepcopy(network.state_dict()), state()
    maps = saliency(classifier, pixels(2), method=method)
    assert state() == before
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    np.testing.assert_array_equal(maps, saliency(make(network_of(kind)), pixels(2), method=method))  # no dropout in it


def test_the_grad_cam_of_an_ensemble_is_the_mean_of_its_members(make, pixels) -> None:
    single, other = make("cnn"), make({"kind": "cnn", "dropout": 0.1})
    with torch.no_grad():
        for parameter in other.network.parameters():
            parameter.mul_(0.7).add_(0.01)
    joined = join([single.network, other.network])
    spec = EnsembleSpec(members=2, member=single.spec)
    given = {"method": "grad-cam", "targets": 1}
    each = [saliency(classifier, pixels(2), **given) for classifier in (single, other)]
    found = saliency(replace(single, network=joined, spec=spec), pixels(2), **given)
    np.testing.assert_allclose(found, (each[0] + each[1]) / 2, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_gradients_do_not_depend_on_what_surrounds_the_call(make, pixels, method: str) -> None:
    classifier = make()
    expected = saliency(classifier, pixels(2), method=method)
    for surrounding in (torch.no_grad, torch.inference_mode):
        with surrounding():
            np.testing.assert_array_equal(saliency(classifier, pixels(2), method=method), expected)


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_setting_is_named(make, pixels, method: str) -> None:
    with pytest.raises(SettingsError, match=f'method "{method}": unknown setting "colour"'):
        saliency(make(), pixels(1), method=method, colour=3)


def test_targets_may_be_a_label_a_name_or_one_for_each(make, pixels) -> None:
    classifier, images = make(), pixels(3)
    by_label = saliency(classifier, images, 2)
    np.testing.assert_array_equal(by_label, saliency(classifier, images, "class 2"))
    np.testing.assert_array_equal(by_label, saliency(classifier, images, [2, 2, 2]))
    mixed = saliency(classifier, images, np.array([0, 1, 2]))
    np.testing.assert_array_equal(mixed[2], by_label[2])
    assert not np.array_equal(mixed[0], by_label[0])


def test_images_stream_by_batch_with_their_targets(make, pixels) -> None:
    shape = (96, 96, 3)  # 37 fit into a batch
    classifier, images = make("linear", shape), pixels(80, shape)
    labels = np.arange(80) % 4

    def one_by_one() -> Iterator[np.ndarray]:
        yield from images

    maps = saliency(classifier, one_by_one(), labels, steps=1)
    assert maps.shape == (80, 96, 96)
    np.testing.assert_allclose(
        maps[79], saliency(classifier, images[79], int(labels[79]), steps=1)[0], rtol=1e-4, atol=1e-6
    )


def test_no_images_give_no_maps(make, pixels) -> None:
    assert saliency(make(), pixels(0)).shape == (0, 14, 12)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"method": "grad_cam"}, SettingsError, 'unknown method "grad_cam"; did you mean "grad-cam"?'),
        ({"targets": "klass 2"}, SettingsError, 'unknown class "klass 2"; did you mean "class 2"?'),
        ({"targets": 4}, SettingsError, "The target 4 is not a label: labels run from 0 to 3."),
        ({"targets": [0, -1]}, SettingsError, "The target -1 is not a label"),
        ({"targets": [0.5, 1.0]}, SettingsError, "targets must be a label, a name or integers"),
        ({"targets": [0]}, DataError, "There are 1 targets for more images"),
        ({"targets": [0, 1, 2]}, DataError, "There are 3 targets for 2 images"),
        ({"steps": 0}, SettingsError, "steps=0 must be greater than or equal to 1"),
        ({"method": "occlusion", "window": 13}, SettingsError, r"window \(=13\) must be at most 12"),
        (
            {"method": "occlusion", "window": 3, "stride": 4},
            SettingsError,
            r"stride \(=4\) must be at most window \(=3\)",
        ),
    ],
)
def test_what_is_wrong_is_named(make, pixels, given: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message.replace("?", "[?]")):
        saliency(make(), pixels(2), **given)


def test_what_is_explained_is_what_is_predicted_on(make) -> None:
    """A drawing, dark on light and far off the centre, goes the same way to an explanation as to an answer."""
    classifier = replace(make(), ink=InkSpec(kind="ink", background=0, ink=255, box=(8, 8), centre=(7.0, 6.0)))
    sheet = np.full((60, 60), 255, dtype=np.uint8)
    sheet[5:30, 8:12] = 0
    drawing = Image.fromarray(sheet)
    seen = normalize_picture(drawing, classifier.ink, classifier.input_shape).pixels
    assert not np.array_equal(seen, fit_image(drawing, classifier.input_shape))
    explained = explain_image(classifier, drawing)
    np.testing.assert_array_equal(explained.image, seen)
    np.testing.assert_array_equal(saliency(classifier, [drawing]), saliency(classifier, seen[np.newaxis]))
    ours, theirs = activations(classifier, drawing), activations(classifier, seen)
    for layer, same in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(layer.values, same.values)
