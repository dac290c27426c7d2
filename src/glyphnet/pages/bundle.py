"""Bundle the JavaScript modules of a page into one script, so that a page is one file and nobody needs Node.

Each module runs once, in its own function; only what it exports leaves it. Modules keep to a small part of the
language, and whatever else is found is refused with the name of its file::

    import { html, svg as draw } from "./elements.js";    // named imports, relative paths, at the start of a line
    export function roundTicks(low, high) { … }           // export function, async function, function*, class, const

Modules of other people, in `VENDOR`, were made small by tools: their imports and exports stand anywhere in a line, and
rename (``export{b as useState}``, ``export default function``).
"""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from ..templates import read

_IMPORT = re.compile(r'^import \{([^{}]*)\} from "([^"\n]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const) ([A-Za-z_$][\w$]*))", re.MULTILINE)
_STATEMENT = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
VENDOR = "pages/js/vendor/"
_VENDOR_IMPORT = re.compile(r'import\{([^{}]*)\}from"([^"\n]+)";')
_VENDOR_PASSED = re.compile(r'export\{([^{}]*)\}from"([^"\n]+)";')
_VENDOR_EXPORT = re.compile(r"export\{([^{}]*)\};?")
_NAME = re.compile(r"([A-Za-z_$][\w$]*)(?: as ([A-Za-z_$][\w$]*))?")


@cache
def bundle(entry: str) -> str:
    """One script of a module and of all that it imports, each module after those that it needs.

    Args:
        entry: the module that starts the page, by its path in the package: ``report/js/main.js``.

    Raises:
        ValueError: modules import each other in a circle, a module imports a name or a file that does not exist, or it
            has an import or export of another form than those above.
    """
    modules: dict[str, _Module] = {}
    _collect(entry, (), modules)
    numbers = {path: number for number, path in enumerate(modules)}
    parts = "".join(_as_function(module, modules, numbers) for module in modules.values())
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


@dataclass(frozen=True)
class _Module:
    """A module: its code without imports and the word ``export``, what it exports, and what it imports from where."""

    path: str
    code: str
    exports: dict[str, str]  # name there → name here
    imports: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # path → (name there, name here)


def _collect(path: str, importers: tuple[str, ...], modules: dict[str, _Module]) -> None:
    """Add a module to ``modules``, after all that it imports."""
    if path in importers:
        raise ValueError(f"JavaScript modules import each other in a circle: {' → '.join((*importers, path))}")
    if path in modules:
        return
    try:
        module = _parse(path, read(path))
    except FileNotFoundError:
        raise ValueError(f"{importers[-1] if importers else 'a page'} imports {path}, which does not exist") from None
    for needed in module.imports:
        _collect(needed, (*importers, path), modules)
    modules[path] = module


def _parse(path: str, text: str) -> _Module:
    if path.startswith(VENDOR):
        return _parse_vendor(path, text)
    imports: dict[str, list[tuple[str, str]]] = {}
    for names, target in _IMPORT.findall(text):
        imports.setdefault(_resolved(path, target), []).extend(_imported(path, names))
    exports = {name: name for name in _EXPORT.findall(text)}
    code = _EXPORT.sub("", _IMPORT.sub("", text))
    unknown = _STATEMENT.search(code)
    if unknown is not None:
        raise ValueError(f"{path}: the bundler does not know {unknown[0]!r}; {__name__} lists what it knows")
    return _Module(path, code.strip("\n"), exports, imports)


def _parse_vendor(path: str, text: str) -> _Module:
    imports: dict[str, list[tuple[str, str]]] = {}
    exports: dict[str, str] = {}
    for names, target in _VENDOR_IMPORT.findall(text) + _VENDOR_PASSED.findall(text):
        imports.setdefault(_resolved(path, target), []).extend(_imported(path, names))
    for names, _ in _VENDOR_PASSED.findall(text):
        exports |= {name: name for name, _ in _imported(path, names)}
    code = _VENDOR_PASSED.sub("", _VENDOR_IMPORT.sub("", text))
    for names in _VENDOR_EXPORT.findall(code):
        exports |= {there: here for here, there in _imported(path, names)}
    code = _VENDOR_EXPORT.sub("", code)
    if "export default function(" in code:
        code = code.replace("export default function(", "const exported=function(", 1)
        exports["default"] = "exported"
    return _Module(path, code.strip("\n"), exports, imports)


def _resolved(path: str, target: str) -> str:
    """The path in the package of a module that another one imports."""
    found = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if not target.startswith(("./", "../")) or found.startswith("../"):
        raise ValueError(f"{path} imports {target!r}; write a relative path to a file of the package")
    return found


def _imported(path: str, names: str) -> Iterator[tuple[str, str]]:
    """The names of one import: ``html, svg as draw`` gives (html, html) and (svg, draw)."""
    for name in filter(None, map(str.strip, names.split(","))):
        found = _NAME.fullmatch(name)
        if found is None:
            raise ValueError(f"{path}: {name!r} is not a name to import")
        yield found[1], found[2] or found[1]


def _as_function(module: _Module, modules: dict[str, _Module], numbers: dict[str, int]) -> str:
    """A module as a function that is called at once and returns what the module exports."""
    lines = []
    for path, names in module.imports.items():
        for name, _ in names:
            if name not in modules[path].exports:
                raise ValueError(f"{module.path} imports {name!r}, which {path} does not export")
        taken = ", ".join(name if name == here else f"{name}: {here}" for name, here in names)
        lines.append(f"const {{ {taken} }} = module{numbers[path]};\n")
    given = ", ".join(name if name == here else f"{name}: {here}" for name, here in module.exports.items())
    result = f"\nreturn {{ {given} }};" if given else ""
    number = numbers[module.path]
    return f"const module{number} = (() => {{ // {module.path}\n{''.join(lines)}{module.code}{result}\n}})();\n"


# What every page needs: data as JSON, and hashes for the security policy


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
