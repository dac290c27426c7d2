"""Which processor this is."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def processor_vendor() -> str:
    """The processor's maker as Linux tells it ("AuthenticAMD", "GenuineIntel"), or ""."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), "")
