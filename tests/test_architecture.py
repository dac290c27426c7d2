"""The shape of the code: no module imports itself through others, and no file or function has grown too long."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import glyphnet

ROOT = Path(glyphnet.__file__).parent


def modules() -> dict[str, Path]:
    """Each module's dotted name and file."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path, known: set[str]) -> set[str]:
    """Our modules that a module imports: at the top, in functions, and for types alone."""
    found = set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        target = ".".join([*base, *([node.module] if node.module else [])])
        for each in node.names:
            whole = f"{target}.{each.name}"
            found.add(whole if whole in known else target)
    return (found & known) - {name}


def test_no_module_imports_itself_through_others() -> None:
    known = modules()
    graph = {name: imported(name, path, set(known)) for name, path in known.items()}
    assert sum(map(len, graph.values())) > 500
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"a circle of imports: {' → '.join(error.args[1])}") from None


def scripts() -> list[Path]:
    """Our JavaScript, formatted by deno; not that of other people."""
    return [path for path in ROOT.rglob("*.js") if "vendor" not in path.parts]


def test_no_file_is_longer_than_600_lines() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in [*modules().values(), *scripts()]
    }
    assert sum(name.endswith(".js") for name in lengths) > 50
    assert {name: length for name, length in lengths.items() if length > 600} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    long = {
        f"{path.relative_to(ROOT)}: {node.name}": length_of(node)
        for path in modules().values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and length_of(node) > 60
    }
    assert long == {}


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, without the docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    assert function.end_lineno is not None
    assert first.end_lineno is not None
    return function.end_lineno - function.lineno + 1 - (first.end_lineno - first.lineno + 1 if documented else 0)


def test_no_function_of_javascript_is_longer_than_60_lines() -> None:
    found = [(path, first, length) for path in scripts() for first, length in functions_of(path)]
    assert len(found) > 1000
    assert {f"{path.relative_to(ROOT)}:{first}": length for path, first, length in found if length > 60} == {}


# A line that opens the body of a function, an arrow or a method, or ends a head of several lines. The formatter puts
# the closing brace at its indentation.
OPENS = re.compile(
    r"(?=.*(?:\bfunction\b|=> \{$|^\s+(?!(?:if|for|while|switch|catch)\b)[\w*# ]+\(.*\) \{$|^\s*\}?\) \{$))(\s*).*\{"
)


def functions_of(path: Path) -> list[tuple[str, int]]:
    """The number and text of the first line of each function that takes more than one, and how many it takes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for number, line in enumerate(lines):
        if opening := OPENS.fullmatch(line):
            closing = opening[1] + "}"
            length = next(at for at, other in enumerate(lines[number:], 1) if other.startswith(closing))
            found.append((f"{number + 1}: {line.strip()}", length))
    return found
