"""Repeated figures as the labs' pages write them."""

from __future__ import annotations

from typing import Any


def percent(figure: dict[str, Any], digits: int = 2) -> str:
    """``97.83% ± 0.12``, as `Repeats.to_dict` has it: the mean and half its interval.

    Of one alone, and of some that came out all alike, the mean: ± 0.00 would be a boast.
    """
    mean = f"{100 * figure['mean']:.{digits}f}%"
    return mean if not figure["half_width"] else f"{mean} ± {100 * figure['half_width']:.{digits}f}"
