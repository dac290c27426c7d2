"""What is inside the network: activations, first-layer weights, dead units, and the copy that all look through."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glyphnet.errors import DataError
from glyphnet.explain import activations, dead_units, first_layer_weights
from glyphnet.nn import NETWORKS, shallow_copy


@pytest.mark.parametrize("kind", NETWORKS)
def test_activations_are_what_the_layers_give_one_after_another(make, pixels, kind: str) -> None:
    classifier, images = make(kind), pixels(1)
    found = activations(classifier, images)
    assert [layer.name for layer in found] == [name for name, _ in classifier.network.named_children()]
    x = classifier.preprocessing(torch.from_numpy(images.copy()))
    with torch.no_grad():
        for layer, module in zip(found, classifier.network.children(), strict=True):
            x = module(x)
            value = x[0] if isinstance(x, tuple) else x
            expected = value[0].permute(1, 2, 0) if value.ndim == 4 else value[0]
            assert layer.layer == type(module).__name__
            assert layer.values.dtype == np.float32
            np.testing.assert_allclose(layer.values, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[-1].values, classifier.logits(images)[0], rtol=1e-5)
    assert not any(module._forward_hooks for module in classifier.network.modules())


def test_activations_are_of_one_image(make, pixels) -> None:
    with pytest.raises(DataError, match="There is more than one image: pass one at a time"):
        activations(make(), pixels(2))
    with pytest.raises(DataError, match="There is no image"):
        activations(make(), pixels(0))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_dense_layers_weights_lie_as_the_pixels_do(make, channels: int) -> None:
    shape = (6, 5, channels)
    for kind, names in (("linear", tuple(f"class {n}" for n in range(4))), ("mlp", None)):
        classifier = make(kind, shape)
        weights = first_layer_weights(classifier)
        assert weights.images.shape[1:] == shape
        assert names is None or weights.names == names
        assert len(weights.names) == len(weights.images)
        # The oracle: a bright spot at one place excites each unit by its weight there.
        layer = classifier.network.get_submodule(weights.layer)
        x = torch.zeros(1, channels, 6, 5)
        x[0, channels - 1, 4, 2] = 1
        with torch.no_grad():
            answer = layer(classifier.network.flatten(x)) - layer.bias
        np.testing.assert_allclose(weights.images[:, 4, 2, channels - 1], answer[0], rtol=1e-5, atol=1e-6)


def test_an_ensemble_of_linear_networks_is_shown_as_the_linear_network_that_it_is(make) -> None:
    ensemble = make({"kind": "ensemble", "member": {"kind": "linear"}}, (6, 5, 3))
    head = ensemble.network.head.weight.detach().numpy()
    weights = first_layer_weights(ensemble)
    assert (weights.images.shape, len(weights.names)) == ((4, 6, 5, 3), 4)
    np.testing.assert_allclose(weights.images.reshape(4, -1), head[:, :90] + head[:, 90:], rtol=1e-6)


def test_kernels_and_gates_are_those_of_the_layer(make) -> None:
    cnn = make("cnn", (14, 12, 3))
    kernels = first_layer_weights(cnn)
    assert (kernels.layer, kernels.images.shape) == ("stem", (16, 5, 5, 3))
    assert kernels.images[3, 1, 2, 0] == cnn.network.stem.weight[3, 0, 1, 2]
    rnn = make({"kind": "rnn", "hidden": 9, "bidirectional": True}, (14, 12, 3))
    gates = first_layer_weights(rnn)
    assert gates.images.shape == (8, 9, 12, 3)
    assert gates.names[5] == "forget gate, from below"
    # torch: W_if is the second block of rows; a row of pixels is (width, channel)
    assert gates.images[1, 7, 10, 2] == rnn.network.lstm.weight_ih_l0[9 + 7, 10 * 3 + 2]
    assert gates.images[5, 7, 10, 2] == rnn.network.lstm.weight_ih_l0_reverse[9 + 7, 10 * 3 + 2]


def test_units_that_are_killed_are_found_and_no_others(make, pixels) -> None:
    classifier, images = make("cnn"), pixels(600)  # more than a batch
    before = {layer.layer: layer for layer in dead_units(classifier, images)}
    assert list(before) == ["stem_activation", "activation1", "dense1_activation"]
    assert (before["stem_activation"].units, before["dense1_activation"].units) == (16, 128)
    with torch.no_grad():
        classifier.network.stem.bias[[2, 11]] = -1e6
    after = {layer.layer: layer for layer in dead_units(classifier, images)}
    expected = sorted({2, 11, *before["stem_activation"].dead.tolist()})
    assert after["stem_activation"].dead.tolist() == expected
    assert after["stem_activation"].share == len(expected) / 16
    assert after["stem_activation"].images == 600


def test_a_unit_is_alive_if_any_batch_excites_it(make, pixels) -> None:
    classifier = make("mlp")
    images = pixels(520)
    whole = dead_units(classifier, images)[0].dead
    parts = [set(dead_units(classifier, part)[0].dead.tolist()) for part in (images[:512], images[512:])]
    assert parts[1] != set(whole.tolist())  # one batch alone would tell another number
    assert set(whole.tolist()) == parts[0] & parts[1]


def test_dead_units_inside_residual_blocks_are_counted(make, pixels) -> None:
    names = [layer.layer for layer in dead_units(make("resnet"), pixels(3))]
    assert "stage2_block1.activation1" in names
    assert dead_units(make({"kind": "mlp", "activation": "tanh"}), pixels(3)) == []
    with pytest.raises(DataError, match="There are no images: dead units need at least one"):
        dead_units(make(), pixels(0))


def test_a_shallow_copy_shares_weights_and_nothing_else(make) -> None:
    network = make("rnn").network
    handle = network.head.register_forward_hook(lambda *_: None)
    other = shallow_copy(network)
    assert not other.head._forward_hooks
    assert other.head.weight is network.head.weight
    other.train()
    other.head.register_forward_pre_hook(lambda *_: None, with_kwargs=True)
    other.add_module("head", torch.nn.Identity())
    assert not network.training
    assert isinstance(network.head, torch.nn.Linear)
    assert not network.head._forward_pre_hooks
    assert not network.head._forward_pre_hooks_with_kwargs
    handle.remove()
