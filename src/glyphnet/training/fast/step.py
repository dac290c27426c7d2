"""The training step of small networks: hand-written gradients, and an update without the optimizer's overhead."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..batches import Batch, Batches
from ..losses import Loss
from ..optimizers import weights_of
from ..recipe import Recipe
from ..state import Answers, TrainingState
from .layers import Backpropagation
from .updates import fused_update


class Gradients:
    """What autograd would make of a batch, to within rounding, in about half the time where layers are small.

    Args:
        network: of a training that `suits`.
        recipe: for its penalties.
    """

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        self._backpropagation = Backpropagation(network)
        self._penalties = recipe.penalties
        self._penalised = weights_of(network) if self._penalties else []

    @staticmethod
    def suits(state: TrainingState, dtype: torch.dtype) -> bool:
        """Whether such a training can be done this way: alone on the processor, in float32, layers written out."""
        return (
            state.device.type == "cpu"
            and state.collective.size == 1
            and dtype == torch.float32
            and Backpropagation.covers(state.network)
        )

    def of(self, batch: Batch, loss: Loss) -> Answers:
        """Set the parameters' ``grad`` of a batch's mean loss; what the network said to it."""
        answers = self.forward(batch)
        self.backward(answers, loss.gradient(answers.logits, answers.targets))
        return answers

    def forward(self, batch: Batch) -> Answers:
        """What the network says to a batch."""
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
        self._tally, self._batches, self._loss = state.metrics, batches, state.recipe.loss
        self._gradients = Gradients(state.network, state.recipe)
        self._update = fused_update(state.optimizer)

    def __call__(self, index: Tensor) -> None:
        """Do the step on the examples at ``index``."""
        with torch.no_grad():
            answers = self._gradients.of(self._batches(index), self._loss)
            self._update()
        self._tally.count_later(answers)
