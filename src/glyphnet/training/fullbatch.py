"""The step of optimizers that look at all examples at once, perhaps several times."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .autograd import AutogradStep
from .batches import Batch, Batches
from .distributed import mean_of_all, own_part, world_size
from .handwritten import Gradients
from .state import TrainingState

AT_ONCE = 4096
"""Images of a full batch that are in the network at one time."""


class _Look(NamedTuple):
    """What one look at all examples has shown; the gradients are the parameters' own."""

    weights: list[Tensor]
    losses: Tensor
    loss: Tensor
    right: Tensor


class FullBatchStep:
    """A step of such an optimizer, with autograd's gradients, or with those written out where there are such.

    Args:
        autograd: from examples to losses.
        state: what the step changes.
        batches: gives what each look is at.
        dtype: in which the layers multiply.
    """

    def __init__(self, autograd: AutogradStep, state: TrainingState, batches: Batches, dtype: torch.dtype) -> None:
        self._autograd, self._state, self._batches = autograd, state, batches
        self._weights = list(state.network.parameters())
        by_hand = Gradients.suits(state, dtype) and len(batches.examples) <= AT_ONCE
        self._gradients = Gradients(state) if by_hand else None
        self._whole: Batch | None = None
        self._last: _Look | None = None

    def __call__(self, index: Tensor) -> None:
        """Do the step on the examples at ``index``: all of them."""
        first = True

        def closure() -> Tensor:
            nonlocal first
            loss = self._look(index, first) if self._gradients is None else self._look_by_hand(index, first)
            first = False
            return loss

        before = self._copy_of_weights()
        self._state.optimizer.step(closure)  # type: ignore[arg-type]  # torch types the closure as returning a float
        # The next step would begin where this one has, and so end there too.
        self._state.converged = self._weights_are(before)

    def _look(self, index: Tensor, count: bool) -> Tensor:
        """The loss of all examples, part by part; writes the parameters' gradients."""
        self._state.optimizer.zero_grad(set_to_none=True)
        loss = self._autograd.with_penalty(torch.zeros((), device=self._state.device))
        if loss.requires_grad:
            loss.backward()
        value = loss.detach().clone()
        for part in index.tensor_split(-(-len(index) // AT_ONCE)):
            losses, right = self._autograd.losses(own_part(part))
            share = losses.sum() * world_size() / len(index)
            share.backward()
            value += share.detach()
            if count:
                self._state.tally.count(losses, right)
        return mean_of_all(value)

    @torch.no_grad()
    def _look_by_hand(self, index: Tensor, count: bool) -> Tensor:
        """The same in one part; what the last look has found, where it was at the same weights.

        It mostly was when a step begins, for the line search of the one before has ended there.
        """
        if self._last is None or not self._weights_are(self._last.weights):
            assert self._gradients is not None
            self._whole = self._whole or self._batches(index)  # such optimizers allow nothing that is drawn at random
            answers = self._gradients.of(self._whole)
            losses = self._state.tally.losses(answers)
            loss = self._autograd.with_penalty(losses.mean())
            self._last = _Look(self._copy_of_weights(), losses, loss, answers.right)
        if count:
            self._state.tally.count(self._last.losses, self._last.right)
        return self._last.loss

    def _copy_of_weights(self) -> list[Tensor]:
        return [weight.detach().clone() for weight in self._weights]

    def _weights_are(self, these: list[Tensor]) -> bool:
        return all(map(torch.equal, self._weights, these))
