"""Reading the body of a request into memory, within its limits."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.requests import ClientDisconnect, Request

from .limits import Limits
from .refusals import Refusal

FREE_BYTES = 64 << 10
"""Of each body that count for nothing: whoever sends a small picture is not kept out by those who send large ones."""

DROPPING_SECONDS = 1.0


class Bodies:
    """Reads bodies, and counts what all large ones take together.

    How long a body may take is the connection's business: see `connections`.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffered = 0

    async def read(self, request: Request, most: int) -> bytes:
        """The body, at most ``most`` bytes.

        Raises:
            Refusal: body_too_large, known from Content-Length before anything is read, or as soon as more has come;
                too_many_bytes.
            ClientDisconnect: the client has gone; nobody is there to be answered.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared[:20]) > most:
            await _let_it_pass(request)
            raise _too_large(most)
        message = await request.receive()
        if message["type"] == "http.request" and not message.get("more_body"):  # nearly always: all of it at once
            body: bytes = message.get("body", b"")
            if len(body) > most:
                raise _too_large(most)
            return body
        return await self._in_parts(request, message.get("body", b""), message["type"], most)

    async def _in_parts(self, request: Request, beginning: bytes, kind: str, most: int) -> bytes:
        body, more, counted = bytearray(beginning), True, 0
        try:
            while True:
                if kind == "http.disconnect":
                    raise ClientDisconnect
                if len(body) > most:
                    body.clear()
                    await _let_it_pass(request)
                    raise _too_large(most)
                counted += self._count(len(body) - FREE_BYTES - counted)
                if not more:
                    return bytes(body)
                message = await request.receive()
                kind, more = message["type"], message.get("more_body", False)
                body += message.get("body", b"")
        finally:
            self._buffered -= counted

    def _count(self, more: int) -> int:
        if more <= 0:
            return 0
        if self._buffered + more > self._limits.buffered_bytes:
            raise Refusal(
                "too_many_bytes",
                "Too many large bodies are being read at once.",
                "Ask again in a second, or send less.",
            )
        self._buffered += more
        return more


async def _let_it_pass(request: Request) -> None:
    """Take the rest of a body and drop it, for a while: many clients read no answer before they have sent all."""
    if request.headers.get("expect"):  # this one waits to be told
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DROPPING_SECONDS):
            while (await request.receive()).get("more_body"):
                pass


def _too_large(most: int) -> Refusal:
    return Refusal(
        "body_too_large", f"The body has more than {most:,} bytes, the limit.", "Send fewer or smaller pictures."
    )
