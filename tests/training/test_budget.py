"""Trainings that fit a time."""

from __future__ import annotations

import pytest

from glyphnet.runs import preparation as budget
from glyphnet.training import Examples, Recipe, fit

QUICK = Recipe.parse({"network": "linear", "epochs": 10, "batch_size": 20})
SLOW = Recipe.parse({"network": {"kind": "cnn-classic", "padding": True}, "epochs": 5000, "batch_size": 20})


def plan(seconds: float, examples: Examples, *candidates: Recipe) -> budget.Plan:
    return budget.within(seconds, candidates, examples, examples, classes=10, device="cpu")


def test_the_slower_recipe_is_taken_only_where_enough_of_it_fits(train_examples: Examples) -> None:
    little, much = plan(0.5, train_examples, SLOW, QUICK), plan(1e5, train_examples, SLOW, QUICK)
    assert (little.index, little.recipe.network) == (1, QUICK.network)
    assert (much.index, much.recipe.network) == (0, SLOW.network)
    assert budget.ENOUGH * SLOW.epochs <= much.recipe.epochs <= budget.MOST * SLOW.epochs
    assert 1 <= little.recipe.epochs <= budget.MOST * QUICK.epochs


def test_as_many_epochs_as_fit_but_one_at_least(train_examples: Examples) -> None:
    none, some = plan(1e-3, train_examples, SLOW), plan(20.0, train_examples, SLOW)
    assert none.recipe.epochs == 1
    assert none.seconds > 1e-3
    assert 1 < some.recipe.epochs < SLOW.epochs
    assert some.seconds <= 20.0
    assert some.recipe == SLOW.override({"epochs": some.recipe.epochs})


def test_what_is_measured_is_what_an_epoch_takes(train_examples: Examples) -> None:
    recipe = SLOW.override({"epochs": 3})
    measured = budget.seconds_an_epoch(recipe, train_examples, train_examples, 0.1, classes=10, device="cpu")
    history = fit(recipe, train_examples, train_examples, classes=10, device="cpu").history
    taken = sorted(float(row["seconds"] or 0) for row in history)
    assert taken[0] / 10 < measured < 10 * taken[-1]  # other programs may have taken the machine meanwhile


@pytest.mark.parametrize("images", [1, 3])
def test_data_of_a_single_step_an_epoch_can_be_measured(train_examples: Examples, images: int) -> None:
    few = Examples(train_examples.inputs[:images], train_examples.labels[:images])
    assert plan(0.2, few, QUICK).recipe.epochs >= 1
