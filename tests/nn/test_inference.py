"""The prediction loop: how many inputs are computed at once changes the time, not the answers."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from glyphnet.nn import NETWORKS, Preprocessing, build, inference, logits_in_batches, parse_network
from glyphnet.nn.inference import optimize_for_inference

PLAIN = Preprocessing(mode="unit_range")


class Counting(nn.Module):
    """Makes numbers a hundred times as wide as its input, and notes how many inputs it was given each time."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.widen = nn.Upsample(scale_factor=10)
        self.given: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.given.append(len(x))
        return self.widen(x).mean((1, 2, 3))[:, None] * self.scale


@pytest.mark.parametrize("kind", [kind for kind in NETWORKS if kind != "ensemble"])
def test_the_answers_are_those_of_single_inputs(kind: str) -> None:
    network = build(parse_network({"kind": kind}), (20, 20, 1), 5).train()
    images = torch.randint(0, 256, (23, 20, 20, 1), dtype=torch.uint8)
    chosen = torch.cat(list(logits_in_batches(network, PLAIN, images)))
    assert network.training, "as it was"
    assert not any(layer._forward_hooks for layer in network.modules())
    for size in (1, 7, 100):
        torch.testing.assert_close(torch.cat(list(logits_in_batches(network, PLAIN, images, batch_size=size))), chosen)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu"])
@pytest.mark.parametrize("member", [{"kind": "cnn-classic"}, {"kind": "cnn", "downsample": "pool"}], ids=str)
@pytest.mark.parametrize("members", [1, 2])
def test_pooling_in_front_of_the_activation_changes_no_answer(
    activation: str, member: dict[str, str], members: int
) -> None:
    spec = {**member, "activation": activation}
    whole = spec if members == 1 else {"kind": "ensemble", "members": members, "member": spec}
    network = build(parse_network(whole), (21, 23, 3), 5).eval()
    images = torch.randint(0, 256, (9, 21, 23, 3), dtype=torch.uint8)
    with torch.no_grad():
        usual = network(PLAIN(images))
    torch.testing.assert_close(torch.cat(list(logits_in_batches(network, PLAIN, images))), usual)
    assert [type(layer) for layer in optimize_for_inference(network).modules()].count(nn.MaxPool2d) == 0


def test_who_looks_at_layers_sees_the_networks_own() -> None:
    network = build(parse_network("cnn-classic"), (12, 12, 1), 5)
    images, seen = torch.zeros(2, 12, 12, 1, dtype=torch.uint8), []
    list(logits_in_batches(network, PLAIN, images))
    for name, layer in network.named_children():
        layer.register_forward_hook(lambda *_, name=name: seen.append(name))
    list(logits_in_batches(network, PLAIN, images, batch_size=2))
    assert seen == [name for name, _ in network.named_children()]


def test_a_network_that_is_not_needed_is_forgotten() -> None:
    for make in (Counting, lambda: build(parse_network("cnn"), (8, 8, 1), 5)):
        network = make()
        list(logits_in_batches(network, PLAIN, torch.zeros(2, 8, 8, 1, dtype=torch.uint8)))
        seen = weakref.ref(network)
        del network
        gc.collect()
        assert seen() is None


def test_so_many_are_computed_at_once_that_layers_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Counting()
    images = torch.randint(0, 256, (50, 8, 8, 1), dtype=torch.uint8)
    monkeypatch.setattr(inference, "LARGEST_OUTPUT", 20 * 4 * 6400)
    for _ in range(2):
        network.given.clear()
        list(logits_in_batches(network, PLAIN, images))
        assert network.given[-3:] == [20, 20, 10]
    assert len(network.given) == 3, "what a layer gives is measured once"
    network.given.clear()
    list(logits_in_batches(network, PLAIN, images, batch_size=30))
    assert network.given == [30, 20]
    monkeypatch.setattr(inference, "LARGEST_OUTPUT", 1)
    network.given.clear()
    list(logits_in_batches(network, PLAIN, images[:3]))
    assert network.given == [1, 1, 1]
