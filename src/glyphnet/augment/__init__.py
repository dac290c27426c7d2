"""Augmentation: random changes of training images, computed on whole batches of tensors.

A new one is a function and a row in ``AUGMENTATIONS``; the contract tests then run on it.
"""

from .augmenter import AUGMENTATIONS, Augmentation, Augmenter, MixRow, PixelRow, WarpRow

__all__ = ["AUGMENTATIONS", "Augmentation", "Augmenter", "MixRow", "PixelRow", "WarpRow"]
