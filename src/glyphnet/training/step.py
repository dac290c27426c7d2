"""One training step: forward, backward, update."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .autograd import AutogradStep
from .batches import Batches
from .fast.step import Gradients, HandwrittenStep
from .fullbatch import FullBatchStep
from .graphed import GraphedStep
from .state import TrainingState

Step = Callable[[Tensor], None]
"""Takes the indices of a batch, int64 (n,), on the training's device."""


def make_step(state: TrainingState, batches: Batches, dtype: torch.dtype) -> Step:
    """The quickest way to do a step: captured in a CUDA graph, or with passes written out, where either is possible.

    Args:
        state: what the step changes.
        batches: gives what each is on.
        dtype: in which the layers multiply.
    """
    step = AutogradStep(state, batches, dtype)
    if state.recipe.optimizer.full_batch:
        return FullBatchStep(step, state, batches, dtype)
    if state.collective.size > 1:
        return step
    if state.device.type == "cuda" and state.recipe.optimizer.capturable and batches.examples.inputs.is_cuda:
        return GraphedStep(step, state)
    return HandwrittenStep(state, batches) if Gradients.suits(state, dtype) else step


def set_learning_rate(state: TrainingState, factor: float) -> None:
    """Set every parameter group's rate to its full rate times ``factor``; where a graph reads it, in place."""
    for group, full in zip(state.optimizer.param_groups, state.full_rates, strict=True):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(full * factor)
        else:
            group["lr"] = full * factor
