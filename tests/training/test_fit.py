"""The loop: what it promises about bits, best weights, stopping and failing."""

from __future__ import annotations

import math
import platform

import numpy as np
import pytest
import torch

from glyphnet.errors import DeviceError, DivergedError, SettingsError, TrainingError
from glyphnet.seeding import derived_seed
from glyphnet.training import (
    Callback,
    Examples,
    FitResult,
    HistoryRow,
    Recipe,
    StepInfo,
    TrainingState,
    fit,
    validate,
)
from glyphnet.training.examples import batch_count, epoch_order

CNN = {
    "network": {
        "kind": "cnn", "stem": 8, "channels": [8], "dense": [16], "stem_stride": 1, "batch_norm": True, "dropout": 0.2,
    },
    "augment": {"shift": 1, "rotate": 10, "mixup": 0.2},
    "optimizer": {"name": "adamw", "lr": 0.01},
    "schedule": "one-cycle",
    "ema": 0.9,
    "epochs": 4,
    "batch_size": 32,
}  # fmt: skip


def same_weights(one: FitResult, other: FitResult) -> bool:
    a, b = one.network.state_dict(), other.network.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def without_time(history: list[HistoryRow]) -> list[HistoryRow]:
    return [{**row, "seconds": 0.0} for row in history]


def test_the_same_seed_gives_the_same_bits(train_examples: Examples, validation_examples: Examples) -> None:
    recipe = Recipe.parse(CNN)
    first, second = (fit(recipe, train_examples, validation_examples, classes=10, device="cpu") for _ in range(2))
    assert same_weights(first, second)
    assert without_time(first.history) == without_time(second.history)
    other = fit(recipe.override({"seed": 1}), train_examples, validation_examples, classes=10, device="cpu")
    assert not same_weights(first, other)


def test_the_users_random_numbers_and_threads_are_left_alone(train_examples: Examples) -> None:
    torch.manual_seed(5)
    expected, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(5)
    fit(Recipe.parse({**CNN, "epochs": 1}), train_examples, classes=10, device="cpu")
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_the_best_epoch_is_kept_and_is_what_the_history_says(
    train_examples: Examples, validation_examples: Examples
) -> None:
    # A rate this high makes the accuracy go up and down, so the best epoch is rarely the last.
    recipe = Recipe.parse({**CNN, "epochs": 8, "schedule": "constant", "optimizer": {"name": "adam", "lr": 0.1}})
    result = fit(recipe, train_examples, validation_examples, classes=10, device="cpu")
    best = result.history[result.best_epoch - 1]
    assert best["val_accuracy"] == max(row["val_accuracy"] or 0 for row in result.history)
    loss, accuracy = validate(result.network, result.preprocessing, validation_examples, recipe)
    assert (loss, accuracy) == pytest.approx((best["val_loss"], best["val_accuracy"]))
    last = fit(recipe.override({"keep_best": False}), train_examples, validation_examples, classes=10, device="cpu")
    assert last.best_epoch == 8
    assert without_time(last.history) == without_time(result.history)


def test_early_stopping_waits_for_its_patience(train_examples: Examples, validation_examples: Examples) -> None:
    settings = {"patience": 2, "min_delta": 10.0, "monitor": "val_loss"}  # nothing improves by ten
    recipe = Recipe.parse({**CNN, "epochs": 30, "early_stopping": settings})
    result = fit(recipe, train_examples, validation_examples, classes=10, device="cpu")
    assert result.ending == "early_stopping"
    assert len(result.history) == 3


def test_lbfgs_says_when_it_has_converged(blobs: Examples) -> None:
    recipe = Recipe.parse({"network": "linear", "optimizer": "lbfgs", "l2": 0.1, "epochs": 500})
    result = fit(recipe, blobs, classes=2, device="cpu")
    assert result.ending == "converged"
    assert len(result.history) < 100


def test_lbfgs_ends_where_no_step_moves_it_any_more(train_examples: Examples) -> None:
    never = {"name": "lbfgs", "tolerance": 0.0}  # no gradient is small enough; but float32 has no smaller steps
    for network in ({"kind": "mlp", "hidden": [16]}, {"kind": "cnn", "stem_stride": 1, "channels": [4], "dense": [16]}):
        recipe = Recipe.parse({"network": network, "optimizer": never, "epochs": 400, "precision": "fp32"})
        result = fit(recipe, train_examples, classes=10)
        assert result.ending == "converged", network
        assert result.history[-1]["loss"] == pytest.approx(0.0, abs=1e-6), network


def test_lbfgs_trains_convolutions(train_examples: Examples) -> None:
    recipe = Recipe.parse({"network": {"kind": "cnn", "stem_stride": 1}, "optimizer": "lbfgs", "epochs": 15})
    history = fit(recipe, train_examples, classes=10, device="cpu").history
    assert history[-1]["loss"] < 0.3 * history[0]["loss"]  # type: ignore[operator]


@pytest.mark.parametrize("validated", [True, False])
def test_a_diverging_loss_stops_the_run_and_keeps_the_last_good_weights(
    validated: bool, train_examples: Examples, validation_examples: Examples
) -> None:
    class Poison(Callback):
        """Spoils a weight in the third epoch, as an overflow would."""

        def after_step(self, info: StepInfo, state: TrainingState) -> bool:
            if info.epoch == 3 and info.step == 1:
                next(state.network.parameters()).data.fill_(math.inf)
            return False

    recipe = Recipe.parse({**CNN, "ema": 0.0, "epochs": 5})
    validation = validation_examples if validated else None
    with pytest.raises(
        DivergedError,
        match=r"NaN or infinite in epoch 3.*the weights of epoch \d are kept.*"
        r"learning rate is too high: try optimizer\.lr=0\.001",
    ) as caught:
        fit(recipe, train_examples, validation, classes=10, device="cpu", callbacks=[Poison()])
    result = caught.value.result
    assert isinstance(result, FitResult)
    assert len(result.history) == 2
    assert all(tensor.isfinite().all() for tensor in result.network.state_dict().values())


def test_a_learning_rate_far_too_high_is_named_in_the_first_epoch(blobs: Examples) -> None:
    recipe = Recipe.parse({"network": "mlp", "optimizer": {"name": "sgd", "lr": 1e38}, "epochs": 2})
    with pytest.raises(DivergedError, match="epoch 1.*no epoch was finished before it"):
        fit(recipe, blobs, classes=2, device="cpu")


def test_wrong_examples_are_refused_before_any_work(blobs: Examples, train_examples: Examples) -> None:
    mlp = Recipe.parse({"network": "mlp"})
    with pytest.raises(TrainingError, match="input 1 holds NaN or infinity"):
        Examples.of(torch.tensor([[1.0], [math.nan]]), torch.tensor([0, 1]))
    with pytest.raises(TrainingError, match="2 inputs, 3 labels"):
        Examples.of(torch.zeros(2, 1), torch.zeros(3))
    with pytest.raises(TrainingError, match="no training examples"):
        fit(mlp, Examples.of(torch.zeros(0, 2), torch.zeros(0)), classes=2)
    with pytest.raises(SettingsError, match=r"augment\.shift changes images, but the inputs are vectors of 2"):
        fit(mlp.override({"augment.shift": 1}), blobs, classes=2)
    with pytest.raises(SettingsError, match=r"early_stopping\.monitor is val_loss, but there are no validation"):
        fit(mlp.override({"early_stopping": {}}), blobs, classes=2)
    with pytest.raises(DeviceError, match='unknown device "gpu"'):
        fit(mlp, blobs, classes=2, device="gpu")
    with pytest.raises(DeviceError, match='device "cuda:99" is not on this machine'):
        fit(mlp, blobs, classes=2, device="cuda:99")


def test_an_epoch_sees_every_example_once_in_even_batches() -> None:
    order = epoch_order(103, seed=3, epoch=7)
    assert sorted(order.tolist()) == list(range(103))
    assert torch.equal(order, epoch_order(103, seed=3, epoch=7))
    assert not torch.equal(order, epoch_order(103, seed=3, epoch=8))
    sizes = {len(batch) for batch in order.tensor_split(batch_count(103, 32))}
    assert sizes == {25, 26}
    assert batch_count(10, 200) == 1
    assert derived_seed(1, "order", 2) != derived_seed(1, "steps", 2)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="bfloat16 is known of these processors only")
@pytest.mark.parametrize(
    ("settings", "precision"),
    [
        ({"network": "mlp"}, "fp32"),
        ({"network": {"kind": "mlp", "hidden": [2000, 2000]}}, "bf16"),
        ({"network": {"kind": "mlp", "hidden": [2000, 2000]}, "optimizer": "lbfgs"}, "fp32"),
        ({"network": "mlp", "precision": "bf16"}, "bf16"),
    ],
    ids=str,
)
def test_bf16_is_taken_for_large_steps_on_processors_that_multiply_it_quickly(
    settings: dict[str, object], precision: str, train_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    recipe = Recipe.parse({"epochs": 1, "batch_size": 128, **settings})
    assert fit(recipe, train_examples, classes=10, device="cpu").precision == precision


def test_bf16_learns_as_well(train_examples: Examples, validation_examples: Examples) -> None:
    def accuracy(precision: str, seed: int) -> float:
        recipe = Recipe.parse({**CNN, "precision": precision, "epochs": 20, "augment": {}, "seed": seed})
        result = fit(recipe, train_examples, validation_examples, classes=10, device="cpu")
        assert result.precision == precision
        return result.history[-1]["val_accuracy"]  # type: ignore[return-value]

    # One image of the sixty is 1.7 points, and processors round differently: three seeds together.
    half, single = (np.mean([accuracy(precision, seed) for seed in range(3)]) for precision in ("bf16", "fp32"))
    assert half > 0.84
    assert half > single - 0.03
