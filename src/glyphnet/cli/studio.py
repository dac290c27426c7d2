"""``glyphnet studio``: collect pictures, label, check, train, judge and give away, in the browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from ..files import atomic_write, is_stdout
from .console import emit_json, printable, say
from .options import HostOption, JsonOption, OverwriteOption, PortOption, given_parameters, replacing


def studio(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="The folder of pictures; made if it is absent.")
    ] = Path("studio"),
    host: HostOption = "127.0.0.1",
    port: PortOption = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only print the address, and open no browser.")] = False,
    html: Annotated[Path | None, typer.Option(
        "--html", metavar="FILE", help="Write the studio as one page that works offline, without a server, instead.",
    )] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Open a folder of pictures in the browser: collect, label, check, train, judge, give away.

    The folder is a data set that every verb reads: a folder for each class. The address holds a secret, so that no
    other page or user of this machine can use it. Trainings go on when the page or the studio is closed.

    With --html one file is written that does most of this by itself, with pictures kept in the browser.
    """
    if html is not None:
        _write_page(ctx, html, overwrite, as_json)
        return
    if overwrite:
        raise typer.BadParameter("--overwrite goes with --html: nothing else is replaced.")
    from ..serving import listen
    from ..studio import Folder, StudioServer

    listener = listen(host, port)
    try:
        server = StudioServer(Folder(folder), listener)

        def announce() -> None:
            say(f"Studio of {printable(str(folder))}: {server.address}")
            if as_json:
                emit_json({"folder": str(folder), "address": server.address})
            if not no_open:
                webbrowser.open(server.address)

        server.run(announce)
    finally:
        listener.close()


def _write_page(ctx: typer.Context, out: Path, overwrite: bool, as_json: bool) -> None:
    names = ("folder", "host", "port", "no_open")
    if ignored := [word for name, word in given_parameters(ctx).items() if name in names]:
        raise typer.BadParameter(f"{', '.join(ignored)} cannot be given with --html: no server is started.")
    from ..pages.playground import sets_here
    from ..pages.studio import studio_page

    replacing(ctx, overwrite).check(out, (".html",))
    sets = list(sets_here())
    content = studio_page("page", sets).encode()
    with atomic_write(out, follow=True) as file:
        file.write(content)
    carried = [each.name for each in sets]
    if as_json:
        emit_json({"file": str(out), "bytes": len(content), "sets": carried})
        return
    tell = say if is_stdout(out) else print
    tell(f"{printable(str(out))}: {len(content) / 1e6:.2f} MB, with {', '.join(carried)}.")
