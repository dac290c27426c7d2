"""PyTorch's optimizers without the way to its compiler.

When an optimizer is made, and at each of its steps, ``torch.optim`` imports the compiler, only to tell it to leave the
optimizer alone. That takes as long as importing PyTorch itself, and nothing here is compiled.
"""

from __future__ import annotations

import inspect
from typing import TypeVar, cast

import torch

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)

_WRAPPED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def without_dynamo(kind: type[Kind]) -> type[Kind]:
    """A subclass of an optimizer's class that does the same, but for ``differentiable=True``, and loads no compiler.

    Its methods are PyTorch's own, out of their wrapping; from a PyTorch that wraps them in another way they come as
    they are, and only the time is lost.
    """
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in _WRAPPED}
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return cast("type[Kind]", type(kind.__name__, (kind,), {**methods, "step": step}))
