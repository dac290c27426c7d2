"""The step of small networks: passes written out, and an update without ceremony."""

from __future__ import annotations

import torch
from torch import Tensor

from ..nn.backpropagation import Backpropagation
from .batches import Batches
from .optimizers import weights_of
from .state import TrainingState
from .updates import quick_update


class HandwrittenStep:
    """Does what `Steps.descend` does, to within rounding, in about half the time where layers are small.

    Args:
        state: what the steps change; `suits` says for which it is possible.
        batches: gives what each looks at.
    """

    def __init__(self, state: TrainingState, batches: Batches) -> None:
        self._state, self._batches = state, batches
        self._passes = Backpropagation(state.network)
        self._penalised = [(weight, weight.grad) for weight in weights_of(state.network) if weight.grad is not None]
        self._update = quick_update(state.optimizer)

    @staticmethod
    def suits(state: TrainingState, dtype: torch.dtype) -> bool:
        """Whether such a training can be done this way: on the processor, in float32, layers that are written out."""
        return (
            state.device.type == "cpu"
            and dtype == torch.float32
            and not state.recipe.optimizer.full_batch
            and Backpropagation.covers(state.network)
        )

    def __call__(self, index: Tensor) -> None:
        """Do the step on the examples at ``index``."""
        state = self._state
        with torch.no_grad():
            x, labels, targets, weights = self._batches(index)
            logits = self._passes.forward(x)
            gradient = state.recipe.loss.gradient(logits, targets)
            gradient.mul_(1.0 / len(labels) if weights is None else weights[:, None] / len(labels))
            self._passes.backward(gradient)
            self._add_penalty()
            self._update()
            state.tally.count_later(logits, labels, targets, weights)

    def _add_penalty(self) -> None:
        """The derivatives of l1·Σ|w| and of l2/2·Σw²."""
        l1, l2 = self._state.recipe.l1, self._state.recipe.l2
        for weight, gradient in self._penalised:
            if l1:
                gradient.add_(weight.sign(), alpha=l1)
            if l2:
                gradient.add_(weight, alpha=l2)
