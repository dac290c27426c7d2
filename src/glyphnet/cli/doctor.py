"""``glyphnet doctor``: what is installed here, and whether it works."""

from __future__ import annotations

import typer

from .console import FAILED, emit_json, say, show
from .options import JsonOption


def doctor(as_json: JsonOption = False) -> None:
    """Show versions, devices, threads, folders and optional parts, and test that GlyphNet works here.

    The self-test trains a tiny network on the bundled digits, saves, loads, predicts and exports; it takes
    about five seconds. If it fails, the exit status is 1. Paste the output into a bug report: your own folder is
    written ~ in it.
    """
    from ..doctor import examine

    found = examine()
    if as_json:
        emit_json(found.to_dict())
    else:
        show(*found.lines())
    if not found.passed:
        failed = next(step for step in found.steps if step.status == "failed")
        say(f"glyphnet: the self-test failed at {failed.name}. Report the output above: it is all that is needed.")
        raise typer.Exit(FAILED)
