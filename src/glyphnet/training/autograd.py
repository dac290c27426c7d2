"""The step that goes through PyTorch's autograd."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor, nn

from .batches import Batches
from .distributed import own_part, share_of_mean
from .optimizers import weights_of
from .state import TrainingState
from .synchronised import as_one
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

    @cached_property
    def _network(self) -> nn.Module:
        """What a batch goes through; made at the first step, to which all processes of a group come together."""
        return as_one(self._state.network)

    def losses(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Each example's weighted loss, float32 (n,), and whether it was answered right, bool (n,)."""
        x, labels, targets, weights = self._batches(index)
        with torch.autocast(x.device.type, self._dtype, enabled=self._dtype != torch.float32):
            logits = self._network(x)
        answers = Answers(logits.float(), labels, targets, weights)
        return self._state.tally.losses(answers), answers.right

    def __call__(self, index: Tensor) -> None:
        """Do the step on the examples at ``index``, of which each process of a group takes its part."""
        losses, right = self.losses(own_part(index))
        self._state.optimizer.zero_grad(set_to_none=True)
        self.with_penalty(share_of_mean(losses, len(index))).backward()
        self._state.optimizer.step()
        self._state.tally.count(losses, right)

    def with_penalty(self, loss: Tensor) -> Tensor:
        """``loss`` and what the recipe adds to it for large weights."""
        l1, l2 = self._state.recipe.l1, self._state.recipe.l2
        if l1:
            loss = loss + l1 * torch.stack([weight.abs().sum() for weight in self._penalised]).sum()
        if l2:
            loss = loss + 0.5 * l2 * torch.stack([weight.square().sum() for weight in self._penalised]).sum()
        return loss
