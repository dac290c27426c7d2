"""Taking connections from the listening socket, many at a time.

uvloop takes one in each turn of its loop. Under load a turn takes long, and newcomers would wait for seconds while
those who are in already are answered.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

AT_ONCE = 64
PAUSE_SECONDS = 0.5
"""Before the next attempt when the process has no file handle left."""

_NO_HANDLES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Acceptor:
    """Makes a connection of everyone who comes to a socket.

    Args:
        listener: it listens; the acceptor closes it.
        make: makes the protocol of a connection.
    """

    def __init__(self, listener: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        self._listener = listener
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[object]] = set()
        listener.setblocking(False)
        self._loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Take those who wait at the door, and no more: closed on, they would get a reset."""
        if self._listener.fileno() >= 0:
            while self._accept():
                pass
            self._loop.remove_reader(self._listener)
            self._listener.close()

    def _accept(self) -> bool:
        """Take some; whether there may be more."""
        for _ in range(AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return False
            except OSError as error:
                if error.errno not in _NO_HANDLES:
                    raise
                self._loop.remove_reader(self._listener)
                self._loop.call_later(PAUSE_SECONDS, self._again)
                return False
            connection.setblocking(False)
            task = self._loop.create_task(self._begin(connection))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)
        return True

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, connection)
        except OSError:  # it has gone already
            connection.close()

    def _again(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)
