"""Products of matrices where nobody asks for gradients, by the library that is quickest on this processor.

PyTorch multiplies float32 by Intel's MKL, which on AMD's processors uses half of AVX-512's width. oneDNN, which PyTorch
takes for convolutions, uses all of it: there it multiplied 50×784 by 784×784 in 0.26 ms instead of 0.57, one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

WORTHWHILE = 4e6
"""FLOPs from which a product by oneDNN is the quicker one: to call it takes 9 µs more."""


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a·b + bias, to within rounding.

    Args:
        a: (M, K), in any order; quickest row by row in memory.
        b: (K, N), in any order.
        bias: (N,), added to each row.

    Returns:
        (M, N), row by row.
    """
    if 2 * a.size(0) * b.numel() >= WORTHWHILE and (by_onednn := _linear_for(a)) is not None:
        return by_onednn(a.contiguous(), b.t(), bias)  # it would take twice the time to turn the matrix round itself
    return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)


def uses_onednn() -> bool:
    """Whether large products of float32 go to oneDNN, on this processor."""
    return _linear() is not None


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


# Which processor this is


@cache
def processor_vendor() -> str:
    """The processor's maker as Linux names it ("AuthenticAMD", "GenuineIntel"), or ""."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), "")
