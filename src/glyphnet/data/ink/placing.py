"""Sizes and places: the working size, the box of the training images, the centre in the image."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..dataset import UInt8Array
from ..decode import ImageShape
from .measure import mass_centres
from .resampling import resized
from .spec import InkSpec

SMALLEST, LARGEST = 160, 320  # of the longer side while working: enough for smooth edges, few enough to be quick


def at_working_size(grey: UInt8Array) -> UInt8Array:
    """A picture (h, w) enlarged or reduced by a whole factor; step 3."""
    height, width = grey.shape
    longest = max(height, width)
    if longest < SMALLEST:
        factor = -(-SMALLEST // longest)
        return resized(grey, height * factor, width * factor, Image.Resampling.BICUBIC)
    if longest <= LARGEST:
        return grey
    factor = -(-longest // LARGEST)
    height, width = max(1, height // factor), max(1, width // factor)
    return resized(grey[: height * factor, : width * factor], height, width, Image.Resampling.BOX)


def size_in_box(height: int, width: int, box: tuple[int, int]) -> tuple[int, int]:
    """The size (height, width) in which something fills the box in one direction, its proportions kept."""
    tall, wide = box
    if height * wide >= width * tall:
        return tall, max(1, (2 * width * tall + height) // (2 * height))
    return max(1, (2 * height * wide + width) // (2 * width)), wide


def placed(patch: UInt8Array, spec: InkSpec, image_shape: ImageShape, around: int) -> UInt8Array:
    """The patch (h, w) in the middle of an image (H, W) of level ``around``; its mass is what differs from that."""
    height, width = patch.shape
    middle_y, middle_x = height / 2, width / 2
    mass = np.abs(patch.astype(np.int32) - around)
    if spec.centring == "mass" and mass.any():
        middle_y, middle_x = mass_centres(mass[np.newaxis])[:, 0].tolist()
    top = min(max(int(np.floor(spec.centre[0] - middle_y + 0.5)), 0), image_shape[0] - height)
    left = min(max(int(np.floor(spec.centre[1] - middle_x + 0.5)), 0), image_shape[1] - width)
    whole = np.full(image_shape[:2], around, dtype=np.uint8)
    whole[top : top + height, left : left + width] = patch
    return whole
