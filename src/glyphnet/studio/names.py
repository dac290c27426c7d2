"""Names in a studio's folder: what a class may be called, what the folder keeps for itself, what a file is called."""

from __future__ import annotations

import posixpath
import re

from ..data.filetree import is_wanted
from ..data.folder import UNLABELLED_PARTS
from ..data.layouts import part_word
from ..filekinds import PICTURE_SUFFIXES
from ..files import WINDOWS
from ..units import fault_of, portable_name, printable
from .errors import StudioError

TRAY = "unlabelled"
TRASH = ".trash"
VERSIONS = "versions"
RUNS = "runs"
GROUPS = "metadata.csv"
DECISIONS = "labels.csv"
RESERVED = frozenset({*UNLABELLED_PARTS, VERSIONS, RUNS, GROUPS, DECISIONS})
"""Names, in lower case, that no class may have, beside those with a leading dot and those of parts."""

_MOST_BYTES = 200  # of a file's name, so that a number still fits behind it
_GENERIC = re.compile(r"((blob|image|drawing|canvas|photo|camera|pasted|clipboard)[-_ ]?\d*)?", re.IGNORECASE)
_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "GIF": ".gif", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}


def check_class_name(name: object) -> str:
    """The name, if a class may have it.

    Raises:
        StudioError: what is wrong with it, and what to do.
    """
    if not isinstance(name, str) or not name.strip():
        raise StudioError(422, "A class needs a name: write a word, such as cat.")
    shown = printable(name[:60])
    if fault := fault_of(name) or _fault(name):
        raise StudioError(422, f"{shown!r} cannot be the name of a class: {fault}. Choose another name.")
    return name


def _fault(name: str) -> str:
    if "/" in name or "\\" in name:
        return "it holds a slash, which parts folders"
    if name.startswith(".") or name != name.strip():
        return "it begins with a dot, or with or ends in a space"
    if WINDOWS and portable_name(name) != name:  # "C:" would be another drive there, and "aux" a device
        return "Windows cannot have a folder of this name"
    if len(name.encode()) > 255:
        return "it has more than 255 bytes, and a folder's name has no more"
    if name.lower() in RESERVED:
        return "the folder keeps this name for itself"
    if not is_wanted(name):
        return "file managers leave folders of this name behind, and they are never read as data"
    if part_word(name) is not None:
        return "it is read as a part of the data (training, validation or test)"
    return ""


def check_group(group: str | None) -> str | None:
    """The name of a group, if pictures may have it; None for none.

    Raises:
        StudioError: what is wrong with it.
    """
    if group is not None and (not group.strip() or len(group) > 255 or not group.isprintable()):
        raise StudioError(
            422, f"{printable(group[:40])!r} cannot be the name of a group: write up to 255 printable characters."
        )
    return group


def file_name(given: str, suffix: str) -> str | None:
    """A name for a new picture's file; None where the client's says nothing, and a number is better.

    Args:
        given: what the client called it: any text; only its last part counts.
        suffix: of the new name, ``.png``.
    """
    stem = posixpath.splitext(given.replace("\\", "/").rpartition("/")[2])[0]
    stem = "".join(char for char in printable(stem) if char not in '/\\:*?"<>|\0').strip(" .")
    stem = stem.encode("utf-8", "ignore")[:_MOST_BYTES].decode("utf-8", "ignore").strip(" .")
    if _GENERIC.fullmatch(stem) or not is_wanted(stem + suffix):
        return None
    return portable_name(stem) + suffix


def suffix_of(format: str | None, given: str) -> str:
    """The suffix for a picture of a format, as Pillow calls it."""
    suffix = posixpath.splitext(given)[1].lower()
    return _SUFFIXES.get(format or "") or (suffix if suffix in PICTURE_SUFFIXES else ".png")
