"""With and without dropout: known system 5, and the convolutional network that it promises."""

from .lab import LAB

__all__ = ["LAB"]
