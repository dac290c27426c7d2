"""The two nouns of this floor: a set of labelled images, and its division into splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import DataError
from ..units import fault_of
from .values import STANDARD, Reading, ValueRange

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]

_HASHED_AT_ONCE = 16 * 1024 * 1024  # bytes


def size_in_words(height: int, width: int) -> str:
    """ "28×28", or "24×32 (height × width)" where the order matters: height first, as ``--size`` reads it."""
    return f"{height}×{width}" + (" (height × width)" if height != width else "")


@dataclass(frozen=True, eq=False)
class Originals:
    """The pictures of a data set as they were before they were brought to one size.

    Attributes:
        read: returns the picture called by a name: a PIL image, or uint8 (h, w, c). Several threads call it.
        key: another one whenever a picture is another; "" where that is not known.
    """

    read: Callable[[str], Image.Image | UInt8Array]
    key: str = ""


class BadFile(NamedTuple):
    """A file that cannot be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False, repr=False)
class ImageDataset:
    """Labelled images of one size.

    Attributes:
        images: uint8 (N, H, W, C), C 1 (grey) or 3 (RGB); in memory, or a read-only memory map.
        labels: int64 (N,), each in [0, K).
        classes: the K class names, in label order.
        names: N strings: where each image came from (a path relative to the data's root, or ``train/00042``).
        originals: the pictures before they were brought to one size; None: ``images`` are the originals.
        groups: int64 (N,), images with the same number belong together (frames of a track, tiles of a slide) and
            stay in one part of every division, whatever part they are in; None where nothing is known of that.

    Raises:
        DataError: the parts do not fit together; the message says which.
    """

    images: UInt8Array
    labels: Int64Array
    classes: tuple[str, ...]
    names: Sequence[str]
    _: KW_ONLY
    originals: Originals | None = None
    groups: Int64Array | None = None

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
            raise DataError(
                f"images must be uint8 of shape (N, H, W, 1 or 3), not {images.dtype} of shape {images.shape}."
            )
        if labels.dtype != np.int64 or labels.shape != (len(images),):
            raise DataError(
                f"labels must be int64 of shape ({len(images)},), one an image, "
                f"not {labels.dtype} of shape {labels.shape}."
            )
        for name in self.classes:
            if fault := fault_of(name):
                raise DataError(f"{name[:40]!r} cannot be the name of a class: {fault}. Rename it.")
        if len(self.names) != len(images):
            raise DataError(f"{len(self.names)} names were given for {len(images)} images.")
        if self.groups is not None and (self.groups.dtype != np.int64 or self.groups.shape != (len(images),)):
            raise DataError(
                f"groups must be int64 of shape ({len(images)},), one an image, "
                f"not {self.groups.dtype} of shape {self.groups.shape}."
            )
        if len(labels) and (labels.min() < 0 or labels.max() >= len(self.classes)):
            raise DataError(
                f"labels run from {labels.min()} to {labels.max()}, but there are {len(self.classes)} "
                f"classes: they must lie in [0, {len(self.classes)})."
            )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.image_shape))
        return f"ImageDataset({len(self):,} images of {shape}, {len(self.classes):,} classes)"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @cached_property
    def counts(self) -> Int64Array:
        """Images a class: int64 (K,)."""
        return np.bincount(self.labels, minlength=len(self.classes)).astype(np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of shape, classes, labels and pixels: the same data give the same string anywhere."""
        digest = hashlib.sha256(repr((self.images.shape, self.classes)).encode())
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").tobytes())
        step = max(1, _HASHED_AT_ONCE // int(np.prod(self.image_shape)))
        for start in range(0, len(self), step):  # in parts: a memory map is never read whole
            digest.update(np.ascontiguousarray(self.images[start : start + step]).data)
        return digest.hexdigest()

    def subset(self, rows: npt.ArrayLike) -> ImageDataset:
        """The images at ``rows`` (indices, a mask or a slice), in that order, copied into memory."""
        index = np.arange(len(self))[rows if isinstance(rows, slice) else np.asarray(rows)]
        names = [self.names[i] for i in index]
        groups = None if self.groups is None else self.groups[index]
        return replace(self, images=self.images[index], labels=self.labels[index], names=names, groups=groups)


@dataclass(frozen=True, eq=False)
class Splits:
    """One data set in its three parts, and what was said while it was read.

    The classes and the image shape are the same in all parts. ``validation`` comes out of the training data;
    it and ``test`` are empty (length 0), never None, where there is nothing to hold out.

    Attributes:
        name: what the data are called ("mnist", or the folder's name).
        notes: sentences for the user: what was chosen from the data, and how they were read.
        warnings: what whoever reads a figure measured on these data must know: what was left out, what two
            parts share, what cannot be measured.
        reading: how the values of the images became brightness, and which page was read: for prediction.
        group_by: which pictures were kept together, as a recipe says it (``"prefix"``); "none" for none.
        bad_files: the files that were skipped because they cannot be used, with what is wrong with each.
    """

    name: str
    train: ImageDataset
    validation: ImageDataset
    test: ImageDataset
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    reading: Reading = STANDARD
    group_by: str = "none"
    bad_files: tuple[BadFile, ...] = ()

    @property
    def value_range(self) -> ValueRange | None:
        """The values that became black and white; None where the images are 8-bit pictures as they are."""
        return None if self.reading == STANDARD else self.reading.value_range

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in label order."""
        return self.train.classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        return self.train.image_shape

    def __iter__(self) -> Iterator[tuple[str, ImageDataset]]:
        """The parts with their names, in the order train, validation, test."""
        return iter((("train", self.train), ("validation", self.validation), ("test", self.test)))
