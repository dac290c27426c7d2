"""The two nouns of this floor: a set of labelled images, and its division into splits."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import DataError
from ..files import new_file
from ..notebook import render, strip
from ..units import fault_of, plural
from .values import STANDARD, Reading, ValueRange

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]

UNLABELLED = -1
"""The label of an image whose class is not known."""

_HASHED_AT_ONCE = 16 * 1024 * 1024  # bytes


def evenly_spaced(count: int, most: int) -> Int64Array:
    """Rows out of ``count``, evenly spaced, the first and the last among them: int64, ``most`` of them at most."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def size_in_words(height: int, width: int) -> str:
    """ "28×28", or "24×32 (height × width)" where the order matters: height first, as ``--size`` reads it."""
    return f"{height}×{width}" + (" (height × width)" if height != width else "")


@dataclass(frozen=True, eq=False)
class Originals:
    """The pictures of a data set before they were resized.

    Attributes:
        read: returns the picture of a name: a PIL image, or uint8 (h, w, c). Several threads call it.
        key: changes whenever a picture changes; "" where that is unknown.
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
        labels: int64 (N,), each in [0, K), or -1 for an image whose class is not known: the three parts of `Splits`
            have none of these, its ``unlabelled`` images no others.
        classes: the K class names, in label order.
        names: N strings: where each image came from (a path relative to the data's root, or ``train/00042``).
        originals: the pictures before they were resized; None: ``images`` are the originals.
        groups: int64 (N,), images with the same number belong together (frames of a track, tiles of a slide) and
            stay in one part of every division; None where that is unknown.

    Raises:
        DataError: the fields do not fit together; the message says which.
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
        for name, values in (("labels", labels), ("groups", self.groups)):
            if values is not None and (values.dtype != np.int64 or values.shape != (len(images),)):
                raise DataError(
                    f"{name} must be int64 of shape ({len(images)},), one an image, "
                    f"not {values.dtype} of shape {values.shape}."
                )
        for name in self.classes:
            if fault := fault_of(name):
                raise DataError(f"{name[:40]!r} cannot be the name of a class: {fault}. Rename it.")
        if len(self.names) != len(images):
            raise DataError(f"{len(self.names)} names were given for {len(images)} images.")
        if len(labels) and (labels.min() < UNLABELLED or labels.max() >= len(self.classes)):
            raise DataError(
                f"labels run from {labels.min()} to {labels.max()}, but there are {len(self.classes)} "
                f"classes: they must lie in [0, {len(self.classes)}), or be -1 where the class is not known."
            )

    @classmethod
    def without_labels(cls, images: UInt8Array, classes: tuple[str, ...], names: Sequence[str]) -> ImageDataset:
        """Images whose classes are not known; arguments and errors as for the fields."""
        return cls(images, np.full(len(images), UNLABELLED, dtype=np.int64), classes, names)

    def refuse_unlabelled(self, purpose: str) -> None:
        """Raise DataError if the class of an image is not known; ``purpose`` says what needs it, as a verb."""
        if missing := int((self.labels == UNLABELLED).sum()):
            raise DataError(
                f"{missing:,} of {len(self):,} images have no label (-1), and {purpose} needs one for each. Leave them "
                "out, or train with them as unlabelled images: unlabelled=…"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.image_shape))
        return f"ImageDataset({len(self):,} images of {shape}, {len(self.classes):,} classes)"

    def _repr_html_(self) -> str:
        """How many images each class has, and some of them, for a notebook."""
        return render("dataset", title=_in_words(self), sentences=(), parts=(), heading="", **_shown(self))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @cached_property
    def counts(self) -> Int64Array:
        """Images a class: int64 (K,)."""
        known = self.labels[self.labels != UNLABELLED]
        return np.bincount(known, minlength=len(self.classes)).astype(np.int64)

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
    """One data set in its three parts, which have the same classes and image shape.

    ``validation`` is taken from the training data; it and ``test`` are empty (length 0), never None, where there is
    nothing to hold out.

    Attributes:
        name: of the data ("mnist", or the folder's name).
        notes: sentences for the user: what was chosen from the data, and how they were read.
        warnings: sentences that belong to every figure measured on these data: what was left out, what two parts
            share, what cannot be measured.
        reading: how the values of the images became brightness, and which page was read: for prediction.
        group_by: which pictures were kept together, as a recipe says it (``"prefix"``); "none" for none.
        bad_files: the files that were skipped because they cannot be used.
        unlabelled: images of the same shape without labels, to train with; None where there are none.
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
    unlabelled: ImageDataset | None = None

    def __post_init__(self) -> None:
        for name, part in self:
            part.refuse_unlabelled(f"the {name} part")
        if self.unlabelled is not None and self.unlabelled.image_shape != self.image_shape:
            shapes = ["×".join(map(str, part.image_shape)) for part in (self.unlabelled, self.train)]
            raise DataError(f"the unlabelled images are {shapes[0]}, and the training images {shapes[1]}.")

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

    def _repr_html_(self) -> str:
        """The parts, what was said of the data, and some images of the largest part, for a notebook."""
        name, largest = max(self, key=lambda part: len(part[1]))
        return render(
            "dataset",
            title=f"{self.name}: {_in_words(*(part for _, part in self))}",
            sentences=(*self.notes, *self.warnings),
            parts=[(part, len(dataset)) for part, dataset in self],
            heading=f"Images of the part {name}",
            **_shown(largest),
        )

    def __iter__(self) -> Iterator[tuple[str, ImageDataset]]:
        """The parts with their names, in the order train, validation, test."""
        return iter((("train", self.train), ("validation", self.validation), ("test", self.test)))


# Notebooks

_MOST_CLASSES = 20  # that are listed; of more, those with the most images
_MOST_IMAGES = 10  # of each


def _in_words(*datasets: ImageDataset) -> str:
    height, width, channels = datasets[0].image_shape
    images, classes = plural(sum(map(len, datasets)), "image"), plural(len(datasets[0].classes), "class", "classes")
    return f"{images} of {size_in_words(height, width)} pixels in {'grey' if channels == 1 else 'colour'}, {classes}."


def _shown(dataset: ImageDataset) -> dict[str, Any]:
    """The rows of the table of classes, and what it leaves out."""
    listed, rows = np.argsort(-dataset.counts, kind="stable")[:_MOST_CLASSES], []
    for label in listed if len(dataset.classes) > _MOST_CLASSES else range(len(dataset.classes)):
        at = np.flatnonzero(dataset.labels == label)[:_MOST_IMAGES]
        images = strip(np.asarray(dataset.images[at])) if len(at) else ""
        rows.append({"name": dataset.classes[label], "count": int(dataset.counts[label]), "strip": images})
    others = len(dataset.classes) - len(rows)
    return {"rows": rows, "more": f"And {plural(others, 'class', 'classes')} with fewer images." if others else ""}


# Splits for child processes: every child maps the images into memory instead of copying them. The rest is pickled, for
# how the original pictures are read is code: only this user may be able to write to the folder.


def share_splits(splits: Splits, folder: Path) -> None:
    """Write the splits into an existing folder; DataError if no other process could read their original pictures."""
    facts, parts = dict(vars(splits)), {}
    unlabelled = [] if splits.unlabelled is None else [("unlabelled", splits.unlabelled)]
    for part, dataset in (*splits, *unlabelled):
        with new_file(folder / f"{part}-images.npy") as file:
            np.save(file, dataset.images)
        parts[part] = {each.name: getattr(dataset, each.name) for each in fields(dataset) if each.name != "images"}
        del facts[part]
    try:
        content = pickle.dumps((facts, parts))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise DataError(
            f"{splits.name}: its pictures cannot be read by several processes at once, because they were loaded in "
            "this one. Give the path of the data instead of loaded splits, or train one after another: at_once=1."
        ) from error
    with new_file(folder / "data.pickle") as file:
        file.write(content)


def shared_splits(folder: Path) -> Splits:
    """The splits that `share_splits` wrote; their images are read-only memory maps."""
    facts, parts = pickle.loads((folder / "data.pickle").read_bytes())
    for part, given in parts.items():
        mode: Literal["r"] | None = "r" if len(given["labels"]) else None  # there is no map of 0 bytes
        facts[part] = ImageDataset(np.load(folder / f"{part}-images.npy", mmap_mode=mode), **given)
    return Splits(**facts)
