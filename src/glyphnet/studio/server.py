"""The studio's process: a folder, a port, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Callable

from ..pages.studio import studio_page
from ..serving.app import SECURITY, Gate, HostPolicy
from ..serving.connections import ConnectionPool
from ..serving.limits import Limits
from ..serving.server import GuardedServer, address_of, fast_loop
from .app import Secret, make_app
from .folder import Folder
from .workshop import Workshop

LIMITS = Limits(
    body_seconds=900, answer_seconds=3600, idle_seconds=120, connections=64, notice_seconds=0, stop_seconds=4
)
"""Of connections: an upload may take long, and so may a stream of events, which then begins again."""


class StudioServer:
    """A studio on a socket.

    Args:
        folder: it is closed at the end.
        listener: from `serving.listen`; the server closes it.
        token: the secret part of the address; a new random one unless given.
    """

    def __init__(self, folder: Folder, listener: socket.socket, token: str | None = None) -> None:
        self.host, self.port = listener.getsockname()[:2]
        self.token = token or secrets.token_urlsafe(18)
        self._folder = folder
        self._listener = listener
        self._server: GuardedServer | None = None

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"{address_of(self.host, self.port)}/{self.token}/"

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve until SIGTERM, SIGINT or `stop`; trainings go on in processes of their own."""
        logging.getLogger("python_multipart").setLevel(logging.ERROR)
        try:
            with asyncio.Runner(loop_factory=fast_loop()) as runner:
                runner.run(self._serve(on_ready))
        finally:
            self._folder.close()

    def stop(self) -> None:
        """As SIGTERM; from any thread."""
        if self._server is not None:
            self._server.handle_exit(0, None)

    async def _serve(self, on_ready: Callable[[], None]) -> None:
        workshop = Workshop(self._folder)
        app = Secret(make_app(workshop, studio_page("server").encode()), self.token)
        pool = ConnectionPool(LIMITS, SECURITY, lambda _: None)
        gate = Gate(app, HostPolicy(self.host), lambda *_: None)
        self._server = GuardedServer(gate, LIMITS, pool, self._listener, on_ready, workshop.hub.stop)
        tasks = [asyncio.create_task(workshop.watch()), asyncio.create_task(workshop.tell())]
        try:
            await self._server.run_to_end()
        finally:
            for task in tasks:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks)
            workshop.close()
