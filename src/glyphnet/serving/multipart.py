"""The files in a body of ``multipart/form-data``, which is in memory already."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from .refusals import Refusal

FIELDS = ("image", "file")
"""The names that parts may have, as in ``curl -F image=@a.png -F file=@b.png``."""


class File(NamedTuple):
    """A part of the body: its content, its type in lower case and its file name, both possibly empty."""

    content: bytes
    kind: str
    name: str


def files_in(body: bytes, content_type: str, most: int) -> list[File]:
    """The parts, in order; reading stops behind ``most`` + 1 of them.

    Raises:
        Refusal: malformed: it is cut off, or no such body, or a part has another name than those in `FIELDS`.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise Refusal("malformed", "The Content-Type names no boundary.", "Let your HTTP library set this header.")
    parts = _Parts(most)
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
    except _EnoughError:
        return parts.done
    except FormParserError as error:
        raise Refusal("malformed", f"The body cannot be read as multipart/form-data: {str(error)[:200]}.") from None
    if not parts.ended:
        raise Refusal("malformed", "The body of multipart/form-data is cut off.")
    return parts.done


class _EnoughError(Exception):
    """More parts than wanted: the rest need not be read."""


class _Parts:
    """What the parser finds, part by part."""

    def __init__(self, most: int) -> None:
        self.done: list[File] = []
        self.ended = False
        self._most = most
        self._field = self._value = b""
        self._name = ""
        self._headers: dict[bytes, bytes] = {}
        self._content = bytearray()

    def callbacks(self) -> Any:
        """What `MultipartParser` calls; its own type for this is not public."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: setattr(self, "_field", self._field + data[start:end]),
            "on_header_value": lambda data, start, end: setattr(self, "_value", self._value + data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._check_name,
            "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
            "on_part_end": self._end_part,
            "on_end": lambda: setattr(self, "ended", True),
        }

    def _begin(self) -> None:
        self._headers, self._content = {}, bytearray()

    def _header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _check_name(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"filename", b"").decode("utf-8", "replace")
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name not in FIELDS:
            raise Refusal(
                "malformed", f"A part is called {json.dumps(name[:80])}; each has to be called {' or '.join(FIELDS)}."
            )

    def _end_part(self) -> None:
        kind, _ = parse_options_header(self._headers.get(b"content-type", b""))
        self.done.append(File(bytes(self._content), kind.decode("latin-1").lower(), self._name))
        if len(self.done) > self._most:
            raise _EnoughError
