"""Muon: the averaged gradient of each matrix, orthogonalised.

After Jordan et al., 2024, "Muon: An optimizer for hidden layers in neural networks"
(https://kellerjordan.github.io/posts/muon/). PyTorch's own does the same in bfloat16, which few processors multiply
quickly, and on the whole matrix in each iteration: here that took three to five times as long.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from .fast.layers import product

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of x, x³ and x⁵: they bring singular values near 1 in few iterations, not exactly to it (Jordan et al.)."""

ITERATIONS = 5


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix with the same singular vectors, and singular values between 0.68 and 1.21.

    Those below 0.003 of the root of the sum of their squares come out smaller.

    Each iteration takes X to a·X + b·(X·Xᵀ)·X + c·(X·Xᵀ)²·X. So every X is some Q times the first one, with a Q that
    depends on the first X·Xᵀ alone: the iterations continue with the small square matrices.

    Args:
        matrix: float (M, N), or several as (B, M, N), each by itself.
    """
    is_wide = matrix.shape[-2] <= matrix.shape[-1]
    wide = matrix if is_wide else matrix.mT
    wide = wide / wide.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    a, b, c = COEFFICIENTS
    times, add_times = (product, torch.addmm) if matrix.ndim == 2 else (torch.bmm, torch.baddbmm)
    first = gram = times(wide, wide.mT)
    factor = torch.eye(first.shape[-1], dtype=first.dtype, device=first.device).expand_as(first)
    for iteration in range(ITERATIONS):
        if iteration:
            gram = times(times(factor, first), factor)
        change = add_times(gram, gram, gram, beta=b, alpha=c)
        factor = add_times(factor, change, factor, beta=a)
    result = times(factor, wide)
    return result if is_wide else result.mT


Kind = TypeVar("Kind", bound=torch.optim.Optimizer)

_WRAPPED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def without_dynamo(kind: type[Kind]) -> type[Kind]:
    """A subclass of an optimizer's class that loads no compiler; ``differentiable=True`` is not supported.

    Its methods are PyTorch's own, out of their wrapping; from a PyTorch that wraps them in another way they come as
    they are, and only the time is lost.
    """
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in _WRAPPED}
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return cast("type[Kind]", type(kind.__name__, (kind,), {**methods, "step": step}))


@without_dynamo
class Muon(torch.optim.Optimizer):
    """Muon on weights of two dimensions or more, each seen as by `as_matrix`.

    Args:
        weights: what it changes.
        lr: the length of a step, as a number or a tensor that a CUDA graph reads; where a matrix is higher than wide,
            times the root of how much higher.
        momentum: share of the averaged gradient that stays at each step.
        nesterov: look ahead by the momentum.
        weight_decay: share of each weight, times the learning rate, that every step takes away.
    """

    def __init__(
        self, weights: Iterable[nn.Parameter], *, lr: float | Tensor, momentum: float, nesterov: bool,
        weight_decay: float,
    ) -> None:  # fmt: skip
        settings = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        super().__init__(weights, settings)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step by the gradients that are there."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._change(weight, weight.grad, group)

    def _change(self, weight: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        slots, rate, momentum = self.state[weight], group["lr"], group["momentum"]
        if not slots:
            slots["momentum_buffer"] = torch.zeros_like(weight)
        average = slots["momentum_buffer"].lerp_(gradient, 1 - momentum)
        direction = as_matrix(gradient.lerp(average, momentum) if group["nesterov"] else average, weight)
        height, width = direction.shape[-2:]
        matrix = as_matrix(weight.detach(), weight)
        matrix.mul_(1 - rate * group["weight_decay"])
        matrix.sub_(orthogonal(direction).mul_(rate * max(1.0, height / width) ** 0.5))


def as_matrix(tensor: Tensor, weight: Tensor) -> Tensor:
    """``tensor`` as (rows, everything else), in the order in which ``weight`` lies in memory: of itself, a view.

    What has three dimensions is several matrices, and stays.
    """
    if weight.ndim == 3:
        return tensor
    if weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        tensor = tensor.permute(0, 2, 3, 1)
    return tensor.reshape(tensor.shape[0], -1)


@without_dynamo
class Together(torch.optim.Optimizer):
    """Optimizers of different parameters that step as one: groups and state are those of its ``parts``."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts
        groups = [group for part in parts for group in part.param_groups]
        super().__init__([parameter for group in groups for parameter in group["params"]], {})
        self._take_over()

    def _take_over(self) -> None:
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    @property
    def state(self) -> defaultdict[Tensor, Any]:
        """What the parts keep of their parameters."""
        return defaultdict(dict, {each: slots for part in self.parts for each, slots in part.state.items()})

    @state.setter
    def state(self, value: object) -> None:
        """Nothing: `torch.optim.Optimizer` begins with an empty one."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step of each part."""
        for part in self.parts:
            part.step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """The parts' states, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._take_over()
