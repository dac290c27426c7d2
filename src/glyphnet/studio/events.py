"""Server-sent events: every open page hears of every change, and a page that comes back gets what holds now."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

SILENCE_SECONDS = 15.0
"""After which a comment is sent, so that a connection that is gone is noticed."""

_MOST_WAITING = 1000  # events of a page that reads too slowly: it is cut off, and comes back

Event = tuple[str, Any]
"""The name, and plain JSON values."""


class Hub:
    """Hands events to all open pages; made on the event loop that serves them.

    Args:
        present: gives the events that tell a new page what holds now.
    """

    def __init__(self, present: Callable[[], Iterable[Event]]) -> None:
        self._present = present
        self._loop = asyncio.get_running_loop()
        self._pages: set[asyncio.Queue[bytes | None]] = set()
        self._stopped = False

    def publish(self, name: str, value: Any) -> None:
        """Send an event to all pages; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._hand_out, encoded(name, value))

    def stop(self) -> None:
        """End all streams."""
        self._stopped = True
        for page in self._pages:
            page.put_nowait(None)

    async def stream(self) -> AsyncIterator[bytes]:
        """What one page hears."""
        page: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._pages.add(page)
        try:
            present = await asyncio.to_thread(lambda: [encoded(*event) for event in self._present()])
            yield b"retry: 500\n\n"
            for event in present:
                yield event
            while not self._stopped:
                try:
                    async with asyncio.timeout(SILENCE_SECONDS):
                        piece = await page.get()
                except TimeoutError:
                    piece = b": still here\n\n"
                if piece is None:
                    return
                yield piece
        finally:
            self._pages.discard(page)

    def _hand_out(self, event: bytes) -> None:
        for page in self._pages:
            page.put_nowait(event if page.qsize() < _MOST_WAITING else None)


def encoded(name: str, value: Any) -> bytes:
    """An event as the stream carries it."""
    return f"event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
