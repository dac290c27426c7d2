"""The network written from scratch, on MNIST: known system 2, its gradient doubted, its over-fitting shown."""

from .lab import LAB

__all__ = ["LAB"]
