"""A small network on 8×8 digits by numerical optimisation. Known system 1, and what it did not show."""

from .lab import LAB

__all__ = ["LAB"]
