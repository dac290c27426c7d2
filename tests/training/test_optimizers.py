"""Contract tests: every optimizer and every schedule passes all of these."""

from __future__ import annotations

import copy

import pytest
import torch

from glyphnet.nn import build, parse_network
from glyphnet.training import Examples, Recipe, fit
from glyphnet.training.muon import Muon as PlainMuon
from glyphnet.training.muon import as_matrix, orthogonal
from glyphnet.training.optimizers import OPTIMIZERS, Muon, weights_of
from glyphnet.training.schedules import SCHEDULES


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_learns_to_tell_two_clouds_apart(name: str, blobs: Examples) -> None:
    optimizer = {"name": name} if OPTIMIZERS[name].full_batch else {"name": name, "lr": 0.02}
    recipe = Recipe.parse(
        {"network": {"kind": "mlp", "hidden": [8]}, "optimizer": optimizer, "epochs": 30, "batch_size": 20}
    )
    history = fit(recipe, blobs, classes=2, device="cpu").history
    assert history[-1]["accuracy"] == 1.0
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]  # type: ignore[operator]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_goes_on_from_its_state_bit_for_bit(name: str) -> None:
    def step(network: torch.nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
        x = torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(seed))

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = network(x).square().mean()
            loss.backward()
            return loss

        if OPTIMIZERS[name].full_batch:
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()

    torch.manual_seed(0)
    spec = parse_network({"kind": "cnn", "stem": 4, "channels": [4], "dense": [6], "stem_stride": 1})
    one = build(spec, (8, 8, 1), 3).to(memory_format=torch.channels_last)
    optimizer = OPTIMIZERS[name]().build(one)
    step(one, optimizer, 1)
    other = build(spec, (8, 8, 1), 3).to(memory_format=torch.channels_last)
    other.load_state_dict(one.state_dict())
    second = OPTIMIZERS[name]().build(other)
    second.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for seed in (2, 3):
        step(one, optimizer, seed)
        step(other, second, seed)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_muon_sees_weights_and_gradients_in_the_same_order(memory_format: torch.memory_format) -> None:
    weight = torch.randn(4, 3, 5, 5).to(memory_format=memory_format)
    gradient = (2 * weight).contiguous()
    matrix = as_matrix(weight, weight)
    assert matrix.data_ptr() == weight.data_ptr()
    assert torch.equal(as_matrix(gradient, weight), 2 * matrix)


@pytest.mark.parametrize("shape", [(128, 784), (300, 20), (32, 25), (10, 10), (1, 5)])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_orthogonal_is_newton_and_schulzs_iteration(shape: tuple[int, int], scale: float) -> None:
    """Done here as it is written, on the whole matrix, in double precision."""
    torch.manual_seed(0)
    matrix = scale * torch.randn(shape) * torch.logspace(0, 2, shape[1])
    x = matrix.double() / matrix.double().norm()
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    torch.testing.assert_close(orthogonal(matrix).double(), x, rtol=1e-3, atol=1e-3)


def test_what_is_nothing_stays_nothing() -> None:
    assert torch.equal(orthogonal(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_muon_reads_its_rate_from_a_tensor_too() -> None:
    """As a CUDA graph needs it."""
    start, gradient = torch.randn(8, 5), torch.randn(8, 5)
    stepped = []
    for rate in (0.05, torch.tensor(0.05)):
        weight = torch.nn.Parameter(start.clone())
        weight.grad = gradient
        muon = PlainMuon([weight], lr=rate, momentum=0.9, nesterov=True, weight_decay=0.1)
        for _ in range(3):
            muon.step()
        stepped.append(weight.detach())
    torch.testing.assert_close(*stepped)
    assert not torch.equal(stepped[0], start)


def test_optimizers_together_show_what_each_keeps() -> None:
    network = build(parse_network({"kind": "cnn"}), (12, 12, 1), 4)
    optimizer = Muon().build(network)
    network(torch.randn(8, 1, 12, 12)).square().mean().backward()
    optimizer.step()
    assert set(optimizer.state) == set(network.parameters())
    assert {name for slots in optimizer.state.values() for name in slots} == {
        "momentum_buffer", "exp_avg", "exp_avg_sq", "step"
    }  # fmt: skip


def test_muon_makes_the_step_of_a_matrix_orthogonal() -> None:
    torch.manual_seed(0)
    network = build(parse_network({"kind": "mlp", "hidden": [16]}), (32,), 4)
    before = next(network.parameters()).detach().clone()
    optimizer = Muon(lr=1.0, momentum=0.0, nesterov=False).build(network)
    network(torch.randn(64, 32)).square().mean().backward()
    optimizer.step()
    singular = torch.linalg.svdvals(before - next(network.parameters()).detach())
    assert singular.max() < 1.3 < 2 * singular.min()  # a gradient's own are orders of magnitude apart


def test_biases_and_norms_do_not_decay() -> None:
    network = build(parse_network({"kind": "cnn", "batch_norm": True}), (28, 28, 1), 10)
    decaying = {id(weight) for weight in weights_of(network)}
    for name, parameter in network.named_parameters():
        assert (id(parameter) in decaying) == (name.endswith("weight") and "norm" not in name), name
    groups = OPTIMIZERS["adamw"](weight_decay=0.3).build(network).param_groups
    assert {group["weight_decay"] for group in groups} == {0.3, 0.0}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_stay_between_nothing_and_the_full_rate(name: str) -> None:
    schedule = SCHEDULES[name]()
    factors = [schedule.factor(step / 1000, step // 100) for step in range(1001)]
    assert all(0.0 <= factor <= 1.0 for factor in factors)
    assert max(factors) == pytest.approx(1.0, abs=0.01)


def test_schedules_follow_their_formulas() -> None:
    assert SCHEDULES["step"](every=3, gamma=0.5).factor(0.9, 7) == 0.25
    assert SCHEDULES["inverse-time"](decay=0.5).factor(0.9, 4) == 1 / 3
    assert SCHEDULES["cosine"](warmup=0.2, final=0.1).factor(0.1, 0) == pytest.approx(0.5)
    assert SCHEDULES["cosine"](warmup=0.2, final=0.1).factor(0.6, 0) == pytest.approx(0.55)
    assert SCHEDULES["one-cycle"](warmup=0.25, final=0.0).factor(0.125, 0) == pytest.approx(0.5)
    assert SCHEDULES["one-cycle"](warmup=0.25, final=0.0).factor(0.625, 0) == pytest.approx(0.5)
