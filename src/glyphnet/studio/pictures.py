"""Pictures as they are sent to the page: only of types that a browser shows and never runs, and small previews."""

from __future__ import annotations

import base64
import io
import threading
from collections import OrderedDict

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..data.decode import MAX_FILE_BYTES, picture_from_bytes
from ..places import read_plain
from .folder import Folder
from .listing import facts_of

THUMB = 96
"""Pixels of a preview's longer side."""

_KEPT = 8000  # previews in memory, some kilobytes each
_SHOWN = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"), (b"BM", "image/bmp"),
)  # fmt: skip


def content_of(folder: Folder, id: str) -> bytes:
    """The file of a listed picture; KeyError where it is not listed."""
    with folder.lock:
        folder.listing.entry(id)
    return read_plain(folder.root / id, MAX_FILE_BYTES)


def shown(content: bytes, name: str) -> tuple[bytes, str]:
    """A picture and its type: as it is where browsers know it, else as PNG; BadFileError if it cannot be read."""
    for mark, kind in _SHOWN:
        if content.startswith(mark):
            return content, kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return content, "image/webp"
    return png_of(picture_from_bytes(content, name)), "image/png"


def png_of(picture: Image.Image) -> bytes:
    """A picture as PNG."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def data_url(pixels: npt.NDArray[np.uint8]) -> str:
    """Pixels, (H, W) or (H, W, 1, 3 or 4), as an address that holds them."""
    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    return "data:image/png;base64," + base64.b64encode(png_of(Image.fromarray(flat))).decode()


class Thumbs:
    """Previews, kept in memory by the hash of the picture."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, folder: Folder, id: str) -> tuple[bytes, str]:
        """The preview of a listed picture as PNG, and the picture's hash; BadFileError if it cannot be read."""
        with folder.lock:
            known = folder.listing.entry(id).facts
        with self._lock:
            if known is not None and known.hash in self._kept:
                self._kept.move_to_end(known.hash)
                return self._kept[known.hash], known.hash
        content = content_of(folder, id)
        picture = picture_from_bytes(content, id)
        picture.thumbnail((THUMB, THUMB))
        made, hash = png_of(picture), known.hash if known else facts_of(content).hash
        with self._lock:
            self._kept[hash] = made
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made, hash
