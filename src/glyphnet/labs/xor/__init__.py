"""How many hidden units does XOR need? Known system 3, over many starts at once."""

from .lab import LAB

__all__ = ["LAB"]
