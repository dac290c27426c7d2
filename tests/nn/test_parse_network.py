"""What is said about wrong descriptions."""

from __future__ import annotations

import time

import pytest
import torch

from glyphnet.errors import SettingsError
from glyphnet.nn import build, parse_network


def message(value: object) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_network(value)  # type: ignore[arg-type]
    return str(caught.value)


def test_a_kind_alone_means_its_defaults() -> None:
    assert parse_network("mlp") == parse_network({"kind": "mlp", "hidden": (128,)})


def test_lists_and_tuples_are_the_same() -> None:
    assert parse_network({"kind": "mlp", "hidden": [3, 4]}) == parse_network({"kind": "mlp", "hidden": (3, 4)})


def test_an_unknown_kind_gets_the_near_miss() -> None:
    assert message("cnn_classic") == 'unknown network kind "cnn_classic"; did you mean "cnn-classic"?'
    assert message("zzz") == (
        'unknown network kind "zzz" (known: linear, mlp, cnn, cnn-classic, resnet, rnn, chain, efficientnet-lite0, '
        "ensemble)"
    )


def test_a_missing_kind_and_a_wrong_type_say_what_is_possible() -> None:
    assert message({"hidden": [3]}) == (
        "network has no kind. Add one of: linear, mlp, cnn, cnn-classic, resnet, rnn, chain, efficientnet-lite0,"
        " ensemble."
    )
    assert message(5) == (
        "network must be a kind (linear, mlp, cnn, cnn-classic, resnet, rnn, chain, efficientnet-lite0, ensemble) or a "
        "mapping with a kind, not int."
    )


def test_a_name_that_is_no_valid_unicode_is_refused_by_its_escapes() -> None:
    """A terminal hands over bytes that are no UTF-8 as lone surrogates, and a stranger's model file may hold them."""
    with pytest.raises(SettingsError, match=r'network "mlp": unknown activation "\\udcff" \(known: relu'):
        parse_network({"kind": "mlp", "activation": "\udcff"})
    with pytest.raises(SettingsError, match=r'member: unknown activation "\\ud800"'):
        parse_network({"kind": "ensemble", "members": 2, "member": {"kind": "cnn", "activation": "\ud800"}})


def test_all_wrong_settings_are_told_at_once() -> None:
    said = message({"kind": "cnn", "dropot": 0.1, "stem": 0, "channels": [1, "a"], "activation": "rely"})
    assert said.startswith('network "cnn": ')
    assert 'unknown setting "dropot"; did you mean "dropout"?' in said
    assert "stem=0 must be greater than or equal to 1" in said
    assert "channels[1]='a' must be" in said
    assert 'unknown activation "rely"; did you mean "relu"?' in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "mlp", "hidden": [65_537]},
        {"kind": "mlp", "hidden": [1] * 65},
        {"kind": "mlp", "dropout": 1.0},
        {"kind": "mlp", "dropout": float("nan")},
        {"kind": "mlp", "hidden": [True]},
        {"kind": "mlp", "batch_norm": 1},
        {"kind": "mlp", "hidden": ["64"]},
        {"kind": "cnn", "stem_kernel": 99},
        {"kind": "cnn", "stem_stride": 0},
        {"kind": "cnn-classic", "channels": []},
        {"kind": "resnet", "channels": [8] * 9},
        {"kind": "resnet", "blocks": 17},
        {"kind": "rnn", "layers": 17},
    ],
)
def test_values_out_of_bounds_are_refused(settings: dict[str, object]) -> None:
    (wrong,) = set(settings) - {"kind"}
    assert wrong in message(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "mlp", "hidden": [65_536] * 64},
        {"kind": "resnet", "channels": [65_536] * 8, "blocks": 16},
        {"kind": "rnn", "hidden": 65_536, "layers": 16, "bidirectional": True},
        {"kind": "ensemble", "members": 100, "member": {"kind": "resnet", "channels": [8] * 8, "blocks": 16}},
        {"kind": "ensemble", "members": 100, "member": {"kind": "cnn", "stem": 1000, "stem_stride": 1}},
    ],
)
def test_the_cost_of_a_description_is_bounded_before_it_is_built(settings: dict[str, object]) -> None:
    started = time.monotonic()
    with torch.device("meta"), pytest.raises(SettingsError, match="are the limits|are more than"):
        build(parse_network(settings), (512, 512, 3), 1000)
    assert time.monotonic() - started < 5
