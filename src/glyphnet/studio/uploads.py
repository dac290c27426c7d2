"""What a client sends: JSON, one picture, or files of any size, which wait on the disk and not in memory."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import IO, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from ..files import nameless_file
from ..serving.api import APIError
from ..serving.bodies import File, Parts, TooManyPartsError
from .errors import StudioError, of_disk

JSON_BYTES = 16 << 20
PICTURE_BYTES = 64 << 20
UPLOAD_BYTES = 2 << 30
MOST_FILES = 20_000
IN_MEMORY = 1 << 20
"""Bytes of a file that wait in memory; a larger one goes to the disk."""


class Spool:
    """The content of one file: in memory while it is small, else in a file without a name."""

    def __init__(self) -> None:
        self._memory: bytearray | None = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0

    def extend(self, piece: bytes) -> None:
        """Append."""
        self.size += len(piece)
        if self._memory is not None and self.size <= IN_MEMORY:
            self._memory += piece
            return
        if self._file is None:
            self._file = nameless_file()
            self._file.write(self._memory or b"")
            self._memory = None
        self._file.write(piece)

    def head(self, count: int) -> bytes:
        """The first bytes."""
        if self._file is None:
            return bytes((self._memory or b"")[:count])
        self._file.seek(0)
        return self._file.read(count)

    def pieces(self) -> Iterator[bytes]:
        """All of it."""
        if self._file is None:
            yield bytes(self._memory or b"")
            return
        self._file.seek(0)
        while piece := self._file.read(1 << 20):
            yield piece

    def content(self) -> bytes:
        """All of it, in memory."""
        return b"".join(self.pieces())

    def close(self) -> None:
        """Free it."""
        self._memory = None
        if self._file is not None:
            self._file.close()


async def read_body(request: Request, most: int) -> bytes:
    """The body, at most so many bytes; StudioError 413 for a larger one."""
    _check_declared(request, most)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise _too_large(most)
    return bytes(body)


async def read_json(request: Request) -> dict[str, Any]:
    """The object in a body of JSON."""
    try:
        value = json.loads(await read_body(request, JSON_BYTES) or b"{}")
    except (ValueError, RecursionError) as error:
        raise StudioError(400, f"The body is not valid JSON: {str(error)[:200]}.") from None
    if not isinstance(value, dict):
        raise StudioError(400, "The body must be one JSON object.")
    return value


@contextlib.asynccontextmanager
async def files_of(request: Request) -> Any:
    """The files of a multipart body; they are freed at the end of the block.

    Raises:
        StudioError: too many bytes or files, a body that is cut off or damaged, a full disk.
    """
    _check_declared(request, UPLOAD_BYTES)
    spools: list[Spool] = []

    def begin() -> Spool:
        spools.append(Spool())
        return spools[-1]

    try:
        parts = Parts(request.headers.get("content-type", ""), MOST_FILES, begin, lambda spool: spool)
        received = 0
        async for piece in request.stream():
            received += len(piece)
            if received > UPLOAD_BYTES:
                raise _too_large(UPLOAD_BYTES)
            if received <= IN_MEMORY:
                parts.write(piece)
            else:
                await run_in_threadpool(parts.write, piece)
        found: list[File] = parts.end()
        yield found
    except TooManyPartsError:
        raise StudioError(413, f"The request has more than {MOST_FILES:,} files. Send them in parts.") from None
    except APIError as error:
        raise StudioError(error.status, str(error)) from None
    except OSError as error:
        if isinstance(error, ClientDisconnect):
            raise
        raise of_disk(error, "") from error
    finally:
        for spool in spools:
            spool.close()


def _check_declared(request: Request, most: int) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:20]) > most:
        raise _too_large(most)


def _too_large(most: int) -> StudioError:
    return StudioError(413, f"The body has more than {most:,} bytes, the limit. Send it in parts.")
