"""What a picture may cost before it is decoded: plain ones are decoded at once, all others where they can be stopped.

A few kilobytes can keep a decoder busy for minutes or fill the memory: a JPEG of thousands of scans, a TIFF of a
million tiles, an icon with a giant inside. Nearly all pictures are a PNG or a JPEG without any of this, as the bytes
show at once. The rest goes to a worker process that is killed after a deadline or beyond its share of memory.
"""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import BadFileError
from ..processes import BUSY, WORKERS, WorkerDiedError, Workers

SECONDS = 60.0  # for one picture in a worker
MEMORY = 200_000_000
"""Bytes that reading one may take, beyond the file's own: the header refuses pictures that need more."""
MOST_SCANS = 100  # of a JPEG: encoders write up to about 20
QUICK_SCANS = 16
QUICK_CHUNKS, QUICK_CHUNK_BYTES = 64, 4096  # a plain PNG has so many chunks, and one more for each so many bytes
QUICK_PACKED = 4  # packed texts and colour profiles among these chunks, at most
QUICK_BYTES, QUICK_PIXELS = 16 << 10, 1 << 20  # a file of another common format is plain up to these

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_SCAN = b"\xff\xda"
_PACKED = (b"iCCP", b"zTXt", b"iTXt")  # chunks that Pillow unpacks, a megabyte each
_INSIDE = re.compile(rb"(?:IHDR|ihdr)(.{8})", re.DOTALL)


class Size(NamedTuple):
    """Of a plain picture, by its header."""

    width: int
    height: int


def plain_size(data: bytes) -> Size | None:
    """The size of a picture whose decoding takes at most a second for 50 million pixels; None: it may take longer."""
    if data.startswith(_PNG):
        return _plain_png(data)
    if data.startswith(_JPEG):
        return _plain_jpeg(data)
    return _plain_other(data) if len(data) <= QUICK_BYTES else None


def check_inside(data: bytes, name: str | os.PathLike[str], most_pixels: int) -> None:
    """Raise BadFileError for a JPEG of too many scans, and for an icon whose pictures have too many pixels."""
    if data.startswith(_JPEG):
        if (scans := data.count(_SCAN)) > MOST_SCANS:
            raise BadFileError(name, f"{scans:,} scans, more than the limit of {MOST_SCANS}", "Save it again.")
    elif data.startswith((b"\0\0\1\0", b"\0\0\2\0", b"icns")):
        for found in _INSIDE.finditer(data):
            width, height = struct.unpack(">II", found[1])
            if width * height > most_pixels:
                reason = f"holds a picture of {width:,} × {height:,} pixels, more than the limit of {most_pixels:,}"
                raise BadFileError(name, reason, "Save it smaller or remove it.")


def _plain_png(data: bytes) -> Size | None:
    """The size of a PNG of one frame, few chunks and few packed ones."""
    if len(data) < 33 or data[12:16] != b"IHDR":
        return None
    size = Size(*struct.unpack_from(">II", data, 16))
    place, packed, most = 33, 0, QUICK_CHUNKS + len(data) // QUICK_CHUNK_BYTES
    for _ in range(most):
        kind = data[place + 4 : place + 8]
        if kind == b"IEND" or len(kind) < 4:
            return size
        packed += kind in _PACKED
        if packed > QUICK_PACKED or kind in (b"IHDR", b"acTL"):  # a second header would say another size
            return None
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return None


def _plain_jpeg(data: bytes) -> Size | None:
    """The size of a JPEG of few scans and few segments before the first."""
    if data.count(_SCAN) > QUICK_SCANS:
        return None
    place, size = 2, None
    for _ in range(QUICK_CHUNKS):
        if place + 9 > len(data) or data[place] != 0xFF:
            return None
        kind = data[place + 1]
        if kind == 0xDA:
            return size
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, place + 5)
            size = Size(width, height)
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def _plain_other(data: bytes) -> Size | None:
    """The size of a small file of a format that Pillow reads in C, or quickly."""
    if data.startswith(b"BM") and len(data) >= 26:
        width, height = struct.unpack_from("<ii", data, 18)
    elif numbers := re.match(rb"P[1-6]\s+(\d{1,6})\s+(\d{1,6})\s", data):
        width, height = int(numbers[1]), int(numbers[2])
    else:
        return None
    size = Size(abs(width), abs(height))
    return size if size.width * size.height <= QUICK_PIXELS else None


# All other pictures

_workers: Workers | None = None


def picture_workers(module: str, most: int, *, forks: bool = True, busy: int = BUSY) -> Workers:
    """Workers that run ``answer_parent`` of a module after its ``prepare_worker``; plain pictures need no forks."""
    work, prepare = f"{module}:answer_parent", f"{module}:prepare_worker"
    return Workers(work, most=most, memory=MEMORY, prepare=prepare, forks=forks, busy=busy)


def in_worker(request: Mapping[str, Any], data: bytes, name: str | os.PathLike[str]) -> tuple[dict[str, Any], bytes]:
    """The result of `decode.answer_parent` in a worker; it raises as `ask` does."""
    global _workers
    _workers = _workers or picture_workers("glyphnet.data.decode", WORKERS)
    return ask(_workers, {**request, "name": os.fspath(name)}, data, time.monotonic() + SECONDS, SECONDS)


def ask(
    workers: Workers, request: Mapping[str, Any], data: bytes, end: float, seconds: float
) -> tuple[dict[str, Any], bytes]:
    """The answer of workers on the picture ``request["name"]``, until ``end``, ``seconds`` after the request.

    A bad answer, and decoding that takes too long or too much memory, are a BadFileError.
    """
    try:
        answer, body = workers(request, data, end)
    except (TimeoutError, WorkerDiedError) as error:
        reason = "cannot be decoded: the decoder crashed on it"
        if isinstance(error, TimeoutError):
            reason = f"takes longer than {seconds:g} s to decode"
        raise BadFileError(request["name"], reason, "Save it smaller, or as a plain PNG or JPEG.") from None
    if "bad" in answer:
        raise BadFileError(request["name"], *answer["bad"])
    return answer, body


def packed(value: Image.Image | npt.NDArray[Any]) -> tuple[dict[str, Any], bytes | memoryview]:
    """A picture (L or RGB) or an array, to send to another process."""
    if isinstance(value, Image.Image):
        width, height = value.size
        row = width * len(value.getbands())
        content, rows = bytearray(row * height), max(1, (1 << 20) // row)
        for top in range(0, height, rows):  # `tobytes` of all of it would hold it twice
            strip = value.crop((0, top, width, min(top + rows, height))).tobytes()
            content[top * row : top * row + len(strip)] = strip
        return {"mode": value.mode, "size": value.size}, memoryview(content)
    return {"dtype": value.dtype.str, "shape": value.shape}, value.tobytes()


def unpacked(answer: Mapping[str, Any], body: bytes) -> Image.Image | npt.NDArray[Any]:
    """The inverse of `packed`."""
    if "mode" in answer:
        return Image.frombytes(answer["mode"], tuple(answer["size"]), body)
    return np.frombuffer(body, dtype=np.dtype(answer["dtype"])).reshape(answer["shape"])
