"""Augmentation: random changes of training images, done in whole batches on the tensors.

Adding one is a function and a row in ``table.py``; the contract tests then run on it.
"""

from .augmenter import Augmenter
from .table import AUGMENTATIONS, Augmentation, MixRow, PixelRow, WarpRow

__all__ = ["AUGMENTATIONS", "Augmentation", "Augmenter", "MixRow", "PixelRow", "WarpRow"]
