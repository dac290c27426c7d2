"""The step of small networks: passes written out, and an update without ceremony."""

from __future__ import annotations

import torch
from torch import Tensor

from ..nn.backpropagation import Backpropagation
from .batches import Batch, Batches
from .distributed import world_size
from .optimizers import weights_of
from .state import TrainingState
from .tally import Answers
from .updates import quick_update


class Gradients:
    """What autograd would make of a batch, to within rounding, in about half the time where layers are small.

    Args:
        state: whose network it is; `suits` says for which it is possible.
    """

    def __init__(self, state: TrainingState) -> None:
        self._state = state
        self._passes = Backpropagation(state.network)
        self._penalised = [(weight, weight.grad) for weight in weights_of(state.network) if weight.grad is not None]

    @staticmethod
    def suits(state: TrainingState, dtype: torch.dtype) -> bool:
        """Whether such a training can be done this way: alone on the processor, in float32, layers written out."""
        return (
            state.device.type == "cpu"
            and world_size() == 1
            and dtype == torch.float32
            and Backpropagation.covers(state.network)
        )

    def forward(self, batch: Batch) -> Answers:
        """What the network says to a batch."""
        x, labels, targets, weights = batch
        return Answers(self._passes.forward(x), labels, targets, weights)

    def backward(self, answers: Answers, gradient: Tensor) -> None:
        """Write the parameters' ``grad`` of the mean loss, penalties included.

        Args:
            answers: of the last `forward`.
            gradient: the derivatives of each loss by its logits, without weights: float32 (n, K); is overwritten.
        """
        count, weights = len(answers.labels), answers.weights
        gradient.mul_(1.0 / count if weights is None else weights[:, None] / count)
        self._passes.backward(gradient)
        l1, l2 = self._state.recipe.l1, self._state.recipe.l2
        for weight, grad in self._penalised:
            if l1:
                grad.add_(weight.sign(), alpha=l1)
            if l2:
                grad.add_(weight, alpha=l2)


class HandwrittenStep:
    """Does what `AutogradStep` does, to within rounding."""

    def __init__(self, state: TrainingState, batches: Batches) -> None:
        self._tally, self._batches, self._loss = state.tally, batches, state.recipe.loss
        self._gradients = Gradients(state)
        self._update = quick_update(state.optimizer)

    def __call__(self, index: Tensor) -> None:
        """Do the step on the examples at ``index``."""
        with torch.no_grad():
            answers = self._gradients.forward(self._batches(index))
            self._gradients.backward(answers, self._loss.gradient(answers.logits, answers.targets))
            self._update()
        self._tally.count_later(answers)
