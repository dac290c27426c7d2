"""The network from scratch: NumPy and SciPy compute, and nothing else of ours is imported.

`network` is to be read in one sitting: the formulas, and training by them. `gradientcheck` doubts it, `estimator` gives
it scikit-learn's manners, and `checks` says what is wrong with what it is given.
"""

from .estimator import NeuralNetMLP
from .gradientcheck import GradientCheck
from .network import Weights

__all__ = ["GradientCheck", "NeuralNetMLP", "Weights"]
