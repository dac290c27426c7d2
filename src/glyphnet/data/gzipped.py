"""Files that may be gzipped, read in bounded pieces: never more than was asked for is unpacked."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..errors import BadFileError
from ..files import open_input

PIECE = 1 << 20  # bytes unpacked at a time: small beside memory, large beside Python's overhead
PACKED_PIECE = 1 << 16  # bytes of gzip read at a time: what does not fit into a piece is copied for the next

GZIP_MAGIC = b"\x1f\x8b"

# Deflate turns at most 1,032 bytes into one (zlib's own technical notes): more cannot be inside, whatever is
# announced.
MAX_RATIO = 1032


def is_gzipped(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins as gzip does; not by its name, because browsers unpack and keep ``.gz``."""
    with opened(path) as file:
        return file.read(2) == GZIP_MAGIC


def opened(path: str | os.PathLike[str]) -> IO[bytes]:
    """A file on disk or in an archive, open for reading: see `files.open_input`."""
    if isinstance(path, str | Path) or not hasattr(path, "open"):
        return open_input(path)
    inside: IO[bytes] = path.open()
    return inside


def unpacked(path: str | os.PathLike[str], limit: int | None = None) -> Iterator[bytes]:
    """The content of a file in pieces, gunzipped where the file is gzip.

    Args:
        path: the file.
        limit: stop after this many bytes of content; None reads to the end.

    Raises:
        BadFileError: the gzip stream is truncated, damaged, or followed by something else.
    """
    with opened(path) as file:
        packed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        plain = iter(lambda: file.read(PACKED_PIECE if packed else PIECE), b"")
        left = limit
        for piece in _gunzip(path, plain) if packed else plain:
            if left is not None and len(piece) >= left:
                yield piece[:left]
                return
            if left is not None:
                left -= len(piece)
            yield piece


def gunzipped(content: bytes, path: str | os.PathLike[str], limit: int) -> bytes:
    """Gzip in memory, unpacked; ``path`` is what messages call it.

    Raises:
        BadFileError: it is truncated, damaged, followed by something else, or unpacks to more than ``limit`` bytes.
    """
    pieces, size = [], 0
    for piece in _gunzip(path, iter((content,))):
        size += len(piece)
        if size > limit:
            raise BadFileError(path, f"unpacks to more than {limit:,} bytes", "Divide it.")
        pieces.append(piece)
    return b"".join(pieces)


def _gunzip(path: str | os.PathLike[str], pieces: Iterator[bytes]) -> Iterator[bytes]:
    remedy = "Copy or download the file again."
    inflate = zlib.decompressobj(wbits=31)  # 31: gzip's own header and checksum are checked
    waiting = b""
    try:
        while waiting or (waiting := next(pieces, b"")):
            if inflate.eof:  # gzip allows several members, one after another
                waiting = waiting + next(pieces, b"") if len(waiting) < 2 else waiting
                if not waiting.startswith(GZIP_MAGIC):
                    raise BadFileError(path, "the gzip data are followed by bytes that are not gzip", remedy)
                inflate = zlib.decompressobj(wbits=31)
            yield inflate.decompress(waiting, PIECE)
            waiting = inflate.unconsumed_tail or inflate.unused_data
        # What a full output buffer kept back comes without further input.
        while tail := inflate.decompress(b"", PIECE):
            yield tail
    except zlib.error as error:
        raise BadFileError(path, f"the gzip data are damaged ({error})", remedy) from None
    if not inflate.eof:
        raise BadFileError(path, "the gzip data end too early: the file is truncated", remedy)


def content_sha256(path: str | os.PathLike[str], limit: int | None = None) -> tuple[str, int]:
    """SHA-256 (hex) of the unpacked content, and its size in bytes.

    Args:
        path: the file, gzipped or not.
        limit: read at most one byte more than this: enough to see that the content is too long.

    Raises:
        BadFileError: the gzip stream is damaged.
    """
    digest, size = hashlib.sha256(), 0
    for piece in unpacked(path, None if limit is None else limit + 1):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size
