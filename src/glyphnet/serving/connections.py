"""What the service does about connections: how many, how long each may take for what, and which has to give way.

uvicorn has no bound on the time or the size of a request's head, and turns newcomers away when it is full. Here every
connection is in a phase, each phase ends by a deadline, and a full house asks the connection to leave that has
kept it waiting for longest: whoever opens connections and says nothing keeps out only himself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .limits import Limits
from .refusals import Refusal

SWEEP_SECONDS = 0.25
LEAVING_SECONDS = 0.5
"""For the client to read why it has to go: closed at once, with something unread, the answer could be lost."""


class Phase(Enum):
    """What a connection is about. In all but ANSWER it is the client that keeps us waiting."""

    IDLE = "between two requests"
    HEAD = "its head arrives"
    BODY = "its body arrives"
    ANSWER = "it is answered"
    REST = "answered already, while the body still arrives"


class Doors:
    """All connections of the service.

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
        self.seconds = {
            Phase.IDLE: limits.idle_seconds,
            Phase.HEAD: limits.head_seconds,
            Phase.BODY: limits.body_seconds,
            Phase.ANSWER: limits.answer_seconds,
            Phase.REST: min(2.0, limits.body_seconds),
        }

    def enter(self, newcomer: GuardedProtocol) -> bool:
        """Let a connection in, for which another may have to leave; False where there is no room."""
        if len(self.inside) >= self.limits.connections:
            waiting = [one for one in self.inside if one.phase is not Phase.ANSWER]
            if not waiting:
                return False
            min(waiting, key=lambda one: (one.phase is Phase.BODY, one.since)).make_room()
        self.inside[newcomer] = None
        return True

    async def watch(self) -> None:
        """End connections whose time is over, for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            for connection in [*self.inside, *self.leaving]:
                if now >= connection.deadline:
                    connection.time_is_up()

    def close_soon(self, seconds: float) -> None:
        """Bring forward the deadlines of all from whom no whole request has come."""
        end = time.monotonic() + seconds
        for connection in self.inside:
            if connection.phase is not Phase.ANSWER:
                connection.deadline = min(connection.deadline, end)


class GuardedProtocol(HttpToolsProtocol):
    """A connection that knows its phase and its deadline."""

    def __init__(self, *, doors: Doors, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.phase = Phase.IDLE
        self.since = self.deadline = 0.0
        self._doors = doors
        self._head_bytes = 0
        self._whole = True  # the newest request has arrived to its end
        self._answering: RequestResponseCycle | None = None  # uvicorn itself knows the newest only

    # What uvicorn and its parser call.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self._enter(Phase.HEAD)
        if not self._doors.enter(self):
            limit = self._doors.limits.connections
            self.leave(
                Refusal("too_many_connections", f"All {limit} connections are in use.", "Ask again in a second.")
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone, or was sent away."""
        self._doors.inside.pop(self, None)
        self._doors.leaving.pop(self, None)
        if self._answering is not None:
            self._answering.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        if self in self._doors.leaving:
            return
        super().data_received(data)
        if self.phase is Phase.HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > (limit := self._doors.limits.head_bytes):
                self.leave(Refusal("head_too_large", f"The head of the request has more than {limit:,} bytes."))

    def send_400_response(self, msg: str) -> None:
        """The parser understood nothing."""
        if self.phase is Phase.ANSWER:  # an answer to an earlier request is under way: nothing can be put before it
            self.transport.close()
        else:
            self.leave(Refusal("malformed", "This is no valid HTTP request."))

    def on_message_begin(self) -> None:
        """The first bytes of a request."""
        super().on_message_begin()
        self._whole = False
        self._head_bytes = 0
        self._enter_unless_answering(Phase.HEAD)

    def on_headers_complete(self) -> None:
        """Its head is there: answering begins."""
        super().on_headers_complete()
        if not self.pipeline:
            self._answering = self.cycle
        self._enter_unless_answering(Phase.BODY)

    def on_message_complete(self) -> None:
        """Its body is there too."""
        super().on_message_complete()
        self._whole = True
        if self.phase is Phase.BODY:
            self._enter(Phase.ANSWER)
        elif self.phase is Phase.REST:
            self._enter(Phase.IDLE)

    def on_response_complete(self) -> None:
        """It is answered."""
        following = self.pipeline[-1][0] if self.pipeline else None  # sent behind the first, and begun now
        super().on_response_complete()
        self._answering = following
        if following is not None:
            self._enter(Phase.ANSWER)
        else:
            self._enter(Phase.IDLE if self._whole else Phase.REST)

    # What the doors call.

    def time_is_up(self) -> None:
        """The deadline of the phase has passed."""
        if self.phase is Phase.ANSWER or self.transport.is_closing() or self in self._doors.leaving:
            self.transport.abort()
        elif self.phase is Phase.BODY or (self.phase is Phase.HEAD and self._head_bytes):
            part, seconds = self.phase.name.lower(), self._doors.seconds[self.phase]
            self.leave(Refusal("too_slow", f"The {part} of the request did not arrive within {seconds:g} seconds."))
        else:
            self.transport.close()
            self.deadline = time.monotonic() + LEAVING_SECONDS

    def make_room(self) -> None:
        """Another connection needs the place."""
        if self.phase is Phase.BODY or (self.phase is Phase.HEAD and self._head_bytes):
            self.leave(Refusal("too_many_connections", "This connection was slow, and others waited for its place."))
        else:
            self._doors.inside.pop(self, None)
            self.transport.close()

    def leave(self, refusal: Refusal) -> None:
        """Write a refusal, hear nothing more, close soon."""
        doors = self._doors
        doors.inside.pop(self, None)
        if self.transport.is_closing():
            return
        doors.on_refusal(refusal.code)
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if len(doors.leaving) >= doors.limits.connections:
            self.transport.abort()
            return
        doors.leaving[self] = None
        self.flow.resume_reading()
        self.transport.write(refusal.raw(doors.security))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.deadline = time.monotonic() + LEAVING_SECONDS

    def _enter_unless_answering(self, phase: Phase) -> None:
        if self.phase is not Phase.ANSWER:
            self._enter(phase)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.since = time.monotonic()
        self.deadline = self.since + self._doors.seconds[phase]
