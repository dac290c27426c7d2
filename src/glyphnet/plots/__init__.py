"""Pictures of figures: functions over plain arrays that return Matplotlib axes.

Each takes ``ax``, the axes to draw into. Without it a new pyplot figure is made, as scikit-learn's Displays do, so
that notebooks show it and ``plt.show()`` finds it. A program that makes many passes axes of its own
(``matplotlib.figure.Figure().subplots()``): then pyplot keeps nothing.
"""

from .calibration import confidence_histogram, coverage, reliability
from .classes import class_figures
from .confusions import confused_pairs, confusion_matrix
from .gallery import gallery
from .history import learning_curves

__all__ = [
    "class_figures",
    "confidence_histogram",
    "confused_pairs",
    "confusion_matrix",
    "coverage",
    "gallery",
    "learning_curves",
    "reliability",
]
