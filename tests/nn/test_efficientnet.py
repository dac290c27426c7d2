"""EfficientNet-Lite0, held against the package from which its published weights come."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from glyphnet.nn import build, parse_network
from glyphnet.nn.efficientnet import published_weights
from glyphnet.nn.modules import Enlarge


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    published = pytest.importorskip("efficientnet_lite_pytorch", reason="the extra `test` brings it")
    torch.manual_seed(0)
    network: nn.Module = published.EfficientNet.from_name("efficientnet-lite0", image_size=129).eval()
    for name, values in network.named_buffers():  # of untrained norms, which would hide a norm in the wrong place
        if "running" in name:
            values.uniform_(0.5, 1.5)
    return network


def ours(weights: dict[str, Tensor], channels: int = 3) -> nn.Module:
    network = build(parse_network({"kind": "efficientnet-lite0", "side": 129}), (129, 129, channels), 1000).eval()
    missing, unexpected = network.load_state_dict(published_weights(weights, channels), strict=False)
    assert (missing, unexpected) == (["head.weight", "head.bias"], [])
    network.load_state_dict({"head.weight": weights["_fc.weight"], "head.bias": weights["_fc.bias"]}, strict=False)
    return network


def test_published_weights_answer_as_in_their_own_package(theirs: nn.Module) -> None:
    x = torch.rand(3, 3, 129, 129) * 2 - 1
    with torch.inference_mode():
        expected = theirs(x)
        torch.testing.assert_close(ours(theirs.state_dict())(x), expected, atol=1e-4, rtol=1e-4)
    assert len(set(expected.argmax(1).tolist())) > 1 or expected.std() > 1e-3


def test_a_grey_image_counts_as_red_green_and_blue(theirs: nn.Module) -> None:
    x = torch.rand(2, 1, 129, 129) * 2 - 1
    with torch.inference_mode():
        expected = theirs(x.expand(-1, 3, -1, -1))
        torch.testing.assert_close(ours(theirs.state_dict(), 1)(x), expected, atol=1e-4, rtol=1e-4)


def test_names_of_timm_are_known(theirs: nn.Module) -> None:
    inner = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
    inner |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    places = [(stage, repeat) for stage, many in enumerate((1, 2, 2, 3, 3, 4, 1)) for repeat in range(many)]
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}

    def name(theirs: str) -> str:
        parts = theirs.split(".")
        if parts[0] != "_blocks":
            return ".".join([outer[parts[0]], *parts[1:]])
        stage, repeat = places[int(parts[1])]
        return ".".join(["blocks", str(stage), str(repeat), (inner if stage else first)[parts[2]], *parts[3:]])

    weights = theirs.state_dict()
    as_timm = published_weights({name(key): value for key, value in weights.items()}, 3)
    expected = published_weights(weights, 3)
    assert as_timm.keys() == expected.keys()
    assert all(torch.equal(as_timm[key], expected[key]) for key in expected)


def test_a_weight_of_another_network_is_named() -> None:
    with pytest.raises(ValueError, match="'layer1.0.conv1.weight' is no weight of EfficientNet-Lite0"):
        published_weights({"layer1.0.conv1.weight": torch.zeros(1)}, 3)


@pytest.mark.parametrize(
    ("shape", "side", "inside"), [((28, 28), 33, 33), ((33, 50), 129, 129), ((200, 200), 129, 225)]
)
def test_small_images_are_enlarged_to_a_side_that_fits_the_strides(
    shape: tuple[int, int], side: int, inside: int
) -> None:
    network = build(parse_network({"kind": "efficientnet-lite0", "side": side}), (*shape, 3), 2)
    height, width = network.enlarge.wanted  # type: ignore[union-attr]
    assert height == inside
    assert height % 32 == width % 32 == 1
    assert height <= width


def test_enlarging_by_products_is_the_same() -> None:
    layer, x = Enlarge((9, 7), (33, 65)), torch.rand(2, 3, 9, 7)
    rows, columns = layer.matrices()
    torch.testing.assert_close(torch.einsum("nchw,hy,wx->ncyx", x, rows, columns), layer(x))
    assert torch.equal(Enlarge((9, 7), (9, 7))(x), x)
