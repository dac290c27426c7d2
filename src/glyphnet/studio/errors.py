"""A request to the studio that cannot be fulfilled."""

from __future__ import annotations

import os

from ..errors import GlyphNetError
from ..places import FULL


class StudioError(GlyphNetError):
    """A request that cannot be fulfilled.

    Args:
        status: of HTTP.
        sentence: what is wrong, with its value and place, and what to do.
    """

    def __init__(self, status: int, sentence: str) -> None:
        self.status = status
        super().__init__(sentence)


def of_disk(error: OSError, root: str | os.PathLike[str]) -> StudioError:
    """An error of the file system for the user, with the place below the studio's folder."""
    name = os.fspath(error.filename) if error.filename else ""
    name = os.fsdecode(name)
    place = os.path.relpath(name, root) if name.startswith(os.fspath(root)) else os.path.basename(name)
    if error.errno in FULL:
        return StudioError(
            507, f"The disk is full: {place or 'the folder'} was not written. Free some space, and retry."
        )
    if isinstance(error, FileExistsError):
        return StudioError(409, f"{place}: something of this name is there already. Choose another name.")
    if isinstance(error, FileNotFoundError):
        return StudioError(404, f"{place}: is not there any more. Reload the page.")
    return StudioError(409, f"{place}: {error.strerror or error}. Check the folder's permissions.")
