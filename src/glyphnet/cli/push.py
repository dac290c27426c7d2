"""``glyphnet push``: a model and its card onto a model hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import emit_json, printable, say
from .options import JsonOption, ModelArgument

PlaceArgument = Annotated[
    str, typer.Argument(metavar="PLACE", help="hf:USER/NAME: a repository of Hugging Face, or of HF_ENDPOINT's hub.")
]


def push(
    model: ModelArgument,
    place: PlaceArgument,
    card: Annotated[
        Path | None,
        typer.Option("--card", metavar="FILE", help="The card to push; made from the model unless given."),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Let everyone see a repository that is made; else only you.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model that is there; its history keeps the old one.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Push a model and its card to a model hub, in one commit.

    The model is checked first. Its file carries up to 100 of the held-out images: see the card, and push no pictures
    that are not yours to publish. Log in before with: hf auth login
    """
    from ..files import read_input
    from ..modelhub import push as push_model

    text = None if card is None else read_input(card).decode("utf-8", errors="replace")
    say(f"Pushing {printable(model.name)} to {printable(place)} ...")
    made = push_model(model, place, public=public, overwrite=overwrite, card=text)
    if as_json:
        emit_json({"model": str(model), "address": made.address, "commit": made.commit})
    else:
        print(printable(made.address))
