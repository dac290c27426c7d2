"""The batches of a training: the same numbers, however many of them are gathered at one time."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from glyphnet.training import Examples, Recipe
from glyphnet.training import examples as examples_module
from glyphnet.training.examples import balanced_order
from glyphnet.training.fit import Fitting, fit


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


def test_a_balanced_order_has_each_class_as_often_and_each_of_its_images_alike() -> None:
    labels = torch.tensor([0] * 900 + [2] * 90 + [5] * 10)
    drawn = torch.cat([balanced_order(labels, 0, epoch) for epoch in range(30)])
    counts = labels[drawn].bincount()
    assert (counts[[0, 2, 5]] / len(drawn) - 1 / 3).abs().max() < 0.02
    of_five = drawn[labels[drawn] == 5].bincount()[990:]
    assert (of_five / of_five.sum() - 0.1).abs().max() < 0.01
    assert torch.equal(balanced_order(labels, 0, 1), balanced_order(labels, 0, 1))
    assert not torch.equal(balanced_order(labels, 0, 1), balanced_order(labels, 0, 2))


def test_a_rare_class_is_found_when_classes_are_drawn_alike() -> None:
    draw = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 980 + [1] * 20)
    inputs = torch.randn(1000, 4, generator=draw) + labels[:, None] * 1.2
    recall = {}
    for sampler in ("shuffle", "balanced"):
        recipe = Recipe.parse({"network": "linear", "epochs": 20, "batch_size": 50, "sampler": sampler})
        network = fit(recipe, Examples(inputs, labels), classes=2, device="cpu").network
        recall[sampler] = float((network(inputs[980:]).argmax(1) == 1).float().mean())
    assert recall["balanced"] > recall["shuffle"] + 0.3
