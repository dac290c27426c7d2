"""Contract tests: every row of the table of networks passes all of these."""

from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from glyphnet.errors import SettingsError
from glyphnet.nn import NETWORKS, SavedNetworkSpec, build, parse_network

KINDS = list(NETWORKS)
SHAPES = [(28, 28, 1), (32, 32, 3), (96, 96, 3), (17, 31, 1)]
# What each kind needs to read an 8×8 image, where its defaults are for larger ones.
SMALL = {"cnn": {"stem_stride": 1}, "cnn-classic": {"padding": True}}


def images(shape: tuple[int, int, int], n: int = 3) -> torch.Tensor:
    height, width, channels = shape
    generator = torch.Generator().manual_seed(0)
    return torch.rand(n, height, width, channels, generator=generator).permute(0, 3, 1, 2)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_gives_logits_of_every_image_shape(kind: str, shape: tuple[int, int, int]) -> None:
    network = build(parse_network(kind), shape, 7)
    logits = network(images(shape))
    assert logits.shape == (3, 7)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("side", [4, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_reads_tiny_images(kind: str, side: int) -> None:
    spec = parse_network({"kind": kind, **SMALL.get(kind, {})})
    assert build(spec, (side, side, 1), 10)(images((side, side, 1))).shape == (3, 10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_layer_is_a_linear_called_head(kind: str) -> None:
    network = build(parse_network(kind), (28, 28, 1), 10)
    assert isinstance(network, nn.Sequential)
    name, layer = list(network.named_children())[-1]
    assert name == "head"
    assert isinstance(layer, nn.Linear)
    assert layer.out_features == 10


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_allocated_on_meta_and_the_shapes_are_the_same(kind: str) -> None:
    spec = parse_network(kind)
    with torch.device("meta"):
        shadow = build(spec, (28, 28, 1), 10)
    real = build(spec, (28, 28, 1), 10)
    assert all(tensor.is_meta for tensor in shadow.state_dict().values())
    assert {k: (v.shape, v.dtype) for k, v in shadow.state_dict().items()} == {
        k: (v.shape, v.dtype) for k, v in real.state_dict().items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(kind: str) -> None:
    def weights(seed: int) -> torch.Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = build(parse_network(kind), (28, 28, 1), 10)
        return nn.utils.parameters_to_vector(network.parameters()).detach()

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_gets_a_gradient(kind: str) -> None:
    network = build(parse_network(kind), (28, 28, 1), 10)
    nn.functional.cross_entropy(network(images((28, 28, 1))), torch.tensor([0, 1, 2])).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_judged_alone_when_not_in_training(kind: str) -> None:
    network = build(parse_network(kind), (28, 28, 1), 10).eval()
    x = images((28, 28, 1))
    with torch.no_grad():
        torch.testing.assert_close(network(x)[1:2], network(x[1:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_runs_in_bfloat16_and_channels_last(kind: str) -> None:
    network = build(parse_network(kind), (28, 28, 1), 10).eval().to(memory_format=torch.channels_last)
    x = images((28, 28, 1))
    with torch.no_grad():
        exact = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(x)
    torch.testing.assert_close(rounded.float(), exact, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_description_survives_json(kind: str) -> None:
    adapter = TypeAdapter(SavedNetworkSpec)
    spec = parse_network({"kind": kind, **SMALL.get(kind, {})})
    again = adapter.validate_json(adapter.dump_json(spec))
    assert again == spec
    assert type(again) is NETWORKS[kind]
    assert parse_network(spec.model_dump(mode="json")) == spec
    assert parse_network(spec) is spec


@pytest.mark.parametrize("kind", KINDS)
def test_a_description_is_frozen_and_closed(kind: str) -> None:
    spec = parse_network(kind)
    with pytest.raises(ValueError, match="frozen"):
        spec.kind = "other"  # type: ignore[misc,assignment]
    with pytest.raises(SettingsError, match=f'network "{kind}": unknown setting "nonsense"'):
        parse_network({"kind": kind, "nonsense": 1})


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_taken_or_refused_with_the_kinds_that_take_them(kind: str) -> None:
    spec = parse_network(kind)
    if spec.takes_vectors:
        assert build(spec, (5,), 3)(torch.rand(2, 5)).shape == (2, 3)
    else:
        with pytest.raises(SettingsError, match=f'network "{kind}" reads images .* vectors of 5') as caught:
            build(spec, (5,), 3)
        assert 'Use "linear" or "mlp"' in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((0, 28, 1), 10, "input shape"),
        ((28, 28), 10, "input shape"),
        ((28, 28, 1), 0, "0 classes"),
        ((10**9, 10**9, 1), 10, "input shape"),
        ((28, 28, 1), 10**9, "classes"),
    ],
)
def test_impossible_shapes_are_refused(kind: str, shape: tuple[int, int, int], classes: int, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        build(parse_network(kind), shape, classes)
