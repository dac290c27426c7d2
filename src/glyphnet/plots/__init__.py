"""Plots of results: functions over plain arrays that return Matplotlib axes.

Each takes ``ax``, the axes to draw into. Without it a new pyplot figure is made, as scikit-learn's Displays do, so
that notebooks show it and ``plt.show()`` finds it. A program that makes many plots passes its own axes
(``matplotlib.figure.Figure().subplots()``), which pyplot does not keep alive.
"""

from .curves import accuracy_by_corruption, confidence_histogram, coverage, learning_curves, reliability
from .matrices import class_figures, confused_pairs, confusion_matrix, gallery

__all__ = [
    "accuracy_by_corruption",
    "class_figures",
    "confidence_histogram",
    "confused_pairs",
    "confusion_matrix",
    "coverage",
    "gallery",
    "learning_curves",
    "reliability",
]
