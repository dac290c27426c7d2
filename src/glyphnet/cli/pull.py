"""``glyphnet pull``: a model from a model hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..units import portable_name
from .console import emit_json, printable, say, say_lacking
from .options import JsonOption, OverwriteOption, replacing


def pull(
    ctx: typer.Context,
    place: Annotated[
        str,
        typer.Argument(metavar="PLACE", help="hf:USER/NAME, or hf:USER/NAME@REVISION: a branch, a tag or a commit."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The file to write; NAME.safetensors unless given.")
    ] = None,
    file: Annotated[
        str, typer.Option("--file", metavar="NAME", help="The model file in the repository.")
    ] = "model.safetensors",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Pull a model from a model hub.

    It is checked as any stranger's file is, and gets its name only then: a model file cannot run code.
    """
    from ..hub import Place
    from ..modelhub import pull as pull_model

    name = portable_name(Place.parse(place).repository.rpartition("/")[2])
    target = out or Path(f"{name}.safetensors")
    replacing(ctx, overwrite).check(target, (".safetensors",))
    say(f"Pulling {printable(place)} ...")
    classifier = pull_model(place, target, file=file)
    say_lacking(classifier)
    if as_json:
        emit_json({"file": str(target), "classes": list(classifier.classes)})
    else:
        print(f"{printable(str(target))}: {len(classifier.classes)} classes.")
