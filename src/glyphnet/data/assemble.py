"""Divides labelled images into Splits."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..progress import Progress
from ..units import listed
from . import survey
from .cache import IN_MEMORY_BYTES, ImageWriter, blocks, cache_key, entry, images_at, keep_arrays, kept_arrays
from .dataset import BadFile, ImageDataset, Int64Array, Originals, Splits, UInt8Array
from .decode import ImageShape, fit_image
from .duplicates import duplicate_groups
from .find_groups import make_groups
from .groups import NO_GROUPS, GroupBy, Groups, Pictures, crossing, described, groups_in_words
from .listing import PARTS, TEST, TRAIN, VALIDATION, check_classes, look_alikes
from .pixels import Conformed
from .split import divide
from .survey import ShapeWish
from .values import STANDARD, Page, Reading


@dataclass(frozen=True)
class Options:
    """The arguments of `glyphnet.data.load`, parsed."""

    wish: ShapeWish = field(default_factory=ShapeWish)
    validation_fraction: float = 0.1
    test_fraction: float = 0.2
    seed: int = 0
    on_bad_file: str = "error"
    progress: Progress | None = None
    layout: str = "auto"
    only: str | None = None
    to_train: bool = True
    page: Page = 1
    reading: Reading | None = None
    group_by: GroupBy = NO_GROUPS
    label_column: str | None = None


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images of one shape before they are divided; fields that `Splits` and `ImageDataset` share are described there.

    Attributes:
        taken: returns when each picture was taken, int64 (N,), seconds, -1 where that is not known.
    """

    name: str
    where: str  # what errors call the data
    key: str  # determines the images and their order, for the cache
    images: UInt8Array  # (N, H, W, C), in memory or memory-mapped
    labels: Int64Array
    classes: tuple[str, ...]
    names: Sequence[str]
    parts: npt.NDArray[np.int8]  # (N,): 0 train, 1 validation, 2 test, as the data come
    groups: Int64Array  # (N,): equal for duplicates
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    originals: Originals | None = None
    reading: Reading = STANDARD
    are_files: bool = False  # whether the names are those of files
    is_known: bool = False  # whether this is a data set known by name, whose pictures are not searched for groups
    column: Sequence[str | None] | None = None  # the group of each picture that a column of a table says
    taken: Callable[[], Int64Array] | None = None
    bad_files: tuple[BadFile, ...] = ()


def assemble(data: Labelled, options: Options) -> Splits:
    """Divide ``data``, unless `check_classes` refuses them; each part is a slice of one array or memory map."""
    if options.to_train:
        check_classes(data.classes, data.labels, data.parts, data.where)
    groups = _groups(data, options)
    parts = divide(
        data.labels, data.groups, data.parts, together=groups.numbers if groups else None, seed=options.seed,
        validation_fraction=options.validation_fraction, test_fraction=options.test_fraction,
    )  # fmt: skip
    order = np.argsort(parts, kind="stable")  # train, validation, test, each in the order of the names
    images = images_at(data.images, order, data.key)
    ends = np.cumsum(np.bincount(parts, minlength=3)).tolist()
    datasets = []
    for start, end in pairwise([0, *ends]):
        rows = order[start:end]
        names = [data.names[row] for row in rows.tolist()]
        own = groups.numbers[rows] if groups else None
        part = ImageDataset(
            images[start:end], data.labels[rows], data.classes, names, originals=data.originals, groups=own
        )
        datasets.append(part)
    notes, warnings = list(data.notes), [*data.warnings, *look_alikes(data.classes)]
    if groups:
        notes.append(groups_in_words(groups, options.group_by.kind == "auto" and data.column is None))
        warnings += [*crossing(groups.numbers, data.parts, data.names), *_shares(parts, data.parts, options)]
    train, validation, test = datasets
    return Splits(
        data.name, train, validation, test, notes=tuple(notes), warnings=tuple(warnings), reading=data.reading,
        group_by=groups.group_by if groups else "none", bad_files=data.bad_files,
    )  # fmt: skip


def _groups(data: Labelled, options: Options) -> Groups | None:
    if data.is_known and options.group_by.kind == "auto":
        return None
    pictures = Pictures(data.names, data.labels, data.images, data.are_files, data.column, data.taken)
    if options.group_by.kind == "auto" and data.column is not None:  # the data themselves say it
        return make_groups(GroupBy("column", "group"), pictures, data.where)
    if options.group_by.kind != "auto" or not data.are_files:
        return make_groups(options.group_by, pictures, data.where)
    names = hashlib.sha256(os.fsencode("\0".join(data.names)) + data.labels.tobytes()).hexdigest()
    key = cache_key("groups", _code_of_groups(), data.key, names)
    if (kept := kept_arrays("groups", key)) is not None and {"numbers", "words"} <= kept.keys():
        if not len(kept["words"]):
            return None
        group_by, words, unmatched = kept["words"].tolist()
        return described(kept["numbers"], group_by, words, data.names, int(unmatched))
    found = make_groups(options.group_by, pictures, data.where)
    said = [found.group_by, found.words, str(found.unmatched)] if found else []
    numbers = found.numbers if found else np.zeros(0, dtype=np.int64)
    keep_arrays("groups", key, {"numbers": numbers, "words": np.array(said, dtype=np.str_)})
    return found


@functools.cache
def _code_of_groups() -> str:
    """SHA-256 of the code of this package: groups that other code found are not reused."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _shares(parts: npt.NDArray[np.int8], given: npt.NDArray[np.int8], options: Options) -> list[str]:
    """A warning for each part that whole groups made much larger or smaller than its fraction."""
    warnings = []
    pool = int((given == TRAIN).sum())
    for part, fraction in ((TEST, options.test_fraction), (VALIDATION, options.validation_fraction)):
        if fraction > 0 and not np.any(given == part):
            count = int((parts == part).sum())
            if abs(count / pool - fraction) > max(0.02, 0.25 * fraction):
                warnings.append(
                    f"The {PARTS[part]} part has {count:,} of {pool:,} images ({count / pool:.1%}) instead of "
                    f"{fraction:.0%}: whole groups do not divide more evenly."
                )
            pool -= count
    return warnings


def from_arrays(name: str, where: str, data: Conformed, options: Options, stamp: str = "") -> Splits:
    """Splits from the parts of an array file, unless `check_classes` refuses them.

    ``stamp`` changes whenever the file does; it is "" for a data set known by name, which stays in memory.
    """
    stacks = [images for images, _ in data.parts.values()]
    labels = np.concatenate([labels for _, labels in data.parts.values()])
    codes = [TRAIN if part == "all" else PARTS.index(part) for part in data.parts]
    shape, note = _array_shape(stacks, options.wish)
    key = cache_key("arrays", stamp, list(shape))
    if stamp and len(labels) * int(np.prod(shape)) > IN_MEMORY_BYTES:
        write = functools.partial(_write_fitted, stacks=stacks, shape=shape, progress=options.progress)
        kept = entry(key, write, {"groups": duplicate_groups})
        images, groups = kept.images, kept.arrays["groups"]
    else:
        fitted = [_fitted(stack, shape) for stack in stacks]
        images = fitted[0] if len(fitted) == 1 else np.concatenate(fitted)
        groups = duplicate_groups(images)
    names = [f"{part}/{row:05d}" for part, (_, each) in data.parts.items() for row in range(len(each))]
    parts = np.repeat(np.array(codes, dtype=np.int8), [len(stack) for stack in stacks])
    counts = np.bincount(labels, minlength=len(data.classes))
    absent = [data.classes[label] for label in np.flatnonzero(counts == 0)]
    labelled = Labelled(
        name, where, key, images, labels, data.classes, names, parts, groups, (note, *data.notes),
        warnings=(f"No image carries the label {listed(absent)}.",) if absent else (),
        originals=_originals(names, stacks, shape), reading=data.reading, is_known=not stamp,
    )  # fmt: skip
    return assemble(labelled, options)


def _array_shape(stacks: Sequence[UInt8Array], wish: ShapeWish) -> tuple[ImageShape, str]:
    count = sum(len(stack) for stack in stacks)
    height, width, channels = stacks[0].shape[1:]
    any_colored = channels == 3 and any(
        survey.is_colored(Image.fromarray(np.asarray(stack[row])))
        for stack in stacks
        for row in survey.sample_rows(len(stack))
    )
    details = _details(stacks) if wish.size is None and max(height, width) > survey.SMALL else ()
    shape, size_note = survey.choose_shape([(height, width)], any_colored, wish, details)
    was = survey.shape_in_words((height, width, channels))
    became = was if shape == (height, width, channels) else f"{was}; brought to {survey.shape_in_words(shape)}"
    return shape, f"{count:,} images of {became} ({wish.source}). {size_note}".rstrip()


def _details(stacks: Sequence[UInt8Array]) -> list[survey.Detail]:
    """How much of a few images remains at smaller sizes."""
    most = max(1, survey.LOOKED_AT // len(stacks))
    return [
        survey.measure_detail(_picture(np.asarray(stack[row])))
        for stack in stacks
        for row in range(0, len(stack), max(1, len(stack) // most))
    ]


def _originals(names: Sequence[str], stacks: Sequence[UInt8Array], shape: ImageShape) -> Originals | None:
    """The images before they were brought to ``shape``; None where they have it already."""
    if all(stack.shape[1:] == shape for stack in stacks):
        return None
    ends = np.cumsum([len(stack) for stack in stacks])
    rows = {name: row for row, name in enumerate(names)}

    def original(name: str) -> UInt8Array:
        row = rows[name]
        stack = int(np.searchsorted(ends, row, side="right"))
        return np.asarray(stacks[stack][row - int(ends[stack]) + len(stacks[stack])])

    return Originals(original)


def _picture(pixels: UInt8Array) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _fitted(images: UInt8Array, shape: ImageShape) -> UInt8Array:
    if images.shape[1:] == shape:
        return np.asarray(images)
    fitted = np.empty((len(images), *shape), dtype=np.uint8)
    for row, pixels in enumerate(images):
        fitted[row] = fit_image(_picture(pixels), shape)
    return fitted


def _write_fitted(
    writer: ImageWriter, stacks: Sequence[UInt8Array], shape: ImageShape, progress: Progress | None
) -> dict[str, object]:
    total, done = sum(len(stack) for stack in stacks), 0
    writer.begin(shape, total)
    for stack in stacks:
        for rows in blocks(len(stack), stack.shape[1:]):
            block = stack[rows]
            writer.append(_fitted(block, shape))
            done += len(block)
            if progress is not None:
                progress(done, total, "Reading images")
    return {}
