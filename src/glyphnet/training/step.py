"""One training step: forward, backward, update."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..nn import InputShape, summary
from .autograd import AutogradStep
from .batches import Batches
from .device import compute_dtype
from .fullbatch import AT_ONCE, FullBatchStep
from .graphed import GraphedStep
from .handwritten import Gradients, HandwrittenStep
from .recipe import Recipe
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


def flops_a_step(recipe: Recipe, input_shape: InputShape, classes: int, examples: int, processes: int = 1) -> int:
    """Forward work of one step on so many examples, in FLOPs: of each process, and of what is in it at one time."""
    images = min(AT_ONCE if recipe.optimizer.full_batch else recipe.batch_size, examples)
    return summary(recipe.network, input_shape, classes).flops * (images // processes)


def dtype_of(recipe: Recipe, device: torch.device, flops: int) -> torch.dtype:
    """In which the layers multiply, in steps of so many `flops_a_step`."""
    if recipe.precision == "auto" and recipe.optimizer.full_batch:
        return torch.float32  # a line search compares losses that bfloat16 would round to the same number
    return compute_dtype(recipe.precision, device, flops)


def set_learning_rate(state: TrainingState, factor: float) -> None:
    """Set every parameter group's rate to its full rate times ``factor``; where a graph reads it, in place."""
    for group, full in zip(state.optimizer.param_groups, state.full_rates, strict=True):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(full * factor)
        else:
            group["lr"] = full * factor
