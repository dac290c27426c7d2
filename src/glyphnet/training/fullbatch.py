"""The step of optimizers that look at all examples at once, perhaps several times."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .autograd import AutogradStep
from .batches import Batch, Batches
from .fast.step import Gradients
from .state import TrainingState

AT_ONCE = 4096
"""Images of a full batch that are in the network at one time."""


class _Look(NamedTuple):
    """What one look at all examples has shown; the gradients are the parameters' own.

    Attributes:
        loss: the mean, penalties included: float32 ().
        losses: weighted, of each example: float32 (n,).
        right: tells which were answered right: bool (n,).
    """

    loss: Tensor
    losses: Tensor
    right: Callable[[], Tensor]


class FullBatchStep:
    """A step of such an optimizer, with autograd's gradients, or with those written out where there are such.

    It needs no random numbers: such optimizers allow nothing that is drawn.

    Args:
        autograd: from examples to losses.
        state: what the step changes.
        batches: gives what each look is at.
        dtype: in which the layers multiply.
    """

    def __init__(self, autograd: AutogradStep, state: TrainingState, batches: Batches, dtype: torch.dtype) -> None:
        self._autograd, self._state, self._batches, self._optimizer = autograd, state, batches, state.optimizer
        by_hand = Gradients.suits(state, dtype) and len(batches.examples) <= AT_ONCE
        self._gradients = Gradients(state.network, state.recipe) if by_hand else None
        self._whole: Batch | None = None
        self._last: _Look | None = None
        self._looked_at = torch.empty(0)  # the weights at which `_last` was seen
        self._parameters = list(state.network.parameters())

    def __call__(self, index: Tensor) -> None:
        """Do the step on the examples at ``index``: all of them."""
        start = self._weights()
        calls = 0

        def closure() -> Tensor:
            nonlocal calls
            here = start if calls == 0 else self._weights()
            # A step mostly begins where the line search of the one before has looked last.
            if calls or self._last is None or not torch.equal(here, self._looked_at):
                self._looked_at = here
                self._last = self._look(index) if self._gradients is None else self._look_by_hand(index)
                for parameter in self._parameters:
                    if parameter.grad is not None:
                        parameter.grad = parameter.grad.contiguous()  # PyTorch's L-BFGS takes a view as one row
            if calls == 0:
                counts = self._state.tally.counts(self._last.losses, self._last.right())
                self._state.tally.add(self._state.collective.sum(counts))
            calls += 1
            return self._last.loss

        self._optimizer.step(closure)  # type: ignore[arg-type]  # it takes the tensor
        # Where it has not moved, the next step would begin where this one has, and so end there, too.
        self._state.converged = torch.equal(start, self._weights())

    def _weights(self) -> Tensor:
        """A copy of all weights: float (n,)."""
        return torch.cat([weight.detach().reshape(-1) for weight in self._parameters])

    def _look(self, index: Tensor) -> _Look:
        """Write the parameters' gradients, part by part."""
        self._autograd.clear_gradients()
        loss = self._autograd.with_penalty(torch.zeros((), device=self._state.device))
        if loss.requires_grad:
            loss.backward()
        value = loss.detach().clone()
        seen = []
        for part in index.tensor_split(-(-len(index) // AT_ONCE)):
            losses, right = self._autograd.losses(self._state.collective.part(part))
            share = losses.sum() * self._state.collective.size / len(index)
            share.backward()
            value += share.detach()
            seen.append((losses.detach(), right))
        value = self._autograd.average_gradients(value.expand(2))[0] / self._state.collective.size
        every, all_right = (torch.cat(each) for each in zip(*seen, strict=True))
        return _Look(value, every, lambda: all_right)

    @torch.no_grad()
    def _look_by_hand(self, index: Tensor) -> _Look:
        """The same in one part."""
        assert self._gradients is not None
        self._whole = self._whole or self._batches(index)
        answers = self._gradients.forward(self._whole)
        losses, gradient = self._state.recipe.loss.with_gradient(answers.logits, answers.targets)
        self._gradients.backward(answers, gradient)
        losses = answers.weighted(losses)
        return _Look(self._autograd.with_penalty(losses.mean()), losses, lambda: answers.right)
