"""What convolution does, and what becomes of a shifted digit."""

from .lab import LAB

__all__ = ["LAB"]
