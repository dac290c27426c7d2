"""Make the notebooks of the course out of their sources, plain Python files in ``lessons/``.

The sources are in the percent format: ``# %%`` begins a cell of code, ``# %% [markdown]`` one of text. They are what is
reviewed and changed; `make docs` writes the notebooks, without outputs, because outputs differ from machine to machine
and would hide what a change changed. `make course` runs them, and the site shows them with their outputs.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
LESSONS = sorted((FOLDER / "lessons").glob("[0-9]*.py"))

_CELL = re.compile(r"^# %%( \[markdown\])?\n", re.MULTILINE)
_SOLUTION = re.compile(r"<details><summary>Solution</summary>.*?```python\n(.*?)```", re.DOTALL)
_CHECK = re.compile(r'^check\("([\d.]+)", answer\)$', re.MULTILINE)


def name_of(lesson: Path) -> str:
    """The notebook's file name: ``01-pixels.ipynb``."""
    return f"{lesson.stem.replace('_', '-')}.ipynb"


def cells_of(lesson: Path) -> list[tuple[str, str]]:
    """The cells of a source: ("code" or "markdown", text)."""
    parts = _CELL.split(lesson.read_text(encoding="utf-8"))
    assert not parts[0].strip(), f"{lesson.name} begins with a cell"
    found = []
    for marker, text in zip(parts[1::2], parts[2::2], strict=True):
        lines = text.strip("\n").split("\n")
        if marker:
            lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
        found.append(("markdown" if marker else "code", "\n".join(lines)))
    return found


def solutions_of(lesson: Path) -> dict[str, str]:
    """The code of each exercise's solution by the exercise's name; an exercise and its solution stand side by side."""
    found, open_exercise = {}, None
    for kind, text in cells_of(lesson):
        if kind == "code" and (check := _CHECK.search(text)):
            assert open_exercise is None, f"{lesson.name}: exercise {open_exercise} has no solution"
            open_exercise = check[1]
        elif kind == "markdown" and (solution := _SOLUTION.search(text)):
            assert open_exercise is not None, f"{lesson.name}: a solution without an exercise"
            found[open_exercise], open_exercise = solution[1], None
    assert open_exercise is None, f"{lesson.name}: exercise {open_exercise} has no solution"
    return found


def notebook_of(lesson: Path) -> dict[str, Any]:
    """The notebook, format 4.5, as plain JSON values."""
    made: list[dict[str, Any]] = []
    for number, (kind, text) in enumerate(cells_of(lesson)):
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number:02}", "metadata": {}}
        cell["source"] = text.splitlines(keepends=True)
        made.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def notebooks() -> dict[str, str]:
    """Each notebook's text by its path below ``docs``."""
    return {
        f"course/{name_of(lesson)}": json.dumps(notebook_of(lesson), ensure_ascii=False, indent=1) + "\n"
        for lesson in LESSONS
    }
