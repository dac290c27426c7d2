"""Listening, serving and stopping: the process around the service."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from ..errors import SettingsError
from ..predictor import load_predictor
from .app import SECURITY, Gate, HostPolicy, OnAnswer, make_app, predict_directly
from .connections import Acceptor, ConnectionPool, GuardedProtocol
from .limits import Limits
from .pages import front_page
from .service import MODEL_THREADS, Model, Service, about_model, model_id

SWITCH_SECONDS = 0.0002
"""How long a thread of Python computes before another may: with its 5 ms the model would wait at each of its layers."""


def load(path: str | os.PathLike[str]) -> Model:
    """A model file and all that is served of it.

    Raises:
        ModelFileError, MissingExtraError: see `load_predictor`.
    """
    predictor = load_predictor(path, threads=MODEL_THREADS)
    identity = model_id(path)
    name = Path(path).name
    return Model(name, identity, predictor, about_model(predictor, identity), front_page(predictor, name))


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any that is free.

    Raises:
        SettingsError: there is no such host.
        OSError: the port is taken or not allowed.
    """
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, OverflowError) as error:
        raise SettingsError(f"--host {host!r} is not an address to listen on: {error}.") from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name != "nt":  # where it would let another program take the port over
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        error.filename = address_of(host, port)
        raise
    return listener


def address_of(host: str, port: int) -> str:
    """``http://127.0.0.1:8000``."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server:
    """A model in service on a socket.

    Args:
        model: from `load`.
        listener: from `listen`; the server closes it.
        hosts, origins: see `HostPolicy`.
        on_answer: called for every request that was answered.
    """

    def __init__(
        self,
        model: Model,
        listener: socket.socket,
        limits: Limits | None = None,
        *,
        hosts: Collection[str] = (),
        origins: Collection[str] = (),
        on_answer: OnAnswer | None = None,
    ) -> None:
        self.host, self.port = listener.getsockname()[:2]
        self._model = model
        self._listener = listener
        self._limits = limits or Limits()
        self._policy = HostPolicy(self.host, hosts, origins)
        self._on_answer = on_answer
        self._uvicorn: GuardedServer | None = None

    @property
    def address(self) -> str:
        """Where it is to be asked."""
        return address_of(self.host, self.port)

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve until SIGTERM, SIGINT or `stop`; every request admitted before that is answered.

        First ``/readyz`` says that no more should come; ``notice_seconds`` later no connection is taken any more.

        Args:
            on_ready: called when requests are answered.
        """
        logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of bodies that we refuse
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            with asyncio.Runner(loop_factory=fast_loop()) as runner:
                runner.run(self._serve(on_ready))
        finally:
            sys.setswitchinterval(before)

    def stop(self) -> None:
        """As SIGTERM; from any thread."""
        if self._uvicorn is not None:
            self._uvicorn.handle_exit(0, None)

    async def _serve(self, on_ready: Callable[[], None]) -> None:
        service = Service(self._model, self._limits)
        pool = ConnectionPool(self._limits, SECURITY, service.metrics.refused)
        service.metrics.watch("glyphnet_connections", "Connections that are open.", lambda: len(pool.inside))

        def on_answer(client: str, method: str, path: str, status: int, seconds: float) -> None:
            service.metrics.answered(method, path, status, seconds)
            if self._on_answer is not None:
                self._on_answer(client, method, path, status, seconds)

        direct = {("POST", "/predict"): predict_directly(service)}
        gate = Gate(make_app(service), self._policy, on_answer, direct, lambda: service.stopping)

        def stopping() -> None:
            service.stopping = True

        self._uvicorn = GuardedServer(
            gate, self._limits, pool, self._listener, on_ready, stopping, service.wait, service.close
        )
        try:
            await self._uvicorn.run_to_end()
        finally:
            service.close()


class GuardedServer(uvicorn.Server):
    """uvicorn behind guarded connections; it says "not ready" before it stops, and then ends with status 0.

    Args:
        app: an ASGI application.
        limits: times of connections, and of stopping.
        pool: all connections.
        listener: the server closes it.
        on_ready: called when requests are answered.
        on_stop: called when the server is asked to stop, ``notice_seconds`` before it takes no more connections.
        prepare: waits, in a thread, for what must be there before the first connection is taken; None for nothing.
        finish: ends, in a thread, what answers requests, once all are answered and while the last clients leave.
    """

    def __init__(
        self, app: Any, limits: Limits, pool: ConnectionPool, listener: socket.socket, on_ready: Callable[[], None],
        on_stop: Callable[[], None], prepare: Callable[[], None] | None = None,
        finish: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        super().__init__(_config(app, limits))
        self._listener = listener
        self._acceptor: Acceptor | None = None
        self._limits = limits
        self._pool = pool
        self._on_ready, self._on_stop, self._prepare, self._finish = on_ready, on_stop, prepare, finish
        self._stop_at: float | None = None

    async def run_to_end(self) -> None:
        """Serve until a signal."""
        watching = asyncio.create_task(self._pool.watch())
        try:
            await self.serve([])  # it takes no connections itself
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take connections."""
        await super().startup(sockets)
        if self._prepare is not None:
            await asyncio.to_thread(self._prepare)
        self._acceptor = Acceptor(self._listener, self._make_connection)
        self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop soon; at once on a second signal."""
        if self._stop_at is not None and sig:  # the second signal ends it at once
            self.should_exit = self.force_exit = True
            return
        self._on_stop()
        self._stop_at = time.monotonic() + self._limits.notice_seconds

    async def on_tick(self, counter: int) -> bool:
        """Whether to end now."""
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was asked, and end the connections."""
        if self._acceptor is not None:
            await self._acceptor.close()
        self._pool.close_soon(self._limits.stop_seconds / 6)
        await super().shutdown(sockets)
        await asyncio.gather(self._pool.all_gone(), asyncio.to_thread(self._finish))

    def _make_connection(self) -> asyncio.Protocol:
        def behind(guard: GuardedProtocol) -> asyncio.Protocol:
            state = {"connection": guard}  # uvicorn puts it into the scope of each request
            protocol: Any = self.config.http_protocol_class
            made: asyncio.Protocol = protocol(config=self.config, server_state=self.server_state, app_state=state)
            return made

        return GuardedProtocol(self._pool, behind)


def _config(app: Any, limits: Limits) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(limits.idle_seconds) + 1,
        timeout_graceful_shutdown=int(limits.stop_seconds + 0.999),
    )


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop, where there is one."""
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return None
    return uvloop.new_event_loop
