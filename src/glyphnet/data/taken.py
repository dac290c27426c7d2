"""When pictures were taken, as cameras write it into them (EXIF) or into their names."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import numpy as np
from PIL import Image

from ..errors import BadFileError
from ..files import open_input
from ..processes import map_in_order
from .cache import keep_arrays, kept_arrays
from .dataset import Int64Array
from .listing import ImageFiles

_SUFFIXES = (".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".heic")
_SAMPLE = 50  # pictures looked at first: mostly none says when
_EXIF, _DATE_TIME_ORIGINAL = 0x8769, 0x9003
_KEPT = "taken"
_NAMED = re.compile(
    r"((?:19|20)\d\d)[_\-.]?(\d\d)[_\-.]?(\d\d)"
    r"(?:[ T_\-.]*| at )(\d\d)[hH_\-.:]?(\d\d)[mM_\-.:]?(\d\d)(?!\d{1,2}(?!\d))"
)
"""A date and a time to the second, as in ``IMG_20240131_120259.png``; milliseconds may follow."""


def times_taken(files: ImageFiles, names: Sequence[str], key: str) -> Int64Array:
    """When each picture was taken: int64 (N,), seconds since 1970 by the camera's clock, -1 where it does not say.

    What is in the pictures counts before what their names say, for copies and exports are named anew.

    Args:
        names: the pictures.
        key: what the result is kept under, in the cache: it determines the pictures.
    """
    usable = [row for row, name in enumerate(names) if name.lower().endswith(_SUFFIXES)]
    times = np.fromiter(map(_named_time, names), dtype=np.int64, count=len(names))
    sample = usable[:: max(1, len(usable) // _SAMPLE)]
    if all(_time_taken(files, names[row]) < 0 for row in sample):
        return times
    if (kept := kept_arrays(_KEPT, key)) is not None and len(kept.get("times", ())) == len(names):
        return kept["times"]
    inside = np.array(list(map_in_order(partial(_time_taken, files), (names[row] for row in usable))), dtype=np.int64)
    times[usable] = np.where(inside < 0, times[usable], inside)
    keep_arrays(_KEPT, key, {"times": times})
    return times


def _named_time(name: str) -> int:
    if (found := _NAMED.search(name.rpartition("/")[2])) is not None:
        with contextlib.suppress(ValueError):
            return int(datetime.strptime(" ".join(found.groups()), "%Y %m %d %H %M %S").replace(tzinfo=UTC).timestamp())
    return -1


def _time_taken(files: ImageFiles, name: str) -> int:
    with contextlib.suppress(BadFileError, OSError, ValueError, TypeError, SyntaxError):
        # Of a file in a folder only the head is read.
        source = open_input(f"{files.root}/{name}") if files.read is None else io.BytesIO(files.content(name))
        with source, Image.open(source) as picture:
            text = picture.getexif().get_ifd(_EXIF).get(_DATE_TIME_ORIGINAL, "")
        return int(datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC).timestamp())
    return -1
