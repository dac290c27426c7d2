"""Tuning: a search over the settings of a recipe, with Optuna, and the training of the winner."""

from .results import TestResult, Trial, Tuning
from .space import Choice, Range, Space
from .tuning import SearchCallback, SearchProgress, tune

__all__ = [
    "Choice",
    "Range",
    "SearchCallback",
    "SearchProgress",
    "Space",
    "TestResult",
    "Trial",
    "Tuning",
    "tune",
]
