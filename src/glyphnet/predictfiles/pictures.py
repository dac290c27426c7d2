"""The pictures to classify, one after the other: files, folders, and files of many pictures."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..data.decode import ImageShape
from ..data.filetree import count_in_words, files_in, head_of
from ..data.listing import Content, Picture, Unlabelled, unlabelled_rows
from ..data.load import source_of
from ..data.pixeltables import as_image
from ..data.tables import METADATA
from ..errors import BadFileError, DataError
from ..filekinds import LFS, PICTURE_SUFFIXES, commonest_kind, is_lfs_pointer, is_picture

__all__ = ["Content", "OnBadFile", "Picture", "image_files", "pictures_in"]

OnBadFile: TypeAlias = Callable[[BadFileError], None]


def pictures_in(
    paths: Iterable[str],
    *,
    skip: int = 0,
    on_skipped: Callable[[str], None] | None = None,
    image_shape: ImageShape | None = None,
    ignored: Counter[str] | None = None,
    only: str | None = None,
) -> Iterator[Picture]:
    """The pictures in files, in all files in folders, and in tables, arrays and archives, in order.

    A file of any kind that `data.load.PATHS` knows gives all its images; labels in it are ignored. What cannot be read
    counts as a picture, whose content is the error. No picture is opened here, and of a table a few rows at a time are
    in memory.

    Args:
        paths: files and folders; in folders, files that are not pictures are left out.
        skip: how many pictures to skip unread; ``on_skipped`` is called with the place of each.
        image_shape: (H, W, C) of the model: rows of numbers of that many values are read so, others as squares.
        ignored: counts the files in folders that are not pictures, by their suffix, and those that ``only`` leaves out.
        only: take only pictures in folders of this name, below the folders and in the archives that are given.

    Raises:
        DataError: a table is damaged beyond its beginning.
        MissingExtraError: there is a Parquet table and no pyarrow.
    """
    skipped = on_skipped or (lambda _: None)
    ignored = Counter() if ignored is None else ignored
    for found in _contents(paths, ignored, only):
        many = found if isinstance(found, Unlabelled) else _alone(found)
        if many.whole is not None and image_shape is not None and many.is_one_image(image_shape):
            many = _alone(np.asarray(many.whole), many.place(0).rpartition("#")[0])
        passed = min(skip, many.count)
        skip -= passed
        for row in range(passed):
            skipped(many.place(row))
        for picture in many.pictures(passed):
            yield _shaped(picture, image_shape)


def _alone(content: str | npt.NDArray[Any] | BadFileError, place: str = "") -> Unlabelled:
    """A file of one picture; its place is its path."""
    where = place or (content.path if isinstance(content, BadFileError) else str(content))
    return unlabelled_rows(1, lambda _: where, lambda _: content)


def left_out(ignored: Counter[str]) -> Iterator[str]:
    """A sentence on the files that `pictures_in` has counted and left out, if there are any."""
    if ignored:
        chosen = any(kind.startswith("outside ") for kind in ignored)
        what = "files that are not pictures, or not asked for," if chosen else "files that are not pictures"
        yield f"{sum(ignored.values()):,} {what} were left out ({count_in_words(ignored)})."


def image_files(paths: Iterable[str], on_bad_file: OnBadFile) -> Iterator[str]:
    """The picture files in ``paths``; ``on_bad_file`` is called with the error of what cannot be listed."""
    for path in paths:
        for file in files_in([path]):
            if isinstance(file, BadFileError):
                on_bad_file(file)
            elif file == path or is_picture(file, head_of):
                yield file


def _contents(
    paths: Iterable[str], ignored: Counter[str], only: str | None
) -> Iterator[str | Unlabelled | BadFileError]:
    """Each file as it is to be read: a picture, many of them, or what is wrong with it."""
    for path in paths:
        found, before = False, Counter(ignored)
        for content in _below(path, ignored, only):
            if only is not None and isinstance(content, Unlabelled) and content.count:
                rows = [row for row in range(content.count) if only in _folders(content.place(row), path)]
                ignored[f"outside {only!r}"] += content.count - len(rows)
                content = _rows_of(content, rows)
            found = found or not isinstance(content, Unlabelled) or content.count > 0
            yield content
        if not found and only is not None:
            yield BadFileError(path, f"no picture in it lies in a folder {only!r}", "Check the name after --only.")
        elif not found and (others := ignored - before):
            kind = commonest_kind(others.elements())
            reason = f"there is no picture in it, only {count_in_words(others)}"
            if kind is not None:
                reason += f": {kind.what}"
            yield BadFileError(path, reason, "Check the path." if kind is None else kind.remedy)


def _folders(place: str, path: str) -> list[str]:
    """The folders between a path that was given and a picture below it or in its archive."""
    return place.removeprefix(path).replace("#", "/").replace(os.sep, "/").split("/")[:-1]


def _rows_of(many: Unlabelled, rows: list[int]) -> Unlabelled:
    return Unlabelled(
        len(rows),
        lambda number: many.place(rows[number]),
        lambda start: (next(many.pictures(row)) for row in rows[start:]),
    )


def _below(path: str, ignored: Counter[str], only: str | None) -> Iterator[str | Unlabelled | BadFileError]:
    for file in files_in([path]):
        inside = file != path
        if only is not None and isinstance(file, str) and inside and only not in _folders(file, path):
            ignored[f"outside {only!r}"] += 1
            continue
        if isinstance(file, BadFileError) or _suffix(file) in PICTURE_SUFFIXES:
            yield file
            continue
        if is_lfs_pointer(head_of(file)):
            yield BadFileError(file, LFS.what, LFS.remedy)
            continue
        source = source_of(Path(file)) if _may_hold_many(file, inside) else None
        if source is not None and source.pictures is not None and (source.inside or not inside):
            many = source.pictures(file)
            if isinstance(many, BadFileError) and inside and not file.lower().endswith(".parquet"):
                ignored[_suffix(file)] += 1  # such as the labels that belong to an array of images
                continue
            yield many
        elif inside and (source is not None or not is_picture(file, head_of)):
            ignored[_suffix(file) or os.path.basename(file)] += 1
        else:
            yield file


def _may_hold_many(file: str, inside: bool) -> bool:
    # A table that lists images beside it need not be read: these are found without it.
    return os.path.isfile(file) and not (inside and os.path.basename(file).lower() in METADATA)


def _suffix(file: str) -> str:
    return os.path.splitext(file)[1].lower()


def _shaped(picture: Picture, image_shape: ImageShape | None) -> Picture:
    if not isinstance(picture.content, np.ndarray) or picture.content.ndim != 1 or image_shape is None:
        return picture
    try:
        return picture._replace(content=as_image(picture.content, image_shape))
    except DataError as error:
        return picture._replace(content=BadFileError(picture.place, str(error), "Give images of the model's size."))
