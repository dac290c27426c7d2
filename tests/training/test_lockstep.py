"""Several trainings as one computation: each is what it would be alone, to within rounding, wherever it stops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from glyphnet.nn.backpropagation import Backpropagation
from glyphnet.nn.batched import batched
from glyphnet.training import CheckpointWriter, Examples, Fitting, Moment, Recipe, TrainingState, Watcher
from glyphnet.training.lockstep import can_go_in_lockstep, run_in_lockstep

SEEDS = (3, 4, 5)
MLP = {"kind": "mlp", "hidden": [20]}
RECIPES: list[dict[str, Any]] = [
    {"optimizer": "adam", "l1": 1e-4, "l2": 0.01},
    {"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.0}, "network": "linear"},
    {"optimizer": {"name": "sgd", "nesterov": True}, "network": {**MLP, "activation": "tanh"}},
    {"optimizer": {"name": "adamw", "weight_decay": 0.1}, "schedule": "cosine", "ema": 0.9},
    {"optimizer": "adam", "network": {**MLP, "hidden": [20, 12], "dropout": 0.2, "input_dropout": 0.1}},
    {"optimizer": {"name": "muon"}, "augment": {"shift_batch": 1}, "schedule": "one-cycle"},
    {"optimizer": "adam", "augment": {"shift": 1, "mixup": 0.3}, "network": {**MLP, "dropout": 0.2}},
    {"loss": {"name": "cross_entropy", "label_smoothing": 0.1, "class_weight": "balanced"}},
    {"loss": {"name": "binary_cross_entropy"}, "network": {**MLP, "activation": "sigmoid"}},
]


def recipe_of(settings: dict[str, Any]) -> Recipe:
    return Recipe.parse({"network": MLP, "epochs": 3, "batch_size": 32, "precision": "fp32", **settings})


def fittings(recipe: Recipe, train: Examples, validation: Examples | None = None) -> list[Fitting]:
    return [Fitting(recipe.override({"seed": seed}), train, validation, 10, "cpu") for seed in SEEDS]


def check_same(together: Sequence[Fitting], alone: Sequence[Fitting]) -> None:
    # To make a matrix orthogonal magnifies its small singular values, and the last digits with them.
    tolerance = 0.03 if alone[0].recipe.optimizer.name == "muon" else 1e-4
    for ours, theirs in zip(together, alone, strict=True):
        for key in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr"):
            values = [[row[key] or 0.0 for row in fitting.state.history] for fitting in (ours, theirs)]
            assert values[0] == pytest.approx(values[1], rel=1e-3), key
        assert (ours.state.best_epoch, ours.state.total_steps) == (theirs.state.best_epoch, theirs.state.total_steps)
        assert ours.state.best is not None
        assert theirs.state.best is not None
        steps = [slots["step"].item() for slots in ours.state.optimizer.state.values() if "step" in slots]
        assert set(steps) <= {ours.state.total_steps}, "nobody else's steps are counted"
        for name, tensor in theirs.state.best.items():
            torch.testing.assert_close(ours.state.best[name], tensor, rtol=1e-3, atol=tolerance, msg=name)


class StopAt(Watcher):
    """Stops after so many steps in all."""

    def __init__(self, step: int) -> None:
        self.step = step

    def after_step(self, moment: Moment, state: TrainingState) -> bool:
        return state.total_steps >= self.step


@pytest.mark.parametrize("settings", RECIPES, ids=str)
def test_each_is_the_training_that_it_would_be_alone(settings: dict[str, Any], train_examples: Examples) -> None:
    recipe = recipe_of(settings)
    together, alone = fittings(recipe, train_examples, train_examples), fittings(recipe, train_examples, train_examples)
    random = torch.get_rng_state()
    run_in_lockstep(together, [[]] * 3)
    assert torch.equal(torch.get_rng_state(), random), "the caller's random numbers are left as they were"
    for fitting in alone:
        fitting.run()
    check_same(together, alone)
    first, second = (fitting.state.best or {} for fitting in together[:2])
    assert not torch.equal(first["head.weight"], second["head.weight"])


def test_those_that_end_early_leave_the_others_alone(train_examples: Examples) -> None:
    settings = {"optimizer": {"name": "adam", "lr": 0.01}, "early_stopping": {"monitor": "val_accuracy", "patience": 1}}
    recipe = recipe_of({**settings, "epochs": 40})
    together, alone = fittings(recipe, train_examples, train_examples), fittings(recipe, train_examples, train_examples)
    run_in_lockstep(together, [[]] * 3)
    for fitting in alone:
        fitting.run()
    assert len({len(fitting.state.history) for fitting in alone}) > 1, "or it says nothing"
    check_same(together, alone)


@pytest.mark.parametrize("settings", [RECIPES[4], RECIPES[5]], ids=str)
def test_what_is_written_down_midway_is_gone_on_with_alone_and_together(
    settings: dict[str, Any], train_examples: Examples, tmp_path: Path
) -> None:
    recipe = recipe_of(settings)
    together, alone = fittings(recipe, train_examples), fittings(recipe, train_examples)
    for fitting in alone:
        fitting.run()
    terms = alone[0].terms
    paths = [tmp_path / f"{seed}" for seed in SEEDS]
    # Not all at the same step: two can go on together, one stands elsewhere.
    watchers = [[CheckpointWriter(path, terms), StopAt(step)] for path, step in zip(paths, (12, 9, 12), strict=True)]
    run_in_lockstep(together, watchers)
    assert [fitting.state.total_steps for fitting in together] == [12, 9, 12]
    for go_on in (lambda these: run_in_lockstep(these, [[]] * 3), lambda these: [each.run() for each in these]):
        resumed = fittings(recipe, train_examples)
        for fitting, path in zip(resumed, paths, strict=True):
            fitting.read_checkpoint(path, terms)
        go_on(resumed)
        check_same(resumed, alone)


def test_one_that_diverges_leaves_the_others_alone(train_examples: Examples) -> None:
    class Spoil(Watcher):
        def after_step(self, moment: Moment, state: TrainingState) -> bool:
            if state.total_steps == 12:
                with torch.no_grad():
                    next(state.network.parameters()).fill_(float("nan"))
            return False

    recipe = recipe_of({})
    together, alone = fittings(recipe, train_examples), fittings(recipe, train_examples)
    run_in_lockstep(together, [[], [Spoil()], []])
    for fitting in alone:
        fitting.run()
    assert len(together[1].state.history) == 1, "the epoch before is kept, the spoilt one is not"
    check_same(together[::2], alone[::2])


def test_the_passes_of_several_are_those_of_each(train_examples: Examples) -> None:
    """One product for all, and yet none of one network's numbers in another's."""
    these = fittings(recipe_of({}), train_examples)
    whole = [fitting.state.network for fitting in these]
    x = torch.rand(len(these) * 5, 64)
    wanted = torch.cat([network(part) for network, part in zip(whole, x.chunk(3), strict=True)])
    passes = Backpropagation(batched(whole, [torch.no_grad] * 3))
    torch.testing.assert_close(passes.forward(x), wanted)


@pytest.mark.parametrize(
    ("settings", "possible"),
    [
        ({}, True),
        ({"network": "linear"}, True),
        ({"network": "cnn"}, False),
        ({"network": {**MLP, "batch_norm": True}}, False),
        ({"network": {**MLP, "activation": "gelu"}}, False),
        ({"precision": "bf16"}, False),
        ({"optimizer": "lbfgs"}, False),
    ],
    ids=str,
)
def test_for_which_it_is_possible(settings: dict[str, Any], possible: bool) -> None:
    recipe = recipe_of(settings)
    assert can_go_in_lockstep(recipe, (8, 8, 1), 10, torch.device("cpu")) == possible
    assert not can_go_in_lockstep(recipe, (8, 8, 1), 10, torch.device("cuda"))
