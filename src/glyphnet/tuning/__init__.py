"""Tuning: a search over settings of a recipe, by Optuna, and the training of the winner.

Names are loaded when they are first used: ``glyphnet --help`` waits neither for torch nor for Optuna.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .results import Importance, TestResult, Trial, Tuning
    from .space import Choice, Range, Space
    from .tuning import tune
    from .watching import Standing, Watcher

_HOMES = {
    "Importance": ".results",
    "TestResult": ".results",
    "Trial": ".results",
    "Tuning": ".results",
    "Choice": ".space",
    "Range": ".space",
    "Space": ".space",
    "tune": ".tuning",
    "Standing": ".watching",
    "Watcher": ".watching",
}

__all__ = [
    "Choice",
    "Importance",
    "Range",
    "Space",
    "Standing",
    "TestResult",
    "Trial",
    "Tuning",
    "Watcher",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value
