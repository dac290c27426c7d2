"""The arguments and options that several verbs share, so that every verb spells and explains them alike.

Each is a type to annotate a parameter of a verb with; the default stands in the verb's own signature::

    def data(data: DataArgument = "digits", size: SizeOption = None, as_json: JsonOption = False) -> None: ...
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer

LARGEST_SIDE = 4096  # far beyond what the networks are for: a slip of the finger, not a wish
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class Size(NamedTuple):
    """Size of an image in pixels."""

    height: int
    width: int


def parse_size(text: str) -> Size:
    """``"28"`` → (28, 28), ``"28x32"`` → (28, 32), height first.

    Raises:
        typer.BadParameter: anything else; the command line ends with status 2.
    """
    match = re.fullmatch(r"(\d{1,9})(?:[x×](\d{1,9}))?", text.strip().lower(), flags=re.ASCII)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no size: write one number (28), or height x width (28x32).")
    size = Size(int(match[1]), int(match[2] or match[1]))
    if not all(1 <= side <= LARGEST_SIDE for side in size):
        raise typer.BadParameter(f"{text!r} is no size: each side must lie in 1 to {LARGEST_SIDE} pixels.")
    return size


def parse_duration(text: str) -> float:
    """``"60s"``, ``"90"``, ``"5m"``, ``"1.5h"`` → seconds.

    Raises:
        typer.BadParameter: anything else, or nothing; the command line ends with status 2.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?(s|m|min|h|)", text.strip().lower(), flags=re.ASCII)
    if match is None or not float(match[1]):
        raise typer.BadParameter(f"{text!r} is no duration: write seconds (90 or 90s), minutes (5m) or hours (1h).")
    return float(match[1]) * _UNITS[match[2]]


DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="digits, mnist, fashion-mnist, kmnist, or a path: a folder, a table, an .npz or .npy file.",
    ),
]
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file (.safetensors).")]
SizeOption = Annotated[
    Size | None,
    typer.Option(
        "--size",
        metavar="N|HxW",
        parser=parse_size,
        help="Size of the images in pixels: 28, or height x width, 28x32. Chosen from the data unless given.",
    ),
]
ColorOption = Annotated[
    Literal["auto", "grey", "rgb"],
    typer.Option("--color", help="Whether images become grey or colour; auto looks at the data."),
]
OnBadFileOption = Annotated[
    Literal["error", "skip"],
    typer.Option("--on-bad-file", help="Stop at a file that is no sound image, or skip and count it."),
]
GroupByOption = Annotated[
    str,
    typer.Option(
        "--group-by",
        metavar="WHAT",
        help="Which pictures stay on one side of every split: folder (inside class folders), prefix (of file names, "
        "before a counter), burst (taken within seconds), neighbours (alike, in the order of names), column:NAME of a "
        "table, a regular expression with one group, as in 'person(\\d+)', FILE.csv with the columns file_name and "
        "group, or none. auto looks for likely groups and says what it found.",
    ),
]
SeedOption = Annotated[
    int,
    typer.Option("--seed", metavar="N", min=0, help="Seed of all that is random: the same seed gives the same result."),
]
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="Where to compute: auto, cpu, cuda, cuda:1, mps.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")
]
