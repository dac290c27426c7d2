"""Templates of the package's pages, and the other files that they are made of."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def read(name: str) -> str:
    """A file of the package by its path in it: ``pages/page.css``."""
    return files("glyphnet").joinpath(name).read_text(encoding="utf-8")


def environment(folder: str) -> Environment:
    """Templates of a folder of the package: what is filled in is escaped, and a forgotten value is an error.

    A name with a slash before it is of the whole package: ``/pages/head.html``.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(lambda name: read(name[1:] if name.startswith("/") else f"{folder}/{name}")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
