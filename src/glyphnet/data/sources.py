"""A kind of path that is read, and the kinds that other packages add."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ..errors import BadFileError, DataError
from ..plugins import Table
from ..units import listed
from .arrays import RawArrays
from .assemble import Options
from .filetree import AnyFile, as_file
from .hub import unlabelled_parquet
from .listing import ImageFiles, Unlabelled, unlabelled_arrays


@dataclass(frozen=True)
class Source:
    """A kind of path: its name, how to recognise and how to read it.

    Attributes:
        title: what messages call it.
        matches: whether a path that exists is of this kind; by content rather than by name.
        read: the labelled images for training and evaluation, before they are divided.
        pictures: the images of a file for prediction, without labels; it takes the path as text, as it was typed. None
            for folders, whose files are classified one by one, and for what prediction does not read.
        inside: whether prediction reads such a file in a folder that was given.
        arrays: whether it holds arrays, which are also read in an archive, and in a folder that only wraps them.
    """

    title: str
    matches: Callable[[Any], bool]
    read: Callable[[Any, Options], RawArrays | ImageFiles]
    pictures: Callable[[Any], Unlabelled | BadFileError] | None = None
    inside: bool = True
    arrays: bool = False

    def in_archives(self, file: AnyFile) -> bool:
        """Whether a file in an archive is of this kind, and read there for prediction."""
        return (self.arrays or self.pictures is unlabelled_parquet) and self.matches(file)


def is_file(*suffixes: str) -> Callable[[AnyFile], bool]:
    """Whether a path is a file whose name ends in one of these, in whatever case."""
    return lambda path: path.name.lower().endswith(suffixes) and path.is_file()


def holding_arrays(
    title: str,
    matches: Callable[[Any], bool],
    read: Callable[[Any], RawArrays],
    arrays: Callable[[AnyFile], dict[str, npt.NDArray[Any]]] | None = None,
) -> Source:
    """A kind of path that holds named arrays and takes no options; ``arrays`` reads those of a file for prediction."""
    pictures = None if arrays is None else partial(_pictures, arrays)
    return Source(title, matches, lambda path, _: read(path), pictures, arrays=True)


def _pictures(
    arrays: Callable[[AnyFile], dict[str, npt.NDArray[Any]]], path: str | AnyFile
) -> Unlabelled | BadFileError:
    """The images among the arrays of a file; labels, one number an image, are left out."""
    file = as_file(path)
    try:
        found = arrays(file)
    except BadFileError as error:
        return error
    images = {name: each for name, each in found.items() if each.ndim in (2, 3, 4) and each.dtype.kind in "buif"}
    more = {name: each for name, each in images.items() if each.ndim > 2 or 1 not in each.shape}
    images = more or images  # labels may be a matrix of one column or one row
    if not images:
        shapes = listed([f"{name} {array.dtype} {array.shape}" for name, array in found.items()], 3)
        return BadFileError(path, f"holds no images: {shapes or 'no arrays'}", "Give (N, H, W) or (N, H, W, C).")
    pictures = unlabelled_arrays(os.fspath(path), images)
    return replace(pictures, whole=images["images"]) if file.suffix.lower() == ".npy" else pictures


def _fault(name: str, row: object) -> str:
    return "" if isinstance(row, Source) else f"{row!r:.80} is no glyphnet.data.sources.Source"


OTHERS: Table[Source] = Table("sources", {}, _fault)
"""The kinds of path that other packages read, by name. They are asked before those of `load.PATHS`."""


def claimed(path: Path) -> Source | None:
    """The row of `OTHERS` for a path that exists; None if there is none, DataError if several claim it."""
    claims = [name for name, kind in OTHERS.items() if kind.matches(path)]
    if len(claims) > 1:
        readers = " and ".join(f'"{name}" of {OTHERS.package(name)}' for name in claims)
        raise DataError(f"{path}: {readers} claim to read it. Uninstall one of the packages.")
    return OTHERS[claims[0]] if claims else None


def read_by(kind: Source, path: Any, options: Options) -> RawArrays | ImageFiles:
    """The labelled images of a path, with a note that names the package if another one reads it."""
    found = kind.read(path, options)
    package = next((OTHERS.package(name) for name, row in OTHERS.items() if row is kind), None)
    return found if package is None else replace(found, notes=(f"Read as {kind.title} by {package}.", *found.notes))
