"""The quick step of small networks: the same training as autograd's and the optimizer's own, to within rounding."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from glyphnet.nn import build
from glyphnet.training import Examples, Recipe
from glyphnet.training.device import flushing_denormals
from glyphnet.training.examples import Batches
from glyphnet.training.fast.step import FusedStep, Gradients, fused_update
from glyphnet.training.fit import Fitting
from glyphnet.training.steps import FullBatchStep

RECIPES: list[dict[str, Any]] = [
    {"network": {"kind": "mlp", "hidden": [20]}, "optimizer": "adam"},
    {"network": "linear", "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.0}},
    {"network": {"kind": "mlp", "hidden": [20], "activation": "tanh"}, "optimizer": {"name": "sgd", "nesterov": True}},
    {"network": "mlp", "optimizer": {"name": "adamw", "weight_decay": 0.1}, "schedule": "cosine"},
    {"network": "mlp", "optimizer": "adam", "l1": 1e-4, "l2": 0.01},
    {"network": "mlp", "loss": {"name": "cross_entropy", "label_smoothing": 0.1, "class_weight": "balanced"}},
    {"network": "mlp", "loss": {"name": "binary_cross_entropy", "label_smoothing": 0.1}, "ema": 0.9},
    {"network": "mlp", "optimizer": {"name": "muon"}},
    {"network": "mlp", "augment": {"shift": 1, "mixup": 0.3}},
    {
        "network": "mlp",
        "optimizer": "lbfgs",
        "l2": 0.001,
        "loss": {"name": "cross_entropy", "class_weight": "balanced"},
    },
]


def is_by_hand(fitting: Fitting) -> bool:
    step = fitting._step
    return isinstance(step, FusedStep) or (isinstance(step, FullBatchStep) and step._gradients is not None)


def trained(recipe: Recipe, train: Examples, monkeypatch: pytest.MonkeyPatch, *, by_hand: bool) -> Any:
    with monkeypatch.context() as patch:
        if not by_hand:
            patch.setattr(Gradients, "suits", staticmethod(lambda state, dtype: False))
        fitting = Fitting(recipe, train, None, 10, "cpu")
    assert is_by_hand(fitting) == by_hand
    return fitting.run()


@pytest.mark.parametrize("settings", RECIPES, ids=str)
def test_it_trains_as_autograd_does(
    settings: dict[str, Any], train_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.parse({**settings, "epochs": 3, "batch_size": 32, "precision": "fp32"})
    quick = trained(recipe, train_examples, monkeypatch, by_hand=True)
    usual = trained(recipe, train_examples, monkeypatch, by_hand=False)
    for key in ("loss", "accuracy", "lr"):
        values = [[row[key] for row in result.history] for result in (quick, usual)]
        assert values[0] == pytest.approx(values[1], rel=1e-4), key
    for name, tensor in usual.network.state_dict().items():
        # To make a matrix orthogonal magnifies its small singular values, and the last digits with them.
        tolerance = 0.03 if recipe.optimizer.name == "muon" else 1e-4
        torch.testing.assert_close(quick.network.state_dict()[name], tensor, rtol=1e-3, atol=tolerance, msg=name)


@pytest.mark.parametrize("network", ["linear", "rnn"])  # by hand, and by autograd
def test_a_full_batch_is_not_looked_at_twice_at_the_same_weights(
    network: str, train_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.parse({"network": network, "optimizer": "lbfgs", "epochs": 6, "precision": "fp32"})

    def train() -> tuple[list[Any], int]:
        looks = 0
        fitting = Fitting(recipe, train_examples, None, 10, "cpu")
        step = fitting._step
        assert isinstance(step, FullBatchStep)
        name = "_look" if step._gradients is None else "_look_by_hand"
        look = getattr(step, name)

        def counted(index: torch.Tensor) -> Any:
            nonlocal looks
            looks += 1
            return look(index)

        monkeypatch.setattr(step, name, counted)
        history = fitting.run().history
        return [(row["loss"], row["accuracy"]) for row in history], looks

    once, few = train()
    step = FullBatchStep.__call__

    def forgetful(self: FullBatchStep, index: torch.Tensor) -> None:
        self._last = None
        step(self, index)

    monkeypatch.setattr(FullBatchStep, "__call__", forgetful)
    again, many = train()
    assert once == again
    assert few < many


def test_it_is_left_alone_where_it_does_not_suit(train_examples: Examples) -> None:
    for settings in (
        {"network": "resnet"},
        {"network": "cnn"},
        {"network": "mlp", "precision": "bf16"},
        {"network": "rnn", "optimizer": "lbfgs"},
    ):
        fitting = Fitting(Recipe.parse(settings), train_examples, None, 10, "cpu")
        assert not is_by_hand(fitting), settings


def test_totals_are_whole_whenever_they_are_looked_at(train_examples: Examples) -> None:
    fitting = Fitting(Recipe.parse({"network": "mlp"}), train_examples, None, 10, "cpu")
    batch_at = Batches(fitting.state, train_examples, 10)
    right = 0
    for index in torch.arange(len(train_examples)).split(10):
        x, labels, *_ = batch_at(index)
        with torch.no_grad():
            right += (fitting.state.network(x).argmax(1) == labels).sum().item()
        fitting._step(index)
        assert fitting.state.totals[1].item() == right


@pytest.mark.parametrize("threads", [1, 2])
def test_numbers_too_small_are_taken_for_zero_inside_and_only_there(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        tiny = torch.full((1 << 20,), 1e-39)  # enough that each thread gets its share
        assert tiny.mul(1.0).count_nonzero() == len(tiny)
        with flushing_denormals():
            assert tiny.mul(1.0).count_nonzero() == 0
        assert tiny.mul(1.0).count_nonzero() == len(tiny)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "settings", [{"name": "sgd"}, {"name": "sgd", "momentum": 0.0}, "adam", "adamw", "muon"], ids=str
)
def test_the_quick_update_is_the_optimizers_own_step(settings: Any) -> None:
    recipe = Recipe.parse({"network": {"kind": "mlp", "hidden": [5]}, "optimizer": settings})
    networks = [build(recipe.network, (4,), 3) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    quick, usual = (recipe.optimizer.build(network) for network in networks)
    for network in networks:
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
    update = fused_update(quick)
    assert update != quick.step, "the quick way is not taken"
    for step in range(4):
        for optimizer in (quick, usual):
            set_rate(optimizer, 0.1 / (1 + step))
        for one, other in zip(*(network.parameters() for network in networks), strict=True):
            one.grad.copy_(torch.randn_like(one))
            other.grad.copy_(one.grad)
        with torch.no_grad():
            update()
        usual.step()
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(one, other)
    assert str(quick.state_dict()) == str(usual.state_dict())


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
