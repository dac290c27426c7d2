"""All that the service refuses: one table of codes, and one form of answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True)
class Kind:
    """One kind of refusal.

    Attributes:
        status: the HTTP status.
        about: when it happens: a line of the documentation.
        retry_after: seconds after which it may go better; None where the request itself is wrong.
    """

    status: int
    about: str
    retry_after: int | None = None


KINDS: dict[str, Kind] = {
    "malformed": Kind(400, "The request, or the body in the form that it names, cannot be read."),
    "origin_not_allowed": Kind(403, "A page of another site asked; see --allow-origin."),
    "not_found": Kind(404, "There is nothing at this path."),
    "method_not_allowed": Kind(405, "The path knows other methods only; they stand in the header Allow."),
    "too_slow": Kind(408, "The head or the body of the request did not arrive in time."),
    "body_too_large": Kind(413, "The body has more bytes than are taken."),
    "too_many_images": Kind(413, "More images than one request may bring."),
    "too_many_pixels": Kind(413, "A picture has more pixels than are decoded."),
    "unsupported_media_type": Kind(415, "The body is of a type that is not read."),
    "host_not_allowed": Kind(421, "The header Host names a host that this service is not; see --allow-host."),
    "bad_image": Kind(422, "A picture is damaged, or pixels are not of the model's size."),
    "bad_parameter": Kind(422, "A parameter of the query is not what it must be."),
    "head_too_large": Kind(431, "The request's line and headers have more bytes than are taken."),
    "internal": Kind(500, "A fault of the service; it is told on its standard error."),
    "queue_full": Kind(503, "More images wait already than will be answered soon.", retry_after=1),
    "too_many_bytes": Kind(503, "Too many large bodies are being read at once.", retry_after=1),
    "too_many_connections": Kind(503, "All connections are in use.", retry_after=1),
    "stopping": Kind(503, "The service is being stopped.", retry_after=5),
}
"""Code → its status and when it happens."""


class Refusal(Exception):  # noqa: N818  # an answer, and no fault of ours
    """A request that is not answered as it wished.

    Args:
        code: a key of `KINDS`.
        message: what was wrong, as a sentence; it goes to whoever asked, so it names nothing of this machine.
        remedy: what to do, as a sentence.
    """

    def __init__(self, code: str, message: str, remedy: str = "", headers: Mapping[str, str] | None = None) -> None:
        self.code = code
        self.status = KINDS[code].status
        retry_after = KINDS[code].retry_after
        self.headers = {**(headers or {}), **({} if retry_after is None else {"Retry-After": str(retry_after)})}
        error = {"code": code, "message": message, **({"remedy": remedy} if remedy else {})}
        self.body = json.dumps({"error": error}).encode()
        super().__init__(message)

    def raw(self, security: Mapping[str, str]) -> bytes:
        """The whole answer as bytes of HTTP/1.1, for a connection on which no answer has begun; it then closes."""
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(self.body)),
            "Connection": "close",
            **self.headers,
            **security,
        }
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body
