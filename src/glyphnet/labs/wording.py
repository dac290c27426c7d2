"""Numbers as the pages write them."""

from __future__ import annotations

from ..plots.style import THIN


def percent(share: float, digits: int = 0) -> str:
    """A share as the house writes it: 0.955 is "95.5 %" with one digit."""
    return f"{100 * share:.{digits}f}{THIN}%"
