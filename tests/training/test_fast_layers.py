"""The passes written out, against autograd."""

from __future__ import annotations

import copy

import pytest
import torch

from glyphnet.nn import build, parse_network
from glyphnet.training.fast import layers as backpropagation
from glyphnet.training.fast.layers import Backpropagation

COVERED = [
    {"kind": "linear"},
    {"kind": "mlp", "hidden": [7]},
    {"kind": "mlp", "hidden": [9, 5], "activation": "sigmoid"},
    {"kind": "mlp", "hidden": [9, 5], "activation": "tanh"},
    {"kind": "mlp", "hidden": [40, 50]},
    {"kind": "mlp", "hidden": []},
]
LEFT_TO_AUTOGRAD = [
    {"kind": "mlp", "hidden": [9], "activation": "gelu"},
    {"kind": "mlp", "hidden": [9], "batch_norm": True},
    {"kind": "cnn"},
    {"kind": "cnn-classic"},
    {"kind": "resnet"},
    {"kind": "rnn"},
]


@pytest.mark.parametrize("spec", COVERED, ids=str)
@pytest.mark.parametrize("shape", [(6, 5, 1), (12,)])
@pytest.mark.parametrize("onednn", [False, True])  # weights lie otherwise on one processor than on another
def test_gradients_are_autograds(
    spec: dict[str, object], shape: tuple[int, ...], onednn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backpropagation, "uses_onednn", lambda: onednn)
    torch.manual_seed(0)
    network = build(parse_network(spec), shape, 4)
    x = torch.randn(8, *shape) if len(shape) == 1 else torch.randn(8, shape[2], *shape[:2])
    wanted = torch.randn(8, 4)
    other = copy.deepcopy(network)
    Backpropagation.lay_out(network)
    passes = Backpropagation(network)
    for _ in range(2):  # the second overwrites what the first left
        expected = torch.autograd.grad((other(x) * wanted).sum(), list(other.parameters()))
        with torch.no_grad():
            logits = passes.forward(x)
            passes.backward(wanted.clone())
    for (name, parameter), gradient in zip(network.named_parameters(), expected, strict=True):
        assert parameter.grad.stride() == parameter.stride(), name
        torch.testing.assert_close(parameter.grad, gradient, msg=lambda text, name=name: f"{name}: {text}")
    for (name, found), (_, usual) in zip(network.named_buffers(), other.named_buffers(), strict=True):
        torch.testing.assert_close(found, usual, msg=lambda text, name=name: f"{name}: {text}")
    with torch.no_grad():
        torch.testing.assert_close(logits, other(x))


def test_what_dropout_drops_gets_no_gradient_and_the_rest_is_made_up_for() -> None:
    torch.manual_seed(0)
    network = build(parse_network({"kind": "mlp", "hidden": [400], "dropout": 0.75}), (5,), 3)
    passes = Backpropagation(network)
    with torch.no_grad():
        network.dense1.weight.zero_()
        network.dense1.bias.fill_(1.0)
        network.head.weight.fill_(1.0)
        network.head.bias.zero_()
        logits = passes.forward(torch.zeros(1, 5))
        passes.backward(torch.ones(1, 3))
    kept = network.dense1.bias.grad.ne(0)
    assert 0.15 < kept.float().mean() < 0.35
    torch.testing.assert_close(logits, torch.full((1, 3), 4.0 * kept.sum().item()))
    torch.testing.assert_close(network.dense1.bias.grad[kept], torch.full((int(kept.sum()),), 12.0))
    torch.testing.assert_close(network.head.weight.grad[0], 4.0 * kept.float())


def test_only_stacks_of_known_layers_are_covered() -> None:
    for spec in COVERED:
        assert Backpropagation.covers(build(parse_network(spec), (16, 16, 1), 3)), spec
    for spec in LEFT_TO_AUTOGRAD:
        assert not Backpropagation.covers(build(parse_network(spec), (16, 16, 1), 3)), spec
