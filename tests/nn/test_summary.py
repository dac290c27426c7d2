"""Shapes, parameters and FLOPs against arithmetic by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glyphnet.nn import NETWORKS, build, parse_network, summary


def test_mlp_784_128_10() -> None:
    result = summary(parse_network("mlp"), (28, 28, 1), 10)
    assert result.parameters == 784 * 128 + 128 + 128 * 10 + 10 == 101_770
    assert result.flops == 2 * (784 * 128 + 128 * 10)


def test_mlp_on_vectors() -> None:
    result = summary(parse_network({"kind": "mlp", "hidden": [16]}), (64,), 10)
    assert result.parameters == 64 * 16 + 16 + 16 * 10 + 10
    assert [row.output_shape for row in result.rows] == [(64,), (16,), (16,), (10,)]


def test_classic_cnn_32_64() -> None:
    result = summary(parse_network("cnn-classic"), (28, 28, 1), 10)
    rows = {row.name: row for row in result.rows}
    assert rows["conv1"].parameters == 9 * 32 + 32
    assert rows["conv2"].parameters == 9 * 32 * 64 + 64
    assert result.parameters == 320 + 18_496 + 1600 * 10 + 10 == 34_826
    assert rows["conv1"].flops == 2 * 26 * 26 * 9 * 32
    assert rows["conv2"].flops == 2 * 11 * 11 * 9 * 32 * 64
    assert rows["head"].flops == 2 * 1600 * 10
    assert rows["conv2"].output_shape == (64, 11, 11)
    assert rows["pool2"].output_shape == (64, 5, 5)


def test_lstm() -> None:
    result = summary(parse_network("rnn"), (28, 28, 1), 10)
    rows = {row.name: row for row in result.rows}
    assert rows["lstm"].parameters == 4 * 128 * (28 + 128 + 2)
    assert rows["lstm"].flops == 28 * 2 * 4 * 128 * (28 + 128)
    assert rows["lstm"].output_shape == (28, 128)


@pytest.mark.parametrize("kind", NETWORKS)
def test_counts_are_those_of_the_network_which_stays_as_it_was(kind: str) -> None:
    spec = parse_network(kind)
    network = build(spec, (32, 32, 3), 10).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random = torch.get_rng_state()
    result = summary(network, (32, 32, 3), 10)
    assert result == summary(spec, (32, 32, 3), 10)
    assert result.parameters == sum(p.numel() for p in network.parameters())
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_frozen_parameters_are_not_counted() -> None:
    network = build(parse_network("mlp"), (28, 28, 1), 10)
    assert isinstance(network, nn.Sequential)
    network.head.requires_grad_(False)
    assert summary(network, (28, 28, 1), 10).parameters == 784 * 128 + 128


def test_the_table_reads_well() -> None:
    assert str(summary(parse_network("mlp"), (28, 28, 1), 10)).splitlines() == [
        "name         layer    output shape  parameters    FLOPs",
        "───────────  ───────  ────────────  ──────────  ───────",
        "input                 28×28×1",
        "flatten      Flatten  784                    0        0",
        "dense1       Linear   128              100,480  200,704",
        "activation1  ReLU     128                    0        0",
        "head         Linear   10                 1,290    2,560",
        "───────────  ───────  ────────────  ──────────  ───────",
        "total                                  101,770  203,264",
    ]
