"""Labelled images, from files to arrays. Knows no torch; what few sources need is imported on use."""

# In full rather than on demand: `load` and `inspect` are modules as well, and the later import would win.
from .dataset import ImageDataset, Splits
from .decode import fit_image
from .inspect import DataReport, Finding, inspect, look_over
from .load import load

__all__ = [
    "DataReport",
    "Finding",
    "ImageDataset",
    "Splits",
    "fit_image",
    "inspect",
    "load",
    "look_over",
]
