"""Fully connected, convolutional, recurrent: three kinds of network on the same images."""

from .lab import LAB

__all__ = ["LAB"]
