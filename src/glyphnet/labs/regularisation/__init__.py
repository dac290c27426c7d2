"""What helps against learning by heart, and when: each remedy of known system 4 alone, and all together."""

from .lab import LAB

__all__ = ["LAB"]
