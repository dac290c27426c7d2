"""The batches of a training: the same numbers, however many of them are gathered at one time."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from glyphnet.training import Examples, Recipe
from glyphnet.training import examples as examples_module
from glyphnet.training.fit import Fitting


def vectors(count: int) -> Examples:
    weights = torch.rand(count) + 0.5
    return Examples(torch.randn(count, 24), torch.randint(0, 10, (count,)), weights)


@pytest.mark.parametrize("preprocessing", ["standardize", "unit_range", "unit_norm"])
@pytest.mark.parametrize("as_vectors", [False, True])
@pytest.mark.parametrize("first", [0, 3])
def test_batches_gathered_ahead_are_those_gathered_one_by_one(
    preprocessing: str, as_vectors: bool, first: int, train_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = vectors(200) if as_vectors else train_examples
    recipe = Recipe.parse({"network": "mlp", "preprocessing": preprocessing})
    batch_at = Fitting(recipe, train, None, 10, "cpu").batches
    asked = list(torch.randperm(len(train)).tensor_split(7))
    alone = [batch_at(index) for index in asked]
    monkeypatch.setattr(examples_module, "GATHERED_AT_ONCE", 4 * train.inputs[0].numel() * 2 * len(asked[0]))
    gathered = 0
    gather = Examples.gather

    def counted(self: Examples, index: torch.Tensor) -> torch.Tensor:
        nonlocal gathered
        gathered += 1
        return gather(self, index)

    monkeypatch.setattr(Examples, "gather", counted)
    batch_at.expect(asked, first)
    for number in range(first, len(asked)):
        for part, own in zip(batch_at(asked[number]), alone[number], strict=True):
            assert part is own is None or torch.equal(part, own)
    assert gathered == (len(asked) - first + 1) // 2
    for part, own in zip(batch_at(asked[0]), alone[0], strict=True):  # what was not expected comes all the same
        assert part is own is None or torch.equal(part, own)


@pytest.mark.parametrize("augment", [{"shift": 1}, {"mixup": 0.3}])
def test_what_is_drawn_at_random_is_drawn_when_it_is_asked_for(augment: Any, train_examples: Examples) -> None:
    batch_at = Fitting(Recipe.parse({"network": "mlp", "augment": augment}), train_examples, None, 10, "cpu").batches
    asked = list(torch.arange(len(train_examples)).split(50))
    torch.manual_seed(1)
    alone = [batch_at(index) for index in asked]
    batch_at.expect(asked, 0)
    torch.manual_seed(1)
    for index, own in zip(asked, alone, strict=True):
        assert torch.equal(batch_at(index).x, own.x)
