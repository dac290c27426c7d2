"""The body of a request: read within its limits, then taken apart into encoded pictures or pixels."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from ..data.dataset import UInt8Array
from ..data.values import EIGHT_BITS, on_scale
from ..errors import DataError
from ..images import Reader
from .api import FIELDS, JSON, MULTIPART, RAW, APIError
from .limits import Limits

_T = TypeVar("_T")

FREE_BYTES = 64 << 10
"""Of each body that do not count: clients with large pictures do not keep out those with small ones."""

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
            APIError: body_too_large, known from Content-Length before anything is read, or as soon as more has come;
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
            raise APIError(
                "too_many_bytes",
                "Too many large bodies are being read at once.",
                "Retry in a second, or send less.",
            )
        self._buffered += more
        return more


async def _let_it_pass(request: Request) -> None:
    """Take the rest of a body and drop it, for a while: many clients read no answer before they have sent all."""
    if request.headers.get("expect"):  # this client waits for our answer
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DROPPING_SECONDS):
            while (await request.receive()).get("more_body"):
                pass


def _too_large(most: int) -> APIError:
    return APIError(
        "body_too_large", f"The body has more than {most:,} bytes, the limit.", "Send fewer or smaller pictures."
    )


class File(NamedTuple):
    """A part of the body: its content, its type in lower case and its file name, both possibly empty."""

    content: Any  # bytes, unless `Parts` was given another kind of content
    kind: str
    name: str


def files_in(body: bytes, content_type: str, most: int) -> list[File]:
    """The parts, in order; reading stops behind ``most`` + 1 of them.

    Raises:
        APIError: malformed: it is cut off, or no such body, or a part has another name than those in `FIELDS`.
    """
    parts = Parts(content_type, most)
    try:
        parts.write(body)
    except TooManyPartsError:
        return parts.done
    return parts.end()


class TooManyPartsError(Exception):
    """More parts than wanted: the rest need not be read."""


class Parts:
    """What the parser finds, part by part, in a body that is written piece by piece.

    Args:
        content_type: the header, with the boundary.
        most: parts that are wanted.
        begin: makes what takes the content of a part: it has ``extend``.
        finish: what `File` gets of it.

    Raises:
        APIError: malformed.
    """

    def __init__(
        self, content_type: str, most: int, begin: Callable[[], Any] = bytearray, finish: Callable[[Any], Any] = bytes
    ) -> None:
        self.done: list[File] = []
        self._ended = False
        self._most = most
        self._begin_content, self._finish = begin, finish
        self._field = self._value = b""
        self._name = ""
        self._headers: dict[bytes, bytes] = {}
        self._content: Any = None
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise APIError("malformed", "The Content-Type has no boundary.", "Let your HTTP library set this header.")
        self._parser = _guarded(lambda: MultipartParser(boundary, self._callbacks()))

    def write(self, piece: bytes) -> None:
        """Read a piece of the body."""
        _guarded(lambda: self._parser.write(piece))

    def end(self) -> list[File]:
        """All parts, once the whole body has been written."""
        if not self._ended:
            raise APIError("malformed", "The body of multipart/form-data is cut off.")
        return self.done

    def _callbacks(self) -> Any:
        """What `MultipartParser` calls; its own type for this is not public."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: setattr(self, "_field", self._field + data[start:end]),
            "on_header_value": lambda data, start, end: setattr(self, "_value", self._value + data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._check_name,
            "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
            "on_part_end": self._end_part,
            "on_end": lambda: setattr(self, "_ended", True),
        }

    def _begin(self) -> None:
        self._headers, self._content = {}, self._begin_content()

    def _header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _check_name(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"filename", b"").decode("utf-8", "replace")
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name not in FIELDS:
            raise APIError("malformed", f"Unknown form field {json.dumps(name[:80])}; use {' or '.join(FIELDS)}.")

    def _end_part(self) -> None:
        kind, _ = parse_options_header(self._headers.get(b"content-type", b""))
        self.done.append(File(self._finish(self._content), kind.decode("latin-1").lower(), self._name))
        if len(self.done) > self._most:
            raise TooManyPartsError


def _guarded(work: Callable[[], _T]) -> _T:
    try:
        return work()
    except FormParserError as error:
        raise APIError("malformed", f"The body cannot be read as multipart/form-data: {str(error)[:200]}.") from None


class Picture(NamedTuple):
    """An encoded picture; ``suffix`` is ".tga" where its name or type says so, as nothing in such a file does."""

    content: bytes
    suffix: str = ""


Contents: TypeAlias = list[Picture] | UInt8Array
"""Encoded pictures, or pixels: uint8 (N, H, W, C)."""

TGA = ("image/x-tga", "image/x-targa", "image/tga", "image/targa")


def contents_of(body: bytes, content_type: str, model: Reader, most: int) -> Contents:
    """The images in a body.

    Args:
        body: all of it.
        content_type: the header; its parameters count for multipart only.
        model: whose shape pixels must have, and on whose scale they are.
        most: images that are taken.

    Raises:
        APIError: malformed, unsupported_media_type, too_many_images, bad_image.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == RAW or kind.startswith("image/"):
        return [Picture(body, suffix_of(kind))]
    if (reader := _READERS.get(kind)) is None:
        raise APIError(
            "unsupported_media_type",
            f"Unsupported Content-Type {json.dumps(content_type[:80])}.",
            f"Send a picture as image/* or {RAW}, several as {MULTIPART}, or pixels or base64 as {JSON}.",
            {"Accept": f"image/*, {RAW}, {MULTIPART}, {JSON}"},
        )
    return reader(body, content_type, model, most)


def check_count(count: int, most: int) -> None:
    """Hold the number of images to the limit.

    Raises:
        APIError: too_many_images, or malformed where there is none.
    """
    if count > most:
        raise APIError(
            "too_many_images", f"The request has more than {most} images, the limit.", "Split it into several requests."
        )
    if count == 0:
        raise APIError("malformed", "The request has no image.", "Send at least one.")


def suffix_of(kind: str, name: str = "") -> str:
    """What the type or the name of a picture says that its content does not."""
    return ".tga" if kind in TGA or name.lower().endswith(".tga") else ""


def _multipart(body: bytes, content_type: str, _: Reader, most: int) -> list[Picture]:
    files = files_in(body, content_type, most)
    check_count(len(files), most)
    return [Picture(content, suffix_of(kind, name)) for content, kind, name in files]


def _json(body: bytes, _: str, model: Reader, most: int) -> Contents:
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise APIError("malformed", f"The body is not valid JSON: {reason[:200]}.") from None
    if not isinstance(value, dict) or value.keys() != {"images"} or not isinstance(value["images"], list):
        raise APIError("malformed", 'The JSON must be one object {"images": [...]} without other keys.')
    images = value["images"]
    check_count(len(images), most)
    if all(isinstance(image, str) for image in images):
        return [Picture(_decoded(image, number)) for number, image in enumerate(images, 1)]
    return np.stack([_pixels(image, model, number) for number, image in enumerate(images, 1)])


def _decoded(text: str, number: int) -> bytes:
    """The picture in base64, or in a data URL (RFC 2397) of it."""
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        if not head.endswith(";base64"):
            raise APIError("bad_image", f"Image {number}: a data URL that is not in base64.", "Send base64.")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        remedy = "Send a picture in base64 or as a data URL, or its pixels."
        raise APIError("bad_image", f"Image {number}: text that is not base64.", remedy) from None


def _pixels(image: Any, model: Reader, number: int) -> UInt8Array:
    """One image, (H, W) where the model is grey or (H, W, C), of numbers on the model's scale."""
    try:
        values = np.array(image)
    except (ValueError, OverflowError, RecursionError):  # rows of different lengths, numbers beyond all bounds
        values = np.empty(0, dtype=object)
    height, width, channels = model.input_shape
    low, high = model.reading.value_range or EIGHT_BITS
    whole = (low, high) == EIGHT_BITS
    fits = values.shape == model.input_shape or (channels == 1 and values.shape == (height, width))
    fits = fits and values.dtype.kind in ("iu" if whole else "iuf")
    if not fits or (whole and (values.min() < 0 or values.max() > 255)):
        numbers = f"{'whole ' if whole else ''}numbers from {low:g} to {high:g}"
        form = f"{height} rows of {width} {numbers}"
        if channels > 1:
            form = f"{height} rows of {width} pixels of {channels} {numbers}"
        raise APIError("bad_image", f"Image {number}: is not {form}.", "Or send it as a picture of any size.")
    try:
        return on_scale(values, (low, high)).reshape(model.input_shape)
    except DataError as error:
        raise APIError("bad_image", f"Image {number}: {error}") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON value")


_READERS: dict[str, Callable[[bytes, str, Reader, int], Contents]] = {MULTIPART: _multipart, JSON: _json}
