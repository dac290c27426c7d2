"""The unlabelled pictures of a training: which they are, how they are read, and which of them are left out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..data import ImageDataset, Splits
from ..data.decode import ImageShape
from ..data.duplicates import duplicate_groups
from ..data.folder import is_unlabelled
from ..data.ink import InkSpec
from ..data.load import known_name, load
from ..data.settings import DataSettings
from ..data.values import Reading
from ..errors import BadFileError, DataError
from ..predictfiles.pictures import pictures_in
from ..predictfiles.predicting import Decoding, decode_ahead
from ..progress import Progress
from ..training import Recipe
from ..training.recipe import Unlabelled
from ..units import plural

Pool: TypeAlias = str | os.PathLike[str] | npt.NDArray[np.uint8] | ImageDataset
"""Unlabelled pictures: the path of some, or images uint8 (N, H, W, C)."""


SOURCES = ("unlabelled", "unlabelled.source")
"""Changes of a recipe that name the pictures."""


@dataclass(frozen=True)
class _AsTrained:
    """Reads pictures as those of a data set were read: on its scale, resized, not normalised."""

    input_shape: ImageShape
    reading: Reading
    ink: InkSpec | None = None
    normalize: bool | None = False


def source_of_pool(
    pool: str | os.PathLike[str] | None, data: DataSettings | None, recipe: Recipe | None, changes: Mapping[str, Any]
) -> str | None:
    """The path of the unlabelled pictures of a training: that given, the recipe's, or a part of the data's folder."""
    if pool is not None:
        return os.fspath(pool)
    if (changed := _changed_source(changes)) is not None:
        return changed
    if recipe is not None:
        return None if recipe.unlabelled is None else recipe.unlabelled.source
    return None if data is None or data.layout != "auto" or SOURCES[0] in changes else part_of(data.source)


def part_of(source: str) -> str | None:
    """The folder of unlabelled pictures in that of the data, if there is one."""
    if known_name(source) is not None or not (folder := Path(source).expanduser()).is_dir():
        return None
    inside = sorted(each.name for each in folder.iterdir() if each.is_dir())
    return next((str(folder / name) for name in inside if is_unlabelled(f"{name}/")), None)


def _changed_source(changes: Mapping[str, Any]) -> str | None:
    found = changes.get(SOURCES[0], changes.get(SOURCES[1]))
    return found if isinstance(found, str) and found not in ("null", "~") else None


def with_source(recipe: Recipe, source: str | None) -> Recipe:
    """The recipe that learns from the unlabelled pictures of a path; None for those in memory."""
    settings = recipe.unlabelled or Unlabelled()
    return Recipe.parse({**recipe.model_dump(), "unlabelled": {**settings.model_dump(), "source": source}})


def with_pool(splits: Splits, pool: Pool, settings: DataSettings | None, progress: Progress | None) -> Splits:
    """The splits with unlabelled pictures, brought to their shape; labels that these may have are not read.

    Those that are also in validation or test, pixel for pixel, are left out and counted in the notes.

    Raises:
        DataError: there is no picture, or one cannot be read; see `DataSettings.on_bad_file`.
    """
    if isinstance(pool, ImageDataset | np.ndarray):
        images = pool.images if isinstance(pool, ImageDataset) else pool
        names = [f"unlabelled/{row:05d}" for row in range(len(images))]
        read = ImageDataset.without_labels(images, splits.classes, names)
        notes = [f"{plural(len(read), 'unlabelled image')}; labels of theirs are not read."]
    else:
        read, bad = read_pool(os.fspath(pool), splits, settings, progress)
        notes = [f"{plural(len(read), 'unlabelled picture')} from {pool}; labels of theirs, if any, are not read."]
        if bad:
            notes.append(f"{plural(bad, 'unlabelled picture')} cannot be read: left out.")
    splits = replace(splits, unlabelled=read)  # refuses another shape
    copies = also_held_out(splits)
    if copies.any():
        count = int(copies.sum())
        notes.append(f"{plural(count, 'unlabelled picture')} also in the validation or test part: left out.")
        read = read.subset(~copies)
    if not len(read):
        raise DataError(f"{notes[0]} None of them is left to learn from. Give others, or leave them out.")
    return replace(splits, unlabelled=read, notes=(*splits.notes, *notes))


def read_pool(
    path: str, splits: Splits, settings: DataSettings | None, progress: Progress | None
) -> tuple[ImageDataset, int]:
    """The pictures of a path, and how many could not be read; labels are not read."""
    if known_name(path) is not None:
        height, width, channels = splits.image_shape
        color = "grey" if channels == 1 else "rgb"
        known = load(path, size=(height, width), color=color, validation_fraction=0.0, progress=progress).train
        return ImageDataset.without_labels(known.images, splits.classes, known.names), 0
    if not Path(path).exists():
        raise DataError(f"{path[:200]!r}: there are no unlabelled pictures: no such file or folder. Check the path.")
    reader = _AsTrained(splits.image_shape, splits.reading)
    pictures = pictures_in([path], image_shape=splits.image_shape)
    pixels, names, bad = [], [], 0
    for each in decode_ahead(pictures, Decoding(reader, None, find_remade=False)):
        if isinstance(each.pixels, BadFileError):
            if settings is None or settings.on_bad_file == "error":
                raise each.pixels
            bad += 1
        else:
            pixels.append(each.pixels)
            names.append(each.place)
        if progress is not None:
            progress(len(names), 0, "reading unlabelled pictures")
    if not pixels:
        raise DataError(f"{path}: there is no picture in it that can be read. Give a folder or a file of pictures.")
    return ImageDataset.without_labels(np.stack(pixels), splits.classes, names), bad


def also_held_out(splits: Splits) -> npt.NDArray[np.bool_]:
    """Which unlabelled images are, pixel for pixel, also in the validation or the test part: bool (N,)."""
    assert splits.unlabelled is not None
    held = len(splits.validation) + len(splits.test)
    groups = duplicate_groups(splits.validation.images, splits.test.images, splits.unlabelled.images)
    return np.isin(groups[held:], groups[:held])
