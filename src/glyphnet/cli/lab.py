"""``glyphnet lab``: guided experiments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from ..errors import SettingsError
from .console import command_line, emit_json, progress, show
from .options import JsonOption, OverwriteOption, replacing

if TYPE_CHECKING:
    from ..labs import Lab

CONTEXT_SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""A lab's own options are not known here: they are read when the lab is."""


def lab(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which lab; without it all are listed.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to write; labs/NAME unless given.")
    ] = None,
    overwrite: OverwriteOption = False,
    options: Annotated[bool, typer.Option("--options", help="Show what this lab can be asked, and stop.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a guided experiment: writes lab.html, numbers.json and the pictures.

    All labs know --quick (a small version, in seconds) and --seeds N (repetitions); a lab's own options, as
    in "glyphnet lab xor --hidden 1 2 3", are shown by "glyphnet lab NAME --options".
    """
    from ..labs import LABS, load_lab, run_lab

    if name is None:
        _list(LABS, as_json)
        return
    found = load_lab(name)
    if options:
        _show_options(found)
        return
    given = _lab_options(ctx.args, found)
    folder = Path("labs", name) if out is None else out
    with progress() as report_progress:
        made = run_lab(
            name, given, out=folder, replacing=replacing(ctx, overwrite), progress=report_progress,
            command=command_line(),
        )  # fmt: skip
    if as_json:
        emit_json({"lab": name, "page": str(made.page), "numbers": str(made.numbers)})
    else:
        show(f"Page:     {made.page}", f"Numbers:  {made.numbers}")


def _list(labs: dict[str, tuple[str, str]], as_json: bool) -> None:
    if as_json:
        emit_json({"labs": {name: line for name, (_, line) in labs.items()}})
        return
    width = max(map(len, labs))
    for name, (_, line) in labs.items():
        print(f"{name:{width}}  {line}")
    print('\nRun one: glyphnet lab NAME. "--quick" shows it in seconds.', file=sys.stderr)


def _show_options(found: Lab[Any]) -> None:
    print(f"{found.title}\n")
    for name, field in found.settings.model_fields.items():
        default = field.default
        shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
        ending = "" if shown in (None, False, "") else f" [default: {shown}]"
        print(f"  --{name.replace('_', '-'):14} {field.description or ''}{ending}")


def _lab_options(words: list[str], found: Lab[Any]) -> dict[str, Any]:
    """A lab's own options: a name, then its values until the next name; ``--hidden 1 2 3`` is a list."""
    values: dict[str, list[Any]] = {}
    name = None
    for word in words:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            name = name.replace("-", "_")
            values[name] = [yaml.safe_load(value)] if value else []
        elif name is None:
            raise SettingsError(f'lab {found.name}: "{word}" belongs to no option. Write --NAME before it.')
        else:
            values[name].append(yaml.safe_load(word))
    return {name: _as_field(found, name, given) for name, given in values.items()}


def _as_field(found: Lab[Any], name: str, given: list[Any]) -> Any:
    """One value as itself, none as yes, several as a list; a single one too where the lab wants a list."""
    field = found.settings.model_fields.get(name)
    wants_list = field is not None and isinstance(field.default, tuple | list)
    if wants_list or len(given) > 1:
        return given
    return given[0] if given else True
