"""What a run folder is called unless the user says so, and how its run is gone on with."""

from __future__ import annotations

import shlex
from pathlib import Path


def data_name(data: str) -> str:
    """What output is called after the data: the last part of a path, or the name of a data set."""
    name = data.removeprefix("name:")
    return Path(data).resolve().name if name == data and Path(data).exists() else name.replace("/", "-")


def free_folder(data: str, how: str) -> Path:
    """``runs/mnist-fast``, or the first of ``runs/mnist-fast-2``, … that is not there."""
    name = f"{data_name(data)}-{how}".lstrip(".")
    number = 1
    while (folder := Path("runs") / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def how_made(given: dict[str, str], preset: str) -> str:
    """What the run is called after, beside the data.

    Args:
        given: the parameters on the command line, with what they are called there.
    """
    if "recipe" in given:
        return "recipe"
    return "timed" if "seconds" in given and "preset" not in given else preset


def how_to_go_on(folder: Path) -> str:
    """The command that resumes, as a sentence."""
    return f"Go on with: glyphnet train --resume {shlex.quote(str(folder))}"
