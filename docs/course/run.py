"""Run every lesson as its notebook, then the solution of every exercise in it: ``make course``.

The notebooks with their outputs come to ``build/course``, for the site.

    python docs/course/run.py [LESSON...]     # 03 runs lesson 3 alone
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import nbformat
from build import FOLDER, LESSONS, name_of, notebook_of, solutions_of
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell

BUILD = FOLDER.parent.parent / "build" / "course"
TIMEOUT = 300  # seconds for a cell: some of them train several networks


def run(lesson: Path) -> list[str]:
    """Run a lesson and its solutions, write it with its outputs, and return what is wrong."""
    notebook = nbformat.reads(json.dumps(notebook_of(lesson)), as_version=4)
    client = NotebookClient(
        notebook, timeout=TIMEOUT, resources={"metadata": {"path": FOLDER}},
        extra_arguments=["--log-level=ERROR"],  # a warning that its sockets are not encrypted
    )  # fmt: skip
    wrong = []
    with client.setup_kernel():
        for number, cell in enumerate(notebook.cells):
            try:
                client.execute_cell(cell, number)
            except CellExecutionError as error:
                return [f"{lesson.name}: {error}"]
            wrong += [
                f"{lesson.name}: a cell writes on standard error: {output.text.strip()}"
                for output in cell.get("outputs", ())
                if output.output_type == "stream" and output.name == "stderr"
            ]
        for name, code in solutions_of(lesson).items():
            judged = f"{code}\nfrom glyphnet.course import assess\nassert assess({name!r}, answer).right, answer"
            notebook.cells.append(new_code_cell(judged))
            try:
                client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1)
            except CellExecutionError as error:
                wrong.append(f"{lesson.name}: the solution of exercise {name} is wrong: {error}")
            notebook.cells.pop()
    BUILD.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, BUILD / name_of(lesson))
    return wrong


def processor_time() -> float:
    """Seconds that this process and the kernels that have ended have computed; on Windows without the kernels'."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> int:
    """Run the lessons that were asked for, or all; the exit status."""
    failed = False
    for lesson in LESSONS:
        if sys.argv[1:] and not lesson.name.startswith(tuple(sys.argv[1:])):
            continue
        began, worked = time.perf_counter(), processor_time()
        wrong = run(lesson)
        took, worked = time.perf_counter() - began, processor_time() - worked
        print(
            f"{lesson.stem}: {'failed' if wrong else 'runs'}, {took:.0f} s ({worked:.0f} s of processor time)",
            flush=True,
        )
        for each in wrong:
            print(each, file=sys.stderr)
        failed = failed or bool(wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
