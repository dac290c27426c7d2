"""GlyphNet's training loop as a scikit-learn classifier."""

from .estimator import GlyphClassifier

__all__ = ["GlyphClassifier"]
