"""Packing: whatever a state holds comes back bit for bit."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glyphnet.training.checkpoint import pack, unpack

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
NESTED = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.integers() | st.text(), inner),
    max_leaves=20,
)


@given(NESTED)
def test_plain_values_come_back_with_their_types(value: object) -> None:
    packed, tensors = pack(value)
    back = unpack(packed, tensors)
    assert back == value
    assert repr(back) == repr(value)  # 1 is not True, (1,) is not [1], -0.0 is not 0.0


def test_tensors_and_infinities_come_back() -> None:
    value = {
        0: {"exp_avg": torch.arange(3.0), "step": 4.0},
        "al": [None, torch.tensor(True)],
        "inf": -math.inf,
    }
    back = unpack(*pack(value))
    assert torch.equal(back[0]["exp_avg"], torch.arange(3.0))
    assert back["al"][1].dtype == torch.bool
    assert back["inf"] == -math.inf
    assert math.isnan(unpack(*pack(math.nan)))


def test_anything_else_is_named_with_its_place() -> None:
    with pytest.raises(TypeError, match=r"\.a\[1\] is a set, which a checkpoint cannot hold"):
        pack({"a": [1, {2}]})
