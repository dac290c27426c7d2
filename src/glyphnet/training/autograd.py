"""The step that goes through PyTorch's autograd."""

from __future__ import annotations

import torch
from torch import Tensor

from .batches import Batches
from .collective import FlatGradients, Group
from .optimizers import weights_of
from .state import TrainingState
from .synchronised import synchronise
from .tally import Answers


class AutogradStep:
    """A step whose gradients autograd makes: of any network, anywhere.

    Args:
        state: what the step changes.
        batches: gives what each is on.
        dtype: in which the layers multiply.
    """

    def __init__(self, state: TrainingState, batches: Batches, dtype: torch.dtype) -> None:
        self._state, self._batches, self._dtype = state, batches, dtype
        self._penalised = weights_of(state.network)
        self._network, self._shared = state.network, None
        if isinstance(state.collective, Group):
            self._network = synchronise(state.network, state.collective)
            self._shared = FlatGradients(list(state.network.parameters()), state.collective)

    def losses(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Each example's weighted loss, float32 (n,), and whether it was answered right, bool (n,)."""
        x, labels, targets, weights = self._batches(index)
        with torch.autocast(x.device.type, self._dtype, enabled=self._dtype != torch.float32):
            logits = self._network(x)
        answers = Answers(logits.float(), labels, targets, weights)
        return self._state.tally.losses(answers), answers.right

    def __call__(self, index: Tensor) -> None:
        """Do the step on the examples at ``index``, of which each process of a group takes its part."""
        losses, right = self.losses(self._state.collective.part(index))
        self.clear_gradients()
        self.with_penalty(self.share_of_mean(losses, len(index))).backward()
        counts = self.average_gradients(self._state.tally.counts(losses, right))
        self._state.optimizer.step()
        self._state.tally.add(counts)

    def clear_gradients(self) -> None:
        """Begin a backward pass."""
        if self._shared is None:
            self._state.optimizer.zero_grad(set_to_none=True)
        else:
            self._shared.clear()

    def average_gradients(self, counts: Tensor) -> Tensor:
        """Make the gradients the mean of all processes'; ``counts`` of `Tally`, their sum over the processes."""
        return counts if self._shared is None else self._shared.average(counts)

    def share_of_mean(self, losses: Tensor, total: int) -> Tensor:
        """What this process adds to the mean of ``total`` losses, of which it has some: averaged over all, the mean."""
        return losses.mean() if len(losses) == total else losses.sum() * (self._state.collective.size / total)

    def with_penalty(self, loss: Tensor) -> Tensor:
        """``loss`` and what the recipe adds to it for large weights."""
        l1, l2 = self._state.recipe.l1, self._state.recipe.l2
        if l1:
            loss = loss + l1 * torch.stack([weight.abs().sum() for weight in self._penalised]).sum()
        if l2:
            loss = loss + 0.5 * l2 * torch.stack([weight.square().sum() for weight in self._penalised]).sum()
        return loss
