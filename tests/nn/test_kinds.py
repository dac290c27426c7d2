"""What is particular to each kind of network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glyphnet.errors import SettingsError
from glyphnet.nn import build, parse_network
from glyphnet.nn.modules import ACTIVATION_TYPES


def names(network: nn.Module) -> list[str]:
    return [name for name, _ in network.named_children()]


def make(kind: str, shape: tuple[int, ...] = (28, 28, 1), **settings: object) -> nn.Sequential:
    network = build(parse_network({"kind": kind, **settings}), shape, 10)  # type: ignore[arg-type]
    assert isinstance(network, nn.Sequential)
    return network


def test_linear_is_a_matrix_and_a_bias() -> None:
    network = make("linear")
    x = torch.rand(2, 1, 28, 28)
    assert torch.allclose(network(x), x.flatten(1) @ network.head.weight.T + network.head.bias, atol=1e-5)


def test_mlp_puts_every_part_in_its_place() -> None:
    network = make("mlp", hidden=[30, 20], dropout=0.2, input_dropout=0.1, batch_norm=True, activation="tanh")
    assert names(network) == [
        "flatten", "input_dropout",
        "dense1", "norm1", "activation1", "dropout1",
        "dense2", "norm2", "activation2", "dropout2", "head",
    ]  # fmt: skip
    assert isinstance(network.activation2, nn.Tanh)
    assert network.dropout1.p == 0.2
    assert network.input_dropout.p == 0.1
    assert network.dense1.bias is None  # the normalisation has its own


def test_mlp_without_hidden_layers_says_which_settings_do_nothing() -> None:
    spec = parse_network({"kind": "mlp", "hidden": [], "dropout": 0.5, "activation": "tanh"})
    assert spec.without_effect() == (
        "activation has no effect while hidden is empty",
        "dropout has no effect while hidden is empty",
    )
    assert parse_network({"kind": "mlp", "dropout": 0.5}).without_effect() == ()


@pytest.mark.parametrize("name", ACTIVATION_TYPES)
def test_every_activation_can_be_named(name: str) -> None:
    network = make("mlp", hidden=[8], activation=name)
    assert type(network.activation1) is ACTIVATION_TYPES[name]


def test_cnn_strides_then_pools() -> None:
    network = make("cnn", channels=[32, 64], downsample="pool", dropout=0.3, batch_norm=True)
    assert names(network) == [
        "stem", "stem_norm", "stem_activation",
        "conv1", "pool1", "norm1", "activation1",
        "conv2", "pool2", "norm2", "activation2",
        "flatten", "dense1", "dense1_activation", "dropout", "head",
    ]  # fmt: skip
    assert network.dense1.in_features == 64 * 3 * 3  # 28 → 14 → 7 → 3


def test_cnn_repeats_convolutions_in_a_stage_and_may_give_the_mean_pixel() -> None:
    network = make("cnn", channels=[8, 16], convs_per_stage=2, downsample="pool", mean_pixel=True, dense=[])
    assert names(network) == [
        "stem", "stem_activation",
        "conv1", "pool1", "activation1", "conv1_2", "activation1_2",
        "conv2", "pool2", "activation2", "conv2_2", "activation2_2",
        "pool", "flatten", "head",
    ]  # fmt: skip
    assert network.conv2_2.in_channels == network.conv2_2.out_channels == network.head.in_features == 16
    x = torch.rand(2, 1, 28, 28)
    before = network[: names(network).index("pool")](x)
    assert before.shape == (2, 16, 3, 3)  # 28 → 14 → 7 → 3
    torch.testing.assert_close(network(x), network.head(before.mean((2, 3))))


def test_cnn_pooling_before_relu_changes_nothing() -> None:
    x = torch.randn(4, 3, 9, 9)
    pool = nn.MaxPool2d(2)
    assert torch.equal(pool(x).relu(), pool(x.relu()))


def test_cnn_too_deep_for_the_image_names_size_layer_and_remedy() -> None:
    with pytest.raises(SettingsError) as caught:
        make("cnn", (8, 9, 1), channels=[8, 8, 8], downsample="pool")
    assert str(caught.value) == (
        'network "cnn": on images of 8×9 only 1×1 pixels are left before pool3, too few for its 2×2 window. '
        "Give channels fewer entries, set stem_stride to 1, or make the images larger (size)."
    )


def test_classic_cnn_is_the_known_example() -> None:
    network = make("cnn-classic")
    assert names(network) == [
        "conv1", "activation1", "pool1", "conv2", "activation2", "pool2", "flatten", "dropout", "head",
    ]  # fmt: skip
    assert network.head.in_features == 1600
    assert network.dropout.p == 0.5


def test_classic_cnn_repeats_convolutions_in_a_stage() -> None:
    network = make("cnn-classic", convs_per_stage=2, batch_norm=True, padding=True, dense=[50])
    assert names(network)[:7] == [
        "conv1_1", "norm1_1", "activation1_1", "conv1_2", "norm1_2", "activation1_2", "pool1",
    ]  # fmt: skip
    assert names(network)[-5:] == ["flatten", "dense1", "dense1_activation", "dropout", "head"]
    assert network.dense1.in_features == 64 * 7 * 7


def test_classic_cnn_without_padding_refuses_tiny_images_with_the_remedy() -> None:
    with pytest.raises(SettingsError, match=r"images of 8×8 only 1×1 .* before pool2.*Set network.padding to true"):
        make("cnn-classic", (8, 8, 1))


def test_resnet_blocks_start_as_the_identity() -> None:
    network = make("resnet", channels=[8], blocks=2).eval()
    x = torch.rand(2, 8, 6, 6)
    assert torch.equal(network.stage1_block2(x), x)  # ReLU of what was positive already


def test_resnet_halves_the_image_between_stages() -> None:
    network = make("resnet", channels=[8, 16, 32]).eval()
    x = network.stem(torch.rand(1, 1, 28, 28))
    shapes = []
    for stage in (1, 2, 3):
        x = network.get_submodule(f"stage{stage}_block1")(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(8, 28, 28), (16, 14, 14), (32, 7, 7)]


def test_resnet_draws_he_weights() -> None:
    weight = make("resnet", channels=[64, 128]).get_submodule("stage2_block1.conv2").weight
    assert weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)


def test_rnn_reads_rows_from_top_to_bottom() -> None:
    network = make("rnn", (5, 4, 3), hidden=6).eval()
    x = torch.rand(2, 3, 5, 4)
    rows = torch.stack([x[:, :, row].permute(0, 2, 1).flatten(1) for row in range(5)], dim=1)  # width, channel
    output, _ = network.lstm(rows)
    assert torch.allclose(network(x), network.head(output[:, -1]), atol=1e-6)


def test_rnn_joins_both_directions_of_the_uppermost_lstm() -> None:
    network = make("rnn", (5, 4, 1), hidden=6, layers=2, bidirectional=True, dropout=0.25).eval()
    output, _ = network.lstm(network.rows(x := torch.rand(2, 1, 5, 4)))
    ends = torch.cat([output[:, -1, :6], output[:, 0, 6:]], dim=1)
    assert torch.allclose(network(x), network.head(ends), atol=1e-6)
    assert network.lstm.dropout == 0.25
    assert network.dropout.p == 0.25


def test_rnn_of_one_layer_drops_before_the_head_only() -> None:
    network = make("rnn", dropout=0.25)  # torch warns of dropout in a one-layer LSTM, and warnings are errors
    assert network.lstm.dropout == 0
    assert network.dropout.p == 0.25


@pytest.mark.parametrize("shape", [(28, 1, 1), (1, 28, 1)])
def test_one_side_too_small_is_enough_to_be_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SettingsError, match=f"images of {shape[0]}×{shape[1]} only .* before pool1"):
        make("cnn", shape, downsample="pool")


def test_cnn_halves_the_image_by_a_stride_unless_told_to_pool() -> None:
    strided = make("cnn", channels=[32, 64])
    assert not [name for name in names(strided) if "pool" in name]
    assert strided.dense1.in_features == make("cnn", channels=[32, 64], downsample="pool").dense1.in_features + 64 * (
        16 - 9
    )
    assert strided.dense1.in_features == 4 * 4 * 64  # 28 → 14 → 7 → 4: a stride rounds up, a pool down


def test_vectors_have_the_order_row_column_channel() -> None:
    x = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)  # (N, C, H, W)
    flat = build(parse_network("linear"), (4, 5, 3), 2).flatten(x)
    assert flat.shape == (2, 60)
    assert flat[1, 7] == x[1, 1, 0, 2]  # row 0, column 2, channel 1


def test_a_chain_has_the_layers_that_are_listed_and_becomes_a_vector_where_it_must() -> None:
    layers = [
        {"type": "convolution", "outputs": 8, "kernel": 5, "padding": 2, "bias": False},
        {"type": "batchNorm"},
        {"type": "activation", "name": "tanh"},
        {"type": "maxPool", "size": 2},
        {"type": "dense", "outputs": 16},
        {"type": "dropout", "rate": 0.25},
    ]
    network = make("chain", layers=layers)
    assert names(network) == ["layer1", "layer2", "layer3", "layer4", "flatten", "layer5", "layer6", "head"]
    assert network.layer1.bias is None
    assert network.layer5.in_features == 14 * 14 * 8
    assert make("chain").head.in_features == 784, "without layers it is softmax regression"


def test_a_chain_refuses_a_convolution_of_a_vector() -> None:
    with pytest.raises(SettingsError, match=r"layer 2 \(convolution\) needs an image.*before dense layers"):
        make("chain", layers=[{"type": "dense", "outputs": 4}, {"type": "convolution", "outputs": 4}])
    with pytest.raises(SettingsError, match="too few for its 2×2 window"):
        make("chain", layers=[{"type": "maxPool", "size": 16}, {"type": "maxPool", "size": 2}])
