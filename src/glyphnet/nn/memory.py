"""How the process keeps its memory."""

from __future__ import annotations

import ctypes
import platform
import sys
from functools import cache


@cache
def keep_freed_memory() -> None:
    """Let glibc keep the memory that is freed, once for this process.

    Otherwise each large temporary is given back to the kernel and each next one faults its pages in anew, which
    was seen to cost up to half of a training step or of a prediction. Elsewhere than on glibc this does nothing.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, mmap_threshold = -1, -3
    mallopt(trim_threshold, 1 << 30)
    mallopt(mmap_threshold, 1 << 30)
