"""One training step: forward, backward, update."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor, nn

from .batches import Batches
from .distributed import mean_of_all, own_part, share_of_mean, world_size
from .graphed import GraphedStep
from .handwritten import Gradients, HandwrittenStep
from .optimizers import weights_of
from .state import TrainingState
from .synchronised import as_one

Step = Callable[[Tensor], None]
"""Takes the indices of a batch, int64 (n,), on the training's device."""

FULL_BATCH_PART = 4096
"""Images of a full batch that are in the network at one time."""


class Steps:
    """The steps of one training, with autograd's gradients, or with those written out where there are such.

    Args:
        state: what the steps change.
        batches: gives what each looks at.
        dtype: in which the layers multiply.
    """

    def __init__(self, state: TrainingState, batches: Batches, dtype: torch.dtype) -> None:
        self._state, self._batches, self._dtype = state, batches, dtype
        self._penalised = weights_of(state.network)
        by_hand = state.recipe.optimizer.full_batch and Gradients.suits(state, dtype)
        self._gradients = Gradients(state, batches) if by_hand else None

    @cached_property
    def _network(self) -> nn.Module:
        """What a batch goes through; made at the first step, to which all processes of a group come together."""
        return as_one(self._state.network)

    def losses(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Each example's weighted loss, float32 (n,), and whether it was answered right, bool (n,)."""
        x, labels, targets, weights = self._batches(index)
        with torch.autocast(x.device.type, self._dtype, enabled=self._dtype != torch.float32):
            logits = self._network(x)
        logits = logits.float()
        losses = self._state.recipe.loss.per_image(logits, targets)
        return losses if weights is None else losses * weights, logits.detach().argmax(1) == labels

    def descend(self, index: Tensor) -> None:
        """One step of the optimizer on one batch, of which each process of a group takes its part."""
        losses, right = self.losses(own_part(index))
        self._state.optimizer.zero_grad(set_to_none=True)
        self._with_penalty(share_of_mean(losses, len(index))).backward()
        self._state.optimizer.step()
        self._state.tally.count(losses, right)

    def descend_on_all(self, index: Tensor) -> bool:
        """One step of a full-batch optimizer, which may look at the loss several times; false if it found none."""
        state, total = self._state, len(index)
        parts = index.tensor_split(-(-total // FULL_BATCH_PART))
        first_look = True

        def closure() -> Tensor:
            nonlocal first_look
            if self._gradients is not None and len(parts) == 1:
                with torch.no_grad():
                    answers = self._gradients.of(index)
                    if first_look:
                        state.tally.count_later(answers)
                    first_look = False
                    return self._with_penalty(state.tally.losses(answers).mean())
            state.optimizer.zero_grad(set_to_none=True)
            loss = self._with_penalty(torch.zeros((), device=state.device))
            if loss.requires_grad:
                loss.backward()
            value = loss.detach().clone()
            for part in parts:
                losses, right = self.losses(own_part(part))
                share = losses.sum() * world_size() / total
                share.backward()
                value += share.detach()
                if first_look:
                    state.tally.count(losses, right)
            first_look = False
            return mean_of_all(value)

        before = _steps_taken(state.optimizer)
        state.optimizer.step(closure)  # type: ignore[arg-type]  # torch types the closure as returning a float
        return _steps_taken(state.optimizer) > before

    def _with_penalty(self, loss: Tensor) -> Tensor:
        l1, l2 = self._state.recipe.l1, self._state.recipe.l2
        if l1:
            loss = loss + l1 * torch.stack([weight.abs().sum() for weight in self._penalised]).sum()
        if l2:
            loss = loss + 0.5 * l2 * torch.stack([weight.square().sum() for weight in self._penalised]).sum()
        return loss


def _steps_taken(optimizer: torch.optim.Optimizer) -> int:
    """How many iterations a full-batch optimizer has done; it does none once the gradient is small enough."""
    return max((int(slots.get("n_iter", 0)) for slots in optimizer.state.values()), default=0)


def make_step(steps: Steps, state: TrainingState, batches: Batches, dtype: torch.dtype) -> Step:
    """The quickest way to do a step: captured in a CUDA graph, or with passes written out, where either is possible."""
    if world_size() > 1:
        return steps.descend
    if state.device.type == "cuda" and state.recipe.optimizer.capturable and batches.examples.inputs.is_cuda:
        return GraphedStep(steps.descend, state)
    if Gradients.suits(state, dtype) and not state.recipe.optimizer.full_batch:
        return HandwrittenStep(state, batches)
    return steps.descend


def set_learning_rate(state: TrainingState, factor: float) -> None:
    """Set every parameter group's rate to its full rate times ``factor``; where a graph reads it, in place."""
    for group, full in zip(state.optimizer.param_groups, state.full_rates, strict=True):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(full * factor)
        else:
            group["lr"] = full * factor
