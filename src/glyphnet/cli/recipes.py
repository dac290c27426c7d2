"""What a recipe is made from on the command line: for the verbs that train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..training import DataSettings, Recipe

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
LabelsOption = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        help="Correct labels first, as the decisions in this table say: glyphnet data --review writes one.",
    ),
]

DATA_OPTIONS = {
    "data": "source",
    "size": "size",
    "color": "color",
    "on_bad_file": "on_bad_file",
    "layout": "layout",
    "only": "only",
    "labels": "labels",
    "group_by": "group_by",
    "value_range": "value_range",
    "page": "page",
}
"""Parameter of the verb → setting of the recipe's section ``data``."""


def given_parameters(ctx: typer.Context) -> dict[str, str]:
    """The parameters that stand on the command line, with what they are called there."""
    return {
        parameter.name: parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.opts[0].upper()
        for parameter in ctx.command.params
        if parameter.name and str(getattr(ctx.get_parameter_source(parameter.name), "name", "DEFAULT")) != "DEFAULT"
    }


def data_settings(recipe: Recipe | None, given: dict[str, object]) -> DataSettings:
    """The data of the recipe, or the default ones, with what stands on the command line."""
    from ..settings import parse_settings
    from ..training import DataSettings

    base = (recipe.data if recipe else None) or DataSettings()
    return parse_settings(
        DataSettings,
        {**base.model_dump(), **{DATA_OPTIONS[name]: value for name, value in given.items()}},
        where="data",
    )


def changes_from(settings: list[str]) -> dict[str, object]:
    """``["optimizer.lr=0.01"]`` → ``{"optimizer.lr": "0.01"}``."""
    changes: dict[str, object] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"--set {setting}: write NAME=VALUE, such as optimizer.lr=0.01.")
        changes[name.strip()] = value
    return changes
