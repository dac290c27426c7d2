"""The arguments and options that several verbs share, so that every verb spells and explains them alike.

Each is a type to annotate a parameter of a verb with; the default stands in the verb's own signature::

    def data(data: DataArgument = "digits", size: SizeOption = None, as_json: JsonOption = False) -> None: ...
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

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


def parse_range(text: str) -> tuple[float, float]:
    """``"100:260"`` → (100.0, 260.0).

    Raises:
        typer.BadParameter: anything else; the command line ends with status 2.
    """
    low, colon, high = text.partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = (0.0, 0.0)
    if not colon or not (-math.inf < ends[0] < ends[1] < math.inf):
        raise typer.BadParameter(f"{text!r} is no range: write LOW:HIGH, two numbers, low below high (0:4095).")
    return ends


def parse_page(text: str) -> int | str:
    """``"3"`` → 3, ``"mean"`` and ``"max"`` as they are.

    Raises:
        typer.BadParameter: anything else; the command line ends with status 2.
    """
    word = text.strip().lower()
    if word in ("mean", "max"):
        return word
    if not re.fullmatch(r"[1-9]\d{0,8}", word, flags=re.ASCII):
        raise typer.BadParameter(f"{text!r} is no page: write a number from 1 up, mean or max.")
    return int(word)


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
        help="digits, mnist, fashion-mnist, emnist-letters, cifar-10, svhn, bloodmnist and others of docs/data.md, or "
        "a path: a folder of class folders, a table of paths or pixels, Parquet, an archive, IDX, .npz, .npy, .mat, "
        "HDF5 or CIFAR files.",
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
RangeOption = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--range",
        metavar="LOW:HIGH",
        parser=parse_range,
        help="The values that become black and white in all images. Unless given, 8 bits are taken as they are, and "
        "for other values one range is chosen from the whole set.",
    ),
]
PageOption = Annotated[
    Any,  # int | Literal["mean", "max"], which Typer does not know
    typer.Option(
        "--page",
        metavar="N|mean|max",
        parser=parse_page,
        help="Of files with several pages or frames: the one to read, or the mean or maximum of all.",
    ),
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
        "before a counter), burst (taken within seconds), neighbours (alike, in the order of names), copies (the "
        "same picture, changed), column:NAME of a "
        "table, a regular expression with one group, as in 'person(\\d+)', FILE.csv with the columns file_name and "
        "group, or none. auto looks for likely groups and says what it found.",
    ),
]
LayoutOption = Annotated[
    str,
    typer.Option(
        "--layout",
        metavar="LEVELS",
        help="What each level of folders is: class, part/class, class/part, any/class (any: none). For a table of "
        "pixels: label,pixels or pixels,label. Concluded from the data unless given.",
    ),
]
OnlyOption = Annotated[
    str | None,
    typer.Option("--only", metavar="NAME", help="Read only pictures in folders of this name: images beside masks."),
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
