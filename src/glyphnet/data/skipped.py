"""Names every file that a folder or a table lists and that loading had to leave out."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import BadFileError
from .arrays import is_npy_folder
from .dataset import Splits
from .decode import read_picture
from .folder import read_folder
from .idx import is_idx_folder
from .listing import BadFile, ImageFiles
from .named import NAMED
from .table import READERS, TABLE_NAMES, read_table


def skipped_files(source: str | os.PathLike[str], splits: Splits) -> tuple[BadFile, ...]:
    """The files that are missing from ``splits``, with what is wrong with each; only those are opened again.

    Args:
        source: what ``splits`` were loaded from with ``on_bad_file="skip"``.

    Returns:
        In the order of their names; empty for sources that are no image files.
    """
    listing = _listing(source)
    if listing is None:
        return ()
    good = {name for _, part in splits for name in part.names}
    bad = [BadFile(name, _reason(listing.root / name)) for name in listing.names if name not in good]
    return tuple(sorted([*listing.bad, *bad]))


def _listing(source: str | os.PathLike[str]) -> ImageFiles | None:
    if source == "digits" or source in NAMED:
        return None
    path = Path(source).expanduser()
    if path.is_dir():
        table = next((path / name for name in TABLE_NAMES if (path / name).is_file()), None)
        if table is not None:
            return read_table(table)
        return None if is_idx_folder(path) or is_npy_folder(path) else read_folder(path)
    return read_table(path) if path.suffix.lower() in READERS else None


def _reason(path: Path) -> str:
    try:
        read_picture(path)
    except BadFileError as error:
        return error.reason
    return "skipped, but sound now: it changed meanwhile"
