"""The files in folders, in the order of their names, found while they are being asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial

from ..data.folder import JUNK
from ..errors import BadFileError

# Such a table lists images that lie beside it, and these are found without it.
_NO_PICTURES = JUNK | {"metadata.parquet"}


def files_in(paths: Iterable[str]) -> Iterator[str | BadFileError]:
    """The files in ``paths``; folders give all files in them, at any depth, in the order of their names.

    In folders, hidden files and what file managers leave behind are passed over, as in training; links are
    followed, each folder once. A path that is no folder is given as it is, whether it exists or not. A folder that
    is empty or cannot be listed gives an error in its place.

    Only the names in the folders on the way to a file are in memory.
    """
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        empty = True
        for file in _walk(path):
            empty = False
            yield file
        if empty:
            yield BadFileError(path, "there is no file in this folder", "Check the path.")


def _walk(folder: str) -> Iterator[str | BadFileError]:
    seen: set[tuple[int, int]] = set()  # folders: a link may lead back to where it lies
    levels: list[Iterator[str]] = [iter((folder,))]
    while levels:
        path = next(levels[-1], None)
        if path is None:
            levels.pop()
        elif not os.path.isdir(path):
            yield path
        else:
            try:
                status = os.stat(path)
                names = sorted(os.listdir(path))
            except OSError as error:
                yield BadFileError(path, f"cannot be listed ({error.strerror})", "Change its permissions.")
                continue
            if (place := (status.st_dev, status.st_ino)) not in seen:
                seen.add(place)
                wanted = (name for name in names if not name.startswith(".") and name.lower() not in _NO_PICTURES)
                levels.append(map(partial(os.path.join, path), wanted))
