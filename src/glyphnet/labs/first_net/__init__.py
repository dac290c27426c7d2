"""The first network in a deep-learning framework: known system 4."""

from .lab import LAB

__all__ = ["LAB"]
