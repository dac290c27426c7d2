"""The ensemble is the mean of its members, whatever they are, and is made of trained networks alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glyphnet.errors import SettingsError
from glyphnet.nn import NETWORKS, build, parse_network
from glyphnet.nn.modules import join, mirror_image, summands
from glyphnet.nn.networks import MOST_MEMBERS, EnsembleSpec
from glyphnet.sklearn import GlyphClassifier
from glyphnet.training import preset

SHAPE = (14, 13, 3)
MEMBERS = [
    *({"kind": kind} for kind in NETWORKS if kind != "ensemble"),
    {"kind": "cnn", "batch_norm": True, "dropout": 0.5},
    {"kind": "rnn", "bidirectional": True, "layers": 2},
]


def trained(member: dict[str, object], count: int = 3) -> list[nn.Module]:
    """Networks as training leaves them: batch norms that have seen images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        networks = [build(parse_network(member), SHAPE, 5) for _ in range(count)]
        for network in networks:
            network.train()(images())
    return [network.eval() for network in networks]


def images() -> torch.Tensor:
    return torch.rand(6, SHAPE[2], *SHAPE[:2], generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("member", MEMBERS, ids=str)
def test_the_logits_are_the_mean_of_the_members(member: dict[str, object]) -> None:
    networks = trained(member)
    with torch.no_grad():
        each = torch.stack([network(images()) for network in networks])
        joined = join(networks)(images())
        again = torch.stack([network(images()) for network in networks])
    torch.testing.assert_close(joined, each.mean(dim=0), atol=1e-5, rtol=0)
    assert (each[0] - each[1]).abs().max() > 1e-3, "members that answer alike would prove nothing"
    assert torch.equal(again, each), "the members are left as they were"


def test_members_of_an_ensemble_become_members_of_the_whole() -> None:
    one, two, three = trained({"kind": "cnn"})
    whole = join([join([one, two]), three])
    assert len(summands(whole)) == 3
    with torch.no_grad():
        torch.testing.assert_close(whole(images()), ((one(images()) + two(images())) / 2 + three(images())) / 2)


MEAN = {"kind": "cnn", "stem_stride": 1, "downsample": "pool", "convs_per_stage": 2, "mean_pixel": True, "dense": []}


@pytest.mark.parametrize(
    ("member", "width", "has_one"),
    [
        (MEAN | {"batch_norm": True}, 16, True),
        (MEAN, 17, False),  # the pooling leaves out the last column
        (MEAN | {"downsample": "stride"}, 16, False),
        (MEAN | {"mean_pixel": False}, 16, False),  # the head sees places
        ({"kind": "mlp"}, 16, False),
        ({"kind": "resnet", "channels": [4]}, 17, True),
    ],
    ids=str,
)
def test_the_mirror_image_of_a_network_is_one_of_mirrored_kernels(
    member: dict[str, object], width: int, has_one: bool
) -> None:
    network = build(parse_network(member), (12, width, 3), 5)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = mirror_image(network, (12, width, 3))
    assert (found is not None) == has_one
    if found is not None:
        x = torch.rand(6, 3, 12, width)
        with torch.no_grad():
            torch.testing.assert_close(found(x.flip(3)), network.eval()(x), rtol=1e-4, atol=1e-5)
            assert not torch.allclose(found(x), network(x), atol=1e-3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("member", MEMBERS, ids=str)
def test_the_description_builds_what_was_joined(member: dict[str, object]) -> None:
    spec = EnsembleSpec(members=3, member=parse_network(member))
    joined = join(trained(member)).state_dict()
    assert {name: tensor.shape for name, tensor in build(spec, SHAPE, 5).state_dict().items()} == {
        name: tensor.shape for name, tensor in joined.items()
    }


def test_the_members_logits_add_up_to_the_ensembles() -> None:
    joined = join(trained({"kind": "cnn"}))
    parts = summands(joined)
    with torch.no_grad():
        total = sum(part(images()) for part in parts) + joined.get_submodule("head").bias
        torch.testing.assert_close(total, joined(images()), atol=1e-5, rtol=0)
    assert len(parts) == 3
    single = build(parse_network("mlp"), SHAPE, 5)
    assert summands(single) == [single]


def test_a_description_is_bounded_and_holds_no_ensemble() -> None:
    with pytest.raises(SettingsError, match=f"members={MOST_MEMBERS + 1} must be less than or equal to {MOST_MEMBERS}"):
        parse_network({"kind": "ensemble", "members": MOST_MEMBERS + 1})
    with pytest.raises(SettingsError, match="members=1 must be greater than or equal to 2"):
        parse_network({"kind": "ensemble", "members": 1})
    with pytest.raises(SettingsError, match='unknown member "ensemble"'):
        parse_network({"kind": "ensemble", "member": {"kind": "ensemble"}})


def test_training_one_from_scratch_is_refused_with_the_way_to_it() -> None:
    recipe = preset("fast", SHAPE, 1000, 5)
    how = "network: an ensemble is made of networks .* glyphnet train --seeds 10 --ensemble"
    for asked in ("ensemble", {"kind": "ensemble", "members": 3}):
        with pytest.raises(SettingsError, match=how):
            recipe.override({"network": asked})
    with pytest.raises(SettingsError, match="glyphnet train --seeds 10 --ensemble"):
        GlyphClassifier(network="ensemble").fit(images().numpy().reshape(6, -1), [0, 1, 2, 0, 1, 2])
