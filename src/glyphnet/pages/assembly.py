"""What every page needs: files of the package, data as JSON, templates, and hashes for the security policy."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined


def read(name: str) -> str:
    """A file of the package by its path in it: ``pages/page.css``."""
    return files("glyphnet").joinpath(name).read_text(encoding="utf-8")


def hash_of(text: str) -> str:
    """A source of the content security policy: this very text, and no other, may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def script_json(value: object) -> str:
    r"""JSON that may stand in a ``<script type="application/json">``: ``<``, ``>`` and ``&`` become
    ``\u003c`` and so on.

    Raises:
        ValueError: NaN or infinity, which JSON does not know.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def environment(folder: str) -> Environment:
    """Templates of a folder of the package: what is filled in is escaped, and a forgotten value is an error."""
    return Environment(
        loader=FunctionLoader(lambda name: read(f"{folder}/{name}")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
