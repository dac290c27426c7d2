"""Judging a classifier: its answers on labelled images, and every figure with how sure it is."""

from .calibration import ReliabilityBin, choose_threshold, fit_temperature
from .evaluate import evaluate
from .evaluation import ClassScores, Confusion, Evaluation
from .intervals import Figure, Interval, bootstrap_mean, wilson

__all__ = [
    "ClassScores",
    "Confusion",
    "Evaluation",
    "Figure",
    "Interval",
    "ReliabilityBin",
    "bootstrap_mean",
    "choose_threshold",
    "evaluate",
    "fit_temperature",
    "wilson",
]
