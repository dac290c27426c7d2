"""Products of matrices where nobody asks for gradients, by the library that is quickest on this processor.

PyTorch multiplies float32 by Intel's MKL, which on AMD's processors uses half of AVX-512's width. oneDNN, which PyTorch
takes for convolutions, uses all of it: there it multiplied 50×784 by 784×784 in 0.26 ms instead of 0.57, one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from .processor import processor_vendor

WORTHWHILE = 4e6
"""FLOPs from which a product by oneDNN is the quicker one: to call it takes 9 µs more."""


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a·b + bias, to within rounding.

    Args:
        a: (M, K), best row by row in memory.
        b: (K, N), in any order.
        bias: (N,), added to each row.
    """
    if 2 * a.size(0) * b.numel() >= WORTHWHILE and (by_onednn := _linear_for(a)) is not None:
        return by_onednn(a, b.t(), bias)
    return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)


def product_into(out: Tensor, a: Tensor, b: Tensor) -> None:
    """Write a·b, to within rounding.

    Args:
        out: (M, N), row by row or column by column in memory.
        a: (M, K), in any order.
        b: (K, N), in any order.
    """
    # Three times as much: what is computed is copied, too.
    by_onednn = _linear_for(a) if 2 * a.size(0) * b.numel() >= 3 * WORTHWHILE else None
    height, width = out.shape
    if by_onednn is None:
        torch.mm(a, b, out=out)
    elif 2 * height <= width or (height < 2 * width and out.stride(1) == 1):
        out.copy_(by_onednn(a, b.t(), None))  # quickest for few rows; else as ``out`` lies
    else:
        out.t().copy_(by_onednn(b.t(), a, None))


_Linear = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""From x, w and b to x·wᵀ + b."""


def _linear_for(a: Tensor) -> _Linear | None:
    return _linear() if a.dtype == torch.float32 and a.device.type == "cpu" else None


@cache
def _linear() -> _Linear | None:
    """oneDNN's, where the processor is one on which that is quicker, and PyTorch has such a call."""
    if "AMD" not in processor_vendor() or not torch.cpu.get_capabilities().get("avx512_f"):
        return None
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return None
    call = torch.ops.mkldnn._linear_pointwise.default
    return lambda x, weight, bias: call(x, weight, bias, "none", [], "")
