"""The network from scratch: it computes with NumPy and SciPy alone and imports nothing else of GlyphNet.

`network` holds the formulas, the training, and the gradient check; `estimator` is the scikit-learn interface.
"""

from .estimator import NeuralNetMLP
from .network import GradientCheck, Weights

__all__ = ["GradientCheck", "NeuralNetMLP", "Weights"]
