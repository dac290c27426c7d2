"""Limits on everything that a client can ask of the service."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from ..errors import SettingsError
from ..settings import Settings, parse_settings

_Count = Annotated[int, Field(ge=1)]
_Seconds = Annotated[float, Field(gt=0, le=3600)]


class Limits(Settings):
    """Limits of the service; ``/docs`` lists the error that answers a request beyond each.

    Attributes:
        body_bytes: of the body of a request.
        json_bytes: of a body in JSON, which takes a hundred times as long to read as a picture.
        buffered_bytes: of all larger bodies together that are in memory at once.
        picture_pixels: of one picture, height × width.
        images: in one request.
        queue: images that wait for an answer or are being answered.
        connections: open at once. Beyond them the one that has been silent for longest gives way.
        head_bytes: of a request's line and headers.
        head_seconds: for these to arrive.
        body_seconds: for the body to arrive.
        decoders: processes that decode pictures that are not plain; one that takes too long is ended and replaced.
        decode_seconds: for a picture that is not a plain PNG or JPEG of up to a million pixels.
        answer_seconds: for the answer to be made and taken.
        idle_seconds: that a connection may stay open between two requests.
        notice_seconds: between saying "not ready" and taking no more connections, when the service is stopped.
        stop_seconds: for admitted requests to be answered after that.
    """

    body_bytes: _Count = 8 << 20
    json_bytes: _Count = 1 << 20
    buffered_bytes: _Count = 64 << 20
    picture_pixels: _Count = 25_000_000
    images: _Count = 64
    queue: _Count = 256
    connections: _Count = 512
    head_bytes: _Count = 32 << 10
    head_seconds: _Seconds = 10
    body_seconds: _Seconds = 20
    decoders: Annotated[int, Field(ge=1, le=64)] = 4
    decode_seconds: _Seconds = 0.7
    answer_seconds: _Seconds = 30
    idle_seconds: _Seconds = 30
    notice_seconds: Annotated[float, Field(ge=0, le=60)] = 1
    stop_seconds: _Seconds = 6


def parse_limits(words: Iterable[str]) -> Limits:
    """Limits from words such as ``queue=64``; the rest keep their defaults.

    Raises:
        SettingsError: a word without ``=``, an unknown name or an impossible value; all are listed.
    """
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not equals:
            raise SettingsError(f'"{name:.60}" is not a limit: write NAME=VALUE, as in queue=64.')
    return parse_settings(Limits, {name.strip(): value.strip() for name, _, value in pairs}, where="limit")
