"""Comparing: our presets beside the classical methods on the same data, or two saved models with each other.

Names are loaded when they are first used: the child processes that fit scikit-learn's methods need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .comparing import Watcher, compare
    from .comparison import Comparison, Row
    from .methods import DEFAULT_METHODS, METHODS, Method
    from .models import Difference, ModelComparison, compare_models

_HOMES = {
    "Watcher": ".comparing",
    "compare": ".comparing",
    "Comparison": ".comparison",
    "Row": ".comparison",
    "DEFAULT_METHODS": ".methods",
    "METHODS": ".methods",
    "Method": ".methods",
    "Difference": ".models",
    "ModelComparison": ".models",
    "compare_models": ".models",
}

__all__ = [
    "DEFAULT_METHODS",
    "METHODS",
    "Comparison",
    "Difference",
    "Method",
    "ModelComparison",
    "Row",
    "Watcher",
    "compare",
    "compare_models",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value
