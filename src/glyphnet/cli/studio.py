"""``glyphnet studio``: collect pictures, label, check, train, judge and give away, in the browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from .console import say


def studio(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="The folder of pictures; made if it is absent.")
    ] = Path("studio"),
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen: only this machine unless given.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65_535, help="Where to listen; 0 takes any that is free.")
    ] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only print the address, and open no browser.")] = False,
) -> None:
    """Open a folder of pictures in the browser: collect, label, check, train, judge, give away.

    The folder is a data set that every verb reads: a folder for each class. The address holds a secret, so that no
    other page or user of this machine can use it. Trainings go on when the page or the studio is closed.
    """
    from ..serving import listen
    from ..studio import Folder, StudioServer

    listener = listen(host, port)
    try:
        server = StudioServer(Folder(folder), listener)

        def announce() -> None:
            say(f"Studio of {folder}: {server.address}")
            if not no_open:
                webbrowser.open(server.address)

        server.run(announce)
    finally:
        listener.close()
