"""Writes the pages that come out of the code: cli.md (help of every verb), settings.md (keys of a recipe) and, of
extending.md, the floors.

``make docs`` runs it; tests/test_docs.py fails when a page is not what this makes.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

from glyphnet.augment import AUGMENTATIONS
from glyphnet.cli import VERBS, app
from glyphnet.nn.spec import ACTIVATIONS, Activation
from glyphnet.settings import models_in
from glyphnet.training import Recipe

HERE = Path(__file__).parent
WRITTEN_BY = "<!-- Written by `make docs` out of the code: change it there. -->"
BOUNDS: dict[type, tuple[str, str]] = {Gt: ("gt", ">"), Ge: ("ge", "≥"), Lt: ("lt", "<"), Le: ("le", "≤")}
WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}


def pages() -> dict[str, str]:
    """File name → text of every page that is generated."""
    written = {"cli.md": command_line(), "settings.md": settings(), "extending.md": extending()}
    return {**written, **_course().notebooks()}


def _course() -> ModuleType:
    """``course/build.py``, which makes the notebooks."""
    spec = importlib.util.spec_from_file_location("course_build", HERE / "course" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def extending() -> str:
    """The page as it is, with the floors as import-linter holds them, between its marks."""
    text = (HERE / "extending.md").read_text(encoding="utf-8")
    marked = re.compile(r"(<!-- floors: written by `make docs` -->\n).*?(<!-- floors end -->)", re.DOTALL)
    return marked.sub(lambda found: f"{found[1]}\n{_floors()}\n\n{found[2]}", text)


def _floors() -> str:
    """A table of the floors, highest first, from pyproject.toml."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rows = [
        f"| {len(layers) - 1 - index} | {', '.join(f'`{name}`' for name in re.split(r'[ :|]+', layer))} |"
        for index, layer in enumerate(layers)
    ]
    return "\n".join(["| floor | modules of `glyphnet` |", "|---|---|", *rows])


def command_line() -> str:
    """The help of ``glyphnet`` and of each verb, as a terminal of 80 columns shows it."""
    parts = [
        WRITTEN_BY,
        "# Command line",
        _help(),
        *(part for verb in VERBS for part in (f"## {verb}", _help(verb))),
    ]
    return "\n\n".join(parts) + "\n"


def _help(*words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"})
    if result.exit_code != 0:
        raise RuntimeError(f"glyphnet {' '.join(words)} --help failed: {result.output}")
    lines = [line.rstrip() for line in result.stdout.strip().splitlines()]
    return "```text\n" + "\n".join(["$ " + " ".join(["glyphnet", *words, "--help"]), *lines]) + "\n```"


def settings() -> str:
    """Every key of a recipe: its default, what it may be, what it does."""
    parts = [
        WRITTEN_BY,
        "# Settings of a recipe",
        "A recipe is every setting of one training; `recipe.yaml` in a run folder is one, with each key "
        "written out. On the command line a key is set by its dotted name: "
        "`glyphnet train --set optimizer.lr=0.01`. "
        "A name alone chooses a kind and starts it from its defaults: `--set optimizer=sgd`.",
        "## Recipe",
        _table(Recipe),
    ]
    for name, field in Recipe.model_fields.items():
        kinds = models_in(field)
        if kinds:
            parts += [f"## {name}", *(part for kind in kinds for part in _section(name, kind))]
        elif name == "augment":
            parts += ["## augment", *_augmentations()]
    return "\n\n".join(parts) + "\n"


def _section(name: str, model: type[BaseModel]) -> Iterator[str]:
    """One kind of a section: its name, what its class says of it, its keys."""
    for key in ("kind", "name"):
        if key in model.model_fields and not model.model_fields[key].is_required():
            yield f"### `{name}: {model.model_fields[key].default}`"
    yield _prose(model)
    if set(model.model_fields) - {"kind", "name"}:
        yield _table(model, f"{name}.")
    for inner, field in model.model_fields.items():
        kinds = models_in(field)
        if len(kinds) == 1:
            yield f"### {name}.{inner}"
            yield from _section(f"{name}.{inner}", kinds[0])


def _augmentations() -> Iterator[str]:
    yield "Strength of each random change of the training images, by name; none unless given."
    yield "\n".join(
        [
            "| key | range | unit | what it does |",
            "|---|---|---|---|",
            *(
                f"| `augment.{name}` | {'whole, ' * row.whole}0 to {row.most:g} | {row.unit} | {row.doc} |"
                for name, row in AUGMENTATIONS.items()
            ),
        ]
    )


def _table(model: type[BaseModel], prefix: str = "") -> str:
    meanings = _meanings(model)
    rows = ["| key | default | may be | what it does |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if name in ("kind", "name") and not field.is_required():
            continue
        cells = [f"`{prefix}{name}`", _default(field), _may_be(field), meanings.get(name, "")]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return f"`{next((getattr(value, key) for key in ('kind', 'name') if hasattr(value, key)), type(value))}`"
    if isinstance(value, tuple):
        value = list(value)
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"


def _may_be(field: FieldInfo) -> str:
    return _type(field.annotation, list(field.metadata))


def _type(annotation: Any, metadata: list[Any]) -> str:
    """A type with its bounds, in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if models_in(annotation):
        return "see below" + (", or null" if NoneType in inner else "")
    if origin is Annotated:
        return _type(inner[0], [*inner[1:], *metadata])
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if origin in (Union, UnionType):
        return ", or ".join(_type(part, metadata) for part in inner)
    if origin is tuple:
        count = "any number of" if inner[-1] is Ellipsis else str(len(inner))
        most = next((f", {bound.max_length} at most" for bound in metadata if isinstance(bound, MaxLen)), "")
        return f"a list of {count}: {_type(inner[0], [])}{most}"
    if origin is dict:
        return "a number by each name"
    if annotation is NoneType:
        return "null"
    if any(isinstance(item, AfterValidator) and item in get_args(Activation) for item in metadata):
        return ", ".join(f"`{name}`" for name in ACTIVATIONS)
    return WORDS[annotation] + _bounds(metadata)


def _bounds(metadata: list[Any]) -> str:
    """`` ≥ 0 and < 1``, of annotated_types' bounds, which may lie in pydantic's own Field."""
    flat = [bound for item in metadata for bound in (item.metadata if isinstance(item, FieldInfo) else [item])]
    found = [
        f"{sign} {_power(getattr(bound, key))}"
        for kind, (key, sign) in BOUNDS.items()
        for bound in flat
        if isinstance(bound, kind)
    ]
    return " " + " and ".join(found) if found else ""


def _power(bound: float) -> str:
    return "2⁶³" if bound == 2**63 else f"{bound:g}" if isinstance(bound, float) else f"{bound:,}"


def _prose(model: type[BaseModel]) -> str:
    """A class' docstring without its lists of attributes."""
    text = inspect.cleandoc(model.__doc__ or "")
    text = re.split(r"^(?:Attributes|Raises|Args):$", text, maxsplit=1, flags=re.MULTILINE)[0]
    return text.strip().replace("``", "`")


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """Field → its entry under ``Attributes:``, in the docstrings of the class and those it comes from."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not (issubclass(base, BaseModel) and base.__doc__ and "Attributes:" in base.__doc__):
            continue
        block = inspect.cleandoc(base.__doc__).partition("Attributes:\n")[2].split("\n\n")[0]
        for entry in re.split(r"\n(?=    \S)", block):
            names, _, meaning = entry.strip().partition(": ")
            for name in names.split(", "):
                found[name] = " ".join(meaning.split()).replace("``", "`")
    return found


if __name__ == "__main__":
    for page, text in pages().items():
        (HERE / page).write_text(text, encoding="utf-8")
        print(f"docs/{page}")
