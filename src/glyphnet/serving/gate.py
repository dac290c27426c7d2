"""What every request passes on its way in and every answer on its way out."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .refusals import Refusal

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of every answer; pages say their own policy, which allows their own scripts by hash."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")

OnAnswer = Callable[[str, str, str, int, float], None]
"""Called with client, method, path, status and seconds."""


class Callers:
    """Who may ask: hosts by which the service is called, and origins of pages that may ask from elsewhere.

    A page of any site can have its own name point to 127.0.0.1 and then read what is served there (DNS
    rebinding): but its Host header tells. An address in numbers cannot be pointed anywhere.

    Args:
        bound: the address that the service listens on.
        hosts: names, without port, by which it may be called beside that and loopback; ``*`` allows all.
        origins: such as ``https://example.org``; ``*`` allows all.
    """

    def __init__(self, bound: str, hosts: Collection[str] = (), origins: Collection[str] = ()) -> None:
        self._hosts = {name.lower().strip("[]") for name in (*LOOPBACK, bound, *hosts)}
        self._any_address = _is_address(bound) and ipaddress.ip_address(bound).is_unspecified
        self.origins = frozenset(origin.rstrip("/") for origin in origins)

    def check(self, hosts: list[str], origin: str | None) -> None:
        """Raises:
        Refusal: host_not_allowed, origin_not_allowed.
        """
        name = _host_of(hosts[0]) if len(hosts) == 1 else None
        if name is None or not (name in self._hosts or "*" in self._hosts or (self._any_address and _is_address(name))):
            raise Refusal(
                "host_not_allowed",
                "This service is not called by the name that the request's Host header has.",
                "Ask by its address, or start it with --allow-host NAME.",
            )
        if origin is None or self.allows(origin):
            return
        if origin not in (f"http://{hosts[0]}", f"https://{hosts[0]}"):
            raise Refusal(
                "origin_not_allowed",
                "Pages of other sites may not ask this service.",
                "Start it with --allow-origin ORIGIN.",
            )

    def allows(self, origin: str) -> bool:
        """Whether pages of another origin may ask, and read the answer."""
        return origin in self.origins or "*" in self.origins


class Gate:
    """The ASGI application around the service: who may ask, headers of every answer, and a word on each to `OnAnswer`.

    Args:
        app: answers all requests but those of ``direct``.
        direct: method and path → what answers them at once.
        stopping: whether each answer says that its connection closes.
    """

    def __init__(
        self,
        app: ASGIApp,
        callers: Callers,
        on_answer: OnAnswer,
        direct: Mapping[tuple[str, str], ASGIApp] | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._app = app
        self._direct = direct or {}
        self._callers = callers
        self._on_answer = on_answer
        self._stopping = stopping
        self._security = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        began = time.perf_counter()
        status = 0
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        origin = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), None)
        shared = self._shared(origin)

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name for name, _ in message["headers"]}
                extra = [pair for pair in self._security if pair[0] not in given]
                last = [(b"connection", b"close")] if self._stopping() else []
                message["headers"] = [*message["headers"], *extra, *shared, *last]
            await send(message)

        try:
            try:
                self._callers.check(hosts, origin)
            except Refusal as refusal:
                await send_refusal(refusal, send_on)
                return
            if shared and scope["method"] == "OPTIONS":
                await send_answer(send_on, 204, {}, b"")
                return
            app = self._direct.get((scope["method"], scope["path"]), self._app)
            await app(scope, receive, send_on)
        finally:
            if (connection := scope.get("state", {}).get("connection")) is not None:
                connection.answered()
            client = scope["client"][0] if scope.get("client") else "-"
            self._on_answer(client, scope["method"], scope["path"], status, time.perf_counter() - began)

    def _shared(self, origin: str | None) -> list[tuple[bytes, bytes]]:
        """What a browser wants to read before a page of another origin may see the answer."""
        if origin is None or not self._callers.allows(origin):
            return []
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", b"content-type"),
            (b"vary", b"origin"),
        ]


async def send_refusal(refusal: Refusal, send: Send) -> None:
    """A refusal as an answer."""
    await send_answer(send, refusal.status, {"Content-Type": "application/json", **refusal.headers}, refusal.body)


async def send_answer(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """A whole answer."""
    pairs: list[Any] = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    if status != 204:
        pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _host_of(header: str) -> str | None:
    """The name in a Host header, lower case, without port and brackets; None where it is none."""
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname if parts.netloc == header and parts.username is None else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
