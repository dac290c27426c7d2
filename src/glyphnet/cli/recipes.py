"""What a recipe is made from on the command line: for the verbs that train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NetworkOption = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="KIND",
        help="Another network than the preset's: linear, mlp, cnn, cnn-classic, …",
    ),
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the recipe: optimizer.lr=0.01."),
]
RecipeOption = Annotated[
    Path | None, typer.Option("--recipe", metavar="FILE", help="A recipe.yaml instead of a preset.")
]


def changes_from(settings: list[str]) -> dict[str, object]:
    """``["optimizer.lr=0.01"]`` → ``{"optimizer.lr": "0.01"}``."""
    changes: dict[str, object] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"--set {setting}: write NAME=VALUE, such as optimizer.lr=0.01.")
        changes[name.strip()] = value
    return changes
