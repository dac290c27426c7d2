"""From any form of picture to batches of pixels of the model's shape."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from .data.dataset import ImageDataset, UInt8Array
from .data.decode import ImageShape, picture_from_bytes, read_picture
from .data.ink import InkSpec, NoDrawing, Normalized, normalize_picture
from .errors import DataError

AnyArray: TypeAlias = npt.NDArray[np.generic]
OneImage: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | AnyArray
Images: TypeAlias = OneImage | ImageDataset | Iterable[OneImage]
"""What can be classified: see `image_batches`."""

_ACCEPTED = "a uint8 array, a PIL image, the path or the bytes of an image file, a list of these, or an ImageDataset"
_BATCH_VALUES = 1 << 20  # pixels in a batch, times channels: the network's activations are many times as large


class Batch(NamedTuple):
    """Some images, as the network sees them.

    Attributes:
        pixels: uint8 (n, H, W, C).
        reasons: for each image, why its pixels cannot be trusted, or None: see `data.ink.Normalized`.
    """

    pixels: UInt8Array
    reasons: list[NoDrawing | None]

    @classmethod
    def of(cls, images: list[Normalized]) -> Batch:
        """One batch of single images of the same shape."""
        return cls(np.stack([image.pixels for image in images]), [image.reason for image in images])


def default_batch_size(image_shape: ImageShape) -> int:
    """Images a batch: large enough to be quick, small enough for the activations of large images."""
    return max(1, min(512, _BATCH_VALUES // int(np.prod(image_shape))))


def image_batches(
    images: Images, image_shape: ImageShape, batch_size: int, ink: InkSpec | None = None
) -> Iterator[Batch]:
    """Batches of at most ``batch_size`` images of ``image_shape`` (H, W, C).

    One batch at a time is in memory: a memory-mapped array, or a generator of paths, may be of any length.

    Args:
        images: one of

            - an ImageDataset;
            - a uint8 array (N, H, W, C), or (N, H, W) for N grey images, or one image, (H, W) or (H, W, C);
              with three axes the model's own height and width in the last two mean N grey images, and
              otherwise 1, 3 or 4 at the end are the channels of one image;
            - a PIL image, the path of an image file (str or Path), or the file's content (bytes);
            - an iterable of single images, each any of these.

            Arrays of the shape (H, W, C) are taken as they are. Arrays of another, and all pictures, are made like
            the training images: `data.ink.normalize_picture`.
        ink: how the training images look; None: pictures are only resized, as in training.

    Raises:
        DataError: something that is no image, or an array of another dtype or shape.
        BadFileError: a file that cannot be decoded.
    """
    if isinstance(images, ImageDataset):
        images = images.images
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OU":
        array = _as_many(_eight_bits(images), image_shape)
        for start in range(0, len(array), batch_size):
            part = array[start : start + batch_size]
            if part.shape[1:] == image_shape:
                yield Batch(part, [None] * len(part))
            else:
                yield Batch.of([_fit(one, image_shape, ink) for one in part])
        return
    if isinstance(images, (str, os.PathLike, bytes, Image.Image)):
        images = [images]
    if not isinstance(images, Iterable):
        raise _no_image(images)
    remaining = iter(images)
    while batch := [_one(item, image_shape, ink) for item in islice(remaining, batch_size)]:
        yield Batch.of(batch)


def _as_many(array: UInt8Array, image_shape: ImageShape) -> UInt8Array:
    """The array as (N, h, w, c), without a copy."""
    match array.shape:
        case (_, _, _, 1 | 3 | 4):
            return array
        case (_, height, width) if (height, width) == image_shape[:2]:
            return array[..., np.newaxis]
        case (_, _, 1 | 3 | 4):
            return array[np.newaxis]
        case (_, _, _):
            return array[..., np.newaxis]
        case (_, _):
            return array[np.newaxis, ..., np.newaxis]
    raise DataError(
        f"An array of shape {array.shape} holds no images: give (N, height, width, channels), "
        "(N, height, width), or one image (height, width) or (height, width, channels)."
    )


def _one(item: object, image_shape: ImageShape, ink: InkSpec | None) -> Normalized:
    """The pixels of a single image."""
    if isinstance(item, np.ndarray):
        array = _eight_bits(item)
        if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4)):
            return _fit(array if array.ndim == 3 else array[..., np.newaxis], image_shape, ink)
        raise DataError(
            f"An array of shape {item.shape} in a list is not one image: give (height, width) or "
            "(height, width, channels) with 1, 3 or 4 channels."
        )
    if isinstance(item, Image.Image):
        return normalize_picture(item, ink, image_shape)
    if isinstance(item, bytes):
        return normalize_picture(picture_from_bytes(item, "image"), ink, image_shape)
    if isinstance(item, (str, os.PathLike)):
        return normalize_picture(read_picture(item), ink, image_shape)
    raise _no_image(item)


def _fit(array: UInt8Array, image_shape: ImageShape, ink: InkSpec | None) -> Normalized:
    """One image (h, w, c) in the model's size and colour."""
    if array.shape == image_shape:
        return Normalized(array)
    if array.size == 0:
        raise DataError(f"An image of shape {array.shape} has no pixels.")
    return normalize_picture(array, ink, image_shape)


def _eight_bits(array: AnyArray) -> UInt8Array:
    if array.dtype == np.uint8:
        return array  # type: ignore[return-value]  # mypy does not follow dtypes
    raise DataError(
        f"Images must be uint8, 0 black to 255 white, not {array.dtype}: which of its values is white cannot "
        "be known. If it is 1: (images * 255).round().astype('uint8')."
    )


def _no_image(value: object) -> DataError:
    return DataError(f"A {type(value).__name__} is no image. Give {_ACCEPTED}.")
