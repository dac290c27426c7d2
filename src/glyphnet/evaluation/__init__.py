"""Judging a classifier: its answers on labelled images, and every figure with how sure it is.

scikit-learn, and what of SciPy is slow to import, are imported where a figure needs them: a training begins without.
"""

from .calibration import (
    CoverageCurve,
    Rejection,
    ReliabilityBin,
    Sets,
    Thresholds,
    choose_threshold,
    choose_thresholds,
    fit_temperature,
)
from .confusions import ClassScores, Confusion
from .evaluate import accuracy_sentence, evaluate
from .evaluation import Evaluation
from .intervals import Figure, Interval, Paired, bootstrap_mean, paired, wilson
from .labels import LabelIssues, find_label_issues

__all__ = [
    "ClassScores",
    "Confusion",
    "CoverageCurve",
    "Evaluation",
    "Figure",
    "Interval",
    "LabelIssues",
    "Paired",
    "Rejection",
    "ReliabilityBin",
    "Sets",
    "Thresholds",
    "accuracy_sentence",
    "bootstrap_mean",
    "choose_threshold",
    "choose_thresholds",
    "evaluate",
    "find_label_issues",
    "fit_temperature",
    "paired",
    "wilson",
]
