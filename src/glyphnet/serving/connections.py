"""What the service does about connections: how many, how long each may take for what, and which has to give way.

uvicorn has no bound on the time or the size of a request's head, and turns newcomers away when it is full. Here every
connection is in a phase, each phase ends by a deadline, and a full house asks the connection to leave that has
kept it waiting for longest: a client that opens connections and says nothing keeps out only itself.

`GuardedProtocol` stands between the socket and uvicorn's own protocol, and hands on only whole heads and sound bodies.
It uses nothing of uvicorn but what every asyncio server has: a protocol with a transport.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import re
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping
from enum import Enum
from typing import cast

import httptools

from .api import APIError
from .limits import Limits

AT_ONCE = 64
PAUSE_SECONDS = 0.5
"""Before the next attempt when the process has no file handle left."""
HANDSHAKE_SECONDS = 0.05
"""For the last packet of a handshake that has begun when the service stops."""

_SO_ATTACH_FILTER = 26
"""Linux's number of the option, which Python does not name."""
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

    async def close(self) -> None:
        """Accept the connections that are made already, and no more; returns once their protocols have them.

        Closing the listener resets what it has not handed out yet. Therefore it first stops answering new clients,
        who find the port closed when they try again, and then hands out the rest.
        """
        if self._listener.fileno() < 0:
            return
        self._loop.remove_reader(self._listener)
        if _ignore_new_clients(self._listener):
            await asyncio.sleep(HANDSHAKE_SECONDS)
        while self._accept():
            pass
        self._listener.close()
        await asyncio.gather(*self._beginning)

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


def _ignore_new_clients(listener: socket.socket) -> bool:
    """Drop the first packet of every new client from now on; False where the system cannot do so.

    A client's first packet has the SYN flag without the ACK flag, in byte 13 of the TCP header. All others pass, so
    that a handshake that has begun ends well. The program is in the language of Linux's socket filters: load the
    byte, mask both flags, compare, keep nothing or all of the packet.
    """
    program = [(0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    if sys.platform != "linux":
        return False
    try:
        listener.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(code))
        )
    except OSError:
        return False
    return True


SWEEP_SECONDS = 0.25
LEAVING_SECONDS = 0.5
"""For the client to read why it has to go: closed at once, with something unread, the answer could be lost."""
LAST_LEAVING_SECONDS = 1.5
"""The same for idle clients while the service stops: who is about to ask again reads the end, not a reset."""
GRACE_SECONDS = 0.5
"""For a request that is on its way when the service stops."""
SPARED_SECONDS = 1.0
"""For a client that has just come, or was just answered, to ask before it has to make room for another."""


class Phase(Enum):
    """What a connection is about. In all but ANSWER it is the client that keeps us waiting."""

    IDLE = "between two requests"
    HEAD = "its head arrives"
    BODY = "its body arrives"
    ANSWER = "it is answered"
    REST = "answered already, while the body still arrives"


class ConnectionPool:
    """The open connections of the service.

    Args:
        limits: their number and their times.
        security: headers of every answer.
        on_refusal: called with the code of each refusal that is written here.
    """

    def __init__(self, limits: Limits, security: Mapping[str, str], on_refusal: Callable[[str], None]) -> None:
        self.limits = limits
        self.security = security
        self.on_refusal = on_refusal
        self.inside: dict[GuardedProtocol, None] = {}
        self.leaving: dict[GuardedProtocol, None] = {}
        self.closing = False
        self.seconds = {
            Phase.IDLE: limits.idle_seconds,
            Phase.HEAD: limits.head_seconds,
            Phase.BODY: limits.body_seconds,
            Phase.ANSWER: limits.answer_seconds,
            Phase.REST: min(2.0, limits.body_seconds),
        }

    def enter(self, newcomer: GuardedProtocol) -> bool:
        """Add a connection, closing an idle or slow one if the pool is full; False if all are busy.

        Those who have been silent for a while leave first, then those who have kept us waiting for longest: slow
        bodies in all places do not push out one who has just come.
        """
        if len(self.inside) >= self.limits.connections:
            waiting = [one for one in self.inside if one.phase is not Phase.ANSWER]
            if not waiting:
                return False
            recent = time.monotonic() - SPARED_SECONDS
            min(waiting, key=lambda one: (one.phase is Phase.BODY or one.since > recent, one.since)).make_room()
        self.inside[newcomer] = None
        return True

    async def all_gone(self) -> None:
        """Wait until every closing connection has closed."""
        while self.leaving:
            await asyncio.sleep(SWEEP_SECONDS / 10)

    async def watch(self) -> None:
        """Close connections whose deadline has passed; runs until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            for connection in [*self.inside, *self.leaving]:
                if now >= connection.deadline:
                    connection.time_is_up()

    def close_soon(self, seconds: float) -> None:
        """Bring forward the deadlines of all from whom no whole request has come."""
        self.closing = True
        end = time.monotonic() + seconds
        for connection in self.inside:
            if connection.phase is not Phase.ANSWER:
                connection.deadline = min(connection.deadline, end)


class GuardedProtocol(asyncio.Protocol):
    """A connection that knows its phase and its deadline.

    Args:
        pool: all connections.
        make: makes the protocol behind it, given this one; calls `answered` after each answer.
    """

    transport: asyncio.Transport

    def __init__(self, pool: ConnectionPool, make: Callable[[GuardedProtocol], asyncio.Protocol]) -> None:
        self.phase = Phase.HEAD
        self.since = self.deadline = 0.0
        self._pool = pool
        self._behind = make(self)
        self._is_gone = False  # for the protocol behind
        self._pending: APIError | None = None  # once earlier requests are answered
        self._head = bytearray()
        self._body: _Body | _Chunked | None = None
        self._begun = self._whole = self._answered = 0  # requests

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass of it
        self._behind.connection_made(_Transport(self))
        self._enter(Phase.HEAD)
        if not self._pool.enter(self):
            limit = self._pool.limits.connections
            self.leave(APIError("too_many_connections", f"All {limit} connections are in use.", "Retry in a second."))

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone, or was sent away."""
        self._pool.inside.pop(self, None)
        self._pool.leaving.pop(self, None)
        self._lose(exc)

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._behind.pause_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._behind.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        while data and not self._is_gone and self._pending is None:
            try:
                data = self._take_head(data) if self._body is None else self._take_body(self._body, data)
            except _TooLongError:
                limit = self._pool.limits.head_bytes
                self.leave(APIError("head_too_large", f"The head of the request has more than {limit:,} bytes."))
            except (httptools.HttpParserError, ValueError):
                self.leave(APIError("malformed", "Invalid HTTP request."))

    # What the protocol behind calls.

    def answered(self) -> None:
        """A request is answered."""
        self._answered += 1
        self._follow(restart=True)
        if self._pending is not None and self._whole == self._answered:
            self.leave(self._pending)

    def close(self) -> None:
        """Say that nothing more will come, and drop what still arrives: closed at once the client would get a reset."""
        if self._is_gone:
            return
        if self._pool.closing and self.phase in (Phase.IDLE, Phase.HEAD):
            # A request may be on its way: it is still answered.
            self.deadline = min(self.deadline, time.monotonic() + GRACE_SECONDS)
        else:
            self._linger()

    # What the pool call.

    def time_is_up(self) -> None:
        """The deadline of the phase has passed."""
        if self.phase is Phase.ANSWER or self.transport.is_closing() or self in self._pool.leaving:
            self.transport.abort()
        elif self.phase is Phase.BODY or (self.phase is Phase.HEAD and self._head):
            part, seconds = self.phase.name.lower(), self._pool.seconds[self.phase]
            self.leave(APIError("too_slow", f"The {part} of the request did not arrive within {seconds:g} seconds."))
        else:
            self._linger()

    def make_room(self) -> None:
        """Another connection needs the place."""
        if self.phase is Phase.BODY or (self.phase is Phase.HEAD and self._head):
            self.leave(APIError("too_many_connections", "This connection was slow, and others waited for its place."))
        else:
            self._linger()

    def leave(self, refusal: APIError) -> None:
        """Write a refusal, hear nothing more, close soon."""
        if self.transport.is_closing() or self._is_gone:
            self._linger()
            return
        if self._whole > self._answered:  # earlier requests are answered first
            self._pending = refusal
            self.transport.pause_reading()
            return
        self._pool.on_refusal(refusal.code)
        self._lose(None)
        self.transport.write(refusal.raw(self._pool.security))
        self._linger(LEAVING_SECONDS)  # it is told, and will not ask again

    # Its own.

    def _take_head(self, data: bytes) -> bytes:
        """Add to the head; what is left once it is whole has been handed on."""
        if not self._head:
            data = data.lstrip(b"\r\n")  # empty lines before a request are allowed
            if not data:
                return b""
        before = max(0, len(self._head) - 3)
        self._head += data
        end = self._head.find(b"\r\n\r\n", before)
        size = len(self._head) if end < 0 else end + 4
        if size > self._pool.limits.head_bytes:
            raise _TooLongError
        if end < 0:
            _Head().feed(self._head)  # what is no HTTP is refused at once
            self._follow(restart=size == len(data))
            return b""
        head, rest = bytes(self._head[:size]), bytes(self._head[size:])
        self._head.clear()
        self._body = _Head().feed(head).body(self._pool.limits.head_bytes)
        self._begun += 1
        if self._body.ended:
            self._end_body()
        self._follow(restart=True)
        self._behind.data_received(head)
        return rest

    def _take_body(self, body: _Body | _Chunked, data: bytes) -> bytes:
        """Hand on what belongs to the body; the rest."""
        size = body.follow(data)
        if body.ended:
            self._end_body()
        self._follow()
        self._behind.data_received(data[:size])
        return data[size:]

    def _end_body(self) -> None:
        self._whole += 1
        self._body = None

    def _follow(self, *, restart: bool = False) -> None:
        """Enter the phase that holds now; ``restart``: its deadline starts again, even if it held before."""
        if self._is_gone:
            return
        if self._whole > self._answered:
            phase = Phase.ANSWER
        elif self._body is not None:
            phase = Phase.REST if self._answered == self._begun else Phase.BODY
        else:
            phase = Phase.HEAD if self._head or not self._begun else Phase.IDLE
        if restart or phase is not self.phase:
            self._enter(phase)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.since = time.monotonic()
        self.deadline = self.since + self._pool.seconds[phase]

    def _lose(self, error: Exception | None) -> None:
        """For the protocol behind the connection ends here."""
        if not self._is_gone:
            self._is_gone = True
            self._behind.connection_lost(error)

    def _linger(self, seconds: float | None = None) -> None:
        pool = self._pool
        pool.inside.pop(self, None)
        self._lose(None)
        if self in pool.leaving:
            return
        if self.transport.is_closing() or len(pool.leaving) >= pool.limits.connections:
            self.transport.abort()
            return
        pool.leaving[self] = None
        self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        usual = LAST_LEAVING_SECONDS if pool.closing else LEAVING_SECONDS
        self.deadline = time.monotonic() + (seconds or usual)


class _Transport(asyncio.Transport):
    """What the protocol behind takes for its transport: all but closing is the real one's."""

    def __init__(self, guard: GuardedProtocol) -> None:
        self._guard = guard
        real = guard.transport
        self.get_extra_info = real.get_extra_info  # type: ignore[method-assign]
        self.resume_reading = real.resume_reading  # type: ignore[method-assign]
        self.get_write_buffer_size = real.get_write_buffer_size  # type: ignore[method-assign]

    def pause_reading(self) -> None:
        """Unless the rest of a body is on its way.

        uvicorn pauses after every 64 KiB until the application has read them, in the next turn of the event loop: a
        body of 7 MB beside other requests waited for a hundred turns. No more arrives in a turn than the system holds
        of a connection, and the application counts it in the next one.
        """
        if self._guard.phase is not Phase.BODY:
            self._guard.transport.pause_reading()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write, unless the connection has ended for the protocol behind."""
        if not self._guard._is_gone:
            self._guard.transport.write(data)

    def is_closing(self) -> bool:
        """Whether it has ended for the protocol behind."""
        return self._guard._is_gone or self._guard.transport.is_closing()

    def close(self) -> None:
        """See `GuardedProtocol.close`."""
        self._guard.close()

    def abort(self) -> None:
        """At once."""
        self._guard.transport.abort()


class _TooLongError(Exception):
    """A head, or what is not content in a body, is longer than allowed."""


class _Head:
    """A request's head as httptools reads it."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._length = 0
        self._encoding = b""

    def feed(self, data: bytes | bytearray) -> _Head:
        """Read all of it, or its beginning; raises HttpParserError."""
        try:
            self._parser.feed_data(bytes(data))
        except httptools.HttpParserUpgrade:  # it is not upgraded, and what follows is the next request
            self._length = 0
        return self

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser has found one."""
        match name.lower():
            case b"content-length":
                self._length = int(value)
            case b"transfer-encoding":
                self._encoding = value.strip().lower()

    def body(self, most: int) -> _Body | _Chunked:
        """What follows; raises ValueError for an encoding that is not read."""
        if self._encoding not in (b"", b"chunked"):
            raise ValueError
        return _Chunked(most) if self._encoding else _Body(self._length)


class _Body:
    """A body whose length is known."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = length == 0

    def follow(self, data: bytes) -> int:
        """How many bytes belong to it."""
        size = min(self._left, len(data))
        self._left -= size
        self.ended = self._left == 0
        return size


class _Chunked:
    """A body in chunks (RFC 9112, 7.1): followed to its end, with a bound on all that is not content."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = self._beside = 0
        self._line = bytearray()
        self._is_behind = False
        self.ended = False

    def follow(self, data: bytes) -> int:
        """How many bytes belong to it; raises ValueError and _TooLongError."""
        place = 0
        while place < len(data) and not self.ended:
            if self._left:
                step = min(self._left, len(data) - place)
                self._left -= step
                place += step
                continue
            end = data.find(b"\n", place)
            stop = len(data) if end < 0 else end + 1
            self._line += data[place:stop]
            place = stop
            if len(self._line) + self._beside > self._most:
                raise _TooLongError
            if end >= 0:
                self._end_line(bytes(self._line).rstrip(b"\r\n"))
                self._line.clear()
        return place

    def _end_line(self, line: bytes) -> None:
        if self._is_behind:
            self._beside += len(line)
            self.ended = not line
            return
        size = re.match(rb"[0-9a-fA-F]{1,15}(?=;|[ \t]|$)", line)
        if size is None:
            raise ValueError
        self._beside += len(line) - len(size[0])
        self._left = int(size[0], 16)
        self._is_behind = self._left == 0
        self._left += 2 * (self._left > 0)  # and the end of its line
