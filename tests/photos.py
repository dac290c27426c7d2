"""Data whose training is all that they cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from glyphnet.data import ImageDataset, Splits


def as_photos(splits: Splits) -> Splits:
    """The same images, shaded from left to right, so that they are no drawings.

    How drawings are read is measured after each training in hundreds of images, which takes longer than most
    trainings here.
    """
    return replace(splits, **{name: _shaded(part) for name, part in splits})


def _shaded(part: ImageDataset) -> ImageDataset:
    shade = np.linspace(0, 127, part.images.shape[2]).astype(np.uint8)
    return replace(part, images=part.images // 2 + shade[:, None])
