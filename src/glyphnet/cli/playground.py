"""``glyphnet playground``: a page in which networks are built, trained and watched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..files import atomic_write, is_stdout
from .console import emit_json, printable, say
from .options import JsonOption, OverwriteOption, replacing

DEFAULT = Path("playground.html")


def playground(
    ctx: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help=f"The page to write; {DEFAULT} unless given.")
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a page in which a network is built, trained and watched, in the browser alone.

    It is one file that works offline. It carries the digits, and samples of MNIST and Fashion-MNIST where they are on
    this machine.
    """
    from ..pages.playground import SETS, playground_page, sets_here

    out = out or DEFAULT
    replacing(ctx, overwrite).check(out, (".html",))
    sets = list(sets_here())
    content = playground_page(sets).encode()
    with atomic_write(out, follow=True) as file:
        file.write(content)
    names = [each.name for each in sets]
    lacking = [name for name in SETS if name not in names]
    for name in lacking:
        say(f"{name} is not on this machine, so the page is without it. glyphnet data {name} downloads it.")
    if as_json:
        emit_json({"file": str(out), "bytes": len(content), "sets": names, "lacking": lacking})
        return
    tell = say if is_stdout(out) else print
    tell(f"{printable(str(out))}: {len(content) / 1e6:.2f} MB, with {', '.join(names)}.")
