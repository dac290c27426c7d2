"""``glyphnet serve``: a model over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from .console import emit_json, printable, say, say_lacking
from .options import HostOption, JsonOption, PortOption


def serve(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file (.safetensors or .onnx).")],
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A hostname that the service accepts; may be repeated."),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option("--allow-origin", metavar="ORIGIN", help="A site whose pages may send requests; may be repeated."),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="NAME=VALUE", help="Change a limit, such as queue=64; may be repeated."),
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="A line for every request on standard error.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Classify images over HTTP: POST /predict, a page to draw on at /, a description at /docs.

    SIGTERM or Ctrl-C ends it with status 0, after it has answered the accepted requests. Limits:
    body_bytes, json_bytes, buffered_bytes, picture_pixels, images, queue, connections, head_bytes, head_seconds,
    body_seconds, decoders, decode_seconds, answer_seconds, idle_seconds, notice_seconds, stop_seconds.
    """
    from ..data.decode import pillow_is_quiet
    from ..serving import Server, listen, load, parse_limits

    limits = parse_limits(limit or ())
    listener = listen(host, port)  # before the model is loaded: a port that is taken is refused at once
    try:
        loaded = load(model)
        say_lacking(loaded.predictor)
        server = Server(
            loaded,
            listener,
            limits,
            hosts=allow_host or (),
            origins=allow_origin or (),
            on_answer=_tell if access_log else None,
        )
        with pillow_is_quiet:  # for each picture by itself it would take as long as reading its head
            server.run(_announce(model.name, server.address, as_json))
    finally:
        listener.close()


def _announce(name: str, address: str, as_json: bool) -> Callable[[], None]:
    def announce() -> None:
        say(f"Serving {name} on {address}")
        if as_json:
            emit_json({"model": name, "address": address})

    return announce


def _tell(client: str, method: str, path: str, status: int, seconds: float) -> None:
    when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    say(f"{when} {client} {printable(method)} {printable(path)} {status or 'left'} {1000 * seconds:.1f} ms")
