"""The training step of small networks: hand-written gradients, and an update without the optimizer's overhead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..examples import Batch, Batches
from ..losses import Loss
from ..muon import Together
from ..optimizers import weights_of
from ..recipe import Recipe
from ..state import Answers, TrainingState
from .layers import Backpropagation


class Gradients:
    """The gradients that autograd would compute, to within rounding, in about half the time for small layers.

    The network must be that of a training that `suits`; the recipe gives the penalties.
    """

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        self._backpropagation = Backpropagation(network)
        self._penalties = recipe.penalties
        self._penalised = weights_of(network) if self._penalties else []

    @staticmethod
    def suits(state: TrainingState, dtype: torch.dtype) -> bool:
        """Whether a training can use this step: one process on the CPU, in float32, with a rule for every layer."""
        return (
            state.device.type == "cpu"
            and state.collective.size == 1
            and dtype == torch.float32
            and Backpropagation.covers(state.network)
        )

    def of(self, batch: Batch, loss: Loss) -> Answers:
        """Set the parameters' ``grad`` of a batch's mean loss; return the network's answers."""
        answers = self.forward(batch)
        self.backward(answers, loss.gradient(answers.logits, answers.targets))
        return answers

    def forward(self, batch: Batch) -> Answers:
        """The network's answers to a batch."""
        x, labels, targets, weights = batch
        return Answers(self._backpropagation.forward(x), labels, targets, weights)

    def backward(self, answers: Answers, gradient: Tensor) -> None:
        """Set the parameters' ``grad`` of the mean loss, penalties included.

        Args:
            answers: of the last `forward`.
            gradient: the derivatives of each loss by its logits, without weights: float32 (n, K); is overwritten.
        """
        count, weights = len(answers.labels), answers.weights
        gradient.mul_(1.0 / count if weights is None else weights[:, None] / count)
        self._backpropagation.backward(gradient)
        for weight in self._penalised:
            assert weight.grad is not None
            for regularizer, strength in self._penalties:
                weight.grad.add_(regularizer.gradient(weight), alpha=strength)


class FusedStep:
    """Does what `AutogradStep` does, to within rounding."""

    def __init__(self, state: TrainingState, batches: Batches) -> None:
        self._metrics, self._batches, self._loss = state.metrics, batches, state.recipe.loss
        self._gradients = Gradients(state.network, state.recipe)
        self._update = fused_update(state.optimizer)

    def __call__(self, index: Tensor) -> None:
        """Run the step on the examples at ``index``."""
        with torch.no_grad():
            answers = self._gradients.of(self._batches(index), self._loss)
            self._update()
        self._metrics.count_later(answers)


# Optimizer steps without their overhead: PyTorch's fused kernels, called directly


Update = Callable[[], object]
"""Changes the parameters by their gradients; what it returns is not looked at."""


def fused_update(optimizer: torch.optim.Optimizer) -> Update:
    """Like ``optimizer.step()``; faster for fused SGD, Adam and AdamW, also beside Muon.

    At each call every parameter must have its gradient, in the same order in memory as itself.
    """
    if isinstance(optimizer, Together):
        each_part = [fused_update(part) for part in optimizer.parts]
        return lambda: [update() for update in each_part]
    kernels = next((_KERNELS[kind] for kind in type(optimizer).__mro__ if kind in _KERNELS), None)
    if kernels is None or not _plain(optimizer):
        return optimizer.step
    updates: list[Update] = []

    def update() -> None:
        if not updates:
            is_new = not _has_state(optimizer)
            if is_new:
                optimizer.step()  # makes the state that the kernels change
            # Also for the first step of a resumed training: the kernels round otherwise than ``step``.
            updates.extend(kernels(optimizer, group) for group in optimizer.param_groups)
            if is_new:
                return
        for each in updates:
            each()

    return update


def _plain(optimizer: torch.optim.Optimizer) -> bool:
    """Whether all groups are fused, and use only what the calls below support."""
    unused = ("amsgrad", "maximize", "differentiable", "capturable")
    return all(
        group.get("fused") and not isinstance(group["lr"], Tensor) and not any(group.get(name) for name in unused)
        for group in optimizer.param_groups
    )


def _has_state(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the state that the kernels change exists."""
    return all(
        optimizer.state.get(parameter) or group.get("momentum") == 0
        for group in optimizer.param_groups
        for parameter in group["params"]
    )


def _adam(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> Update:
    kernel = torch._fused_adamw_ if isinstance(optimizer, torch.optim.AdamW) else torch._fused_adam_
    parameters, gradients = _of_group(group)
    slots = [optimizer.state[parameter] for parameter in group["params"]]
    means, squares = ([_as_it_lies(slot[name]) for slot in slots] for name in ("exp_avg", "exp_avg_sq"))
    step = slots[0]["step"]
    for slot in slots:
        slot["step"] = step  # one count for all: to count up each would take as long as a small layer
    steps = [step] * len(slots)
    beta1, beta2 = group["betas"]

    def update() -> None:
        step.add_(1)
        kernel(
            parameters, gradients(), means, squares, [], steps, lr=group["lr"], beta1=beta1, beta2=beta2,
            weight_decay=group["weight_decay"], eps=group["eps"], amsgrad=False, maximize=False,
        )  # fmt: skip

    return update


def _sgd(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> Update:
    parameters, gradients = _of_group(group)
    momenta = []
    if group["momentum"]:
        momenta = [_as_it_lies(optimizer.state[parameter]["momentum_buffer"]) for parameter in group["params"]]

    def update() -> None:
        torch._fused_sgd_(
            parameters, gradients(), momenta, lr=group["lr"], momentum=group["momentum"],
            dampening=group["dampening"], weight_decay=group["weight_decay"], nesterov=group["nesterov"],
            maximize=False, is_first_step=False,
        )  # fmt: skip

    return update


def _of_group(group: dict[str, Any]) -> tuple[list[Tensor], Callable[[], list[Tensor]]]:
    """The parameters of a group, and a function that returns their current gradients."""
    parameters = group["params"]

    def gradients() -> list[Tensor]:
        return [_as_it_lies(each.grad) for each in parameters]

    return [_as_it_lies(each.detach()) for each in parameters], gradients


def _as_it_lies(tensor: Tensor) -> Tensor:
    """``tensor`` as a vector in memory order: any other order doubles the kernels' time."""
    return tensor if tensor.is_contiguous() else tensor.as_strided((tensor.numel(),), (1,))


_KERNELS: dict[type, Callable[[torch.optim.Optimizer, dict[str, Any]], Update]] = {
    torch.optim.SGD: _sgd,
    torch.optim.Adam: _adam,  # and AdamW, which is a subclass
}
