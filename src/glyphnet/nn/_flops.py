"""Counting FLOPs as they are computed, by PyTorch's own formulas.

``torch.utils.flop_counter.FlopCounterMode`` counts alike, but imports PyTorch's compiler for it, which takes as long as
importing PyTorch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class FlopCounter(TorchDispatchMode):
    """Counts what is computed inside its block.

    Attributes:
        place: where the FLOPs that come next belong: a name, set from outside.
        flops: FLOPs by place.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's has no annotations
        self.place = ""
        self.flops: Counter[str] = Counter()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: it is for this that PyTorch would import its compiler."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Compute, and count what a formula is known for; what is made of other operations is taken apart."""
        kwargs = kwargs or {}
        formula = flop_registry.get(func._overloadpacket)
        if formula is None and func is not torch.ops.prim.device.default:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if formula is not None:
            self.flops[self.place] += formula(*args, **kwargs, out_val=result)
        return result
