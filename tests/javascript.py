"""Run the JavaScript modules of the pages without a browser, in the Node that Playwright brings along."""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(str(files("glyphnet")))


def node() -> str:
    """The path of Node: Playwright's, else one on the search path; the test is skipped where there is none."""
    playwright = find_spec("playwright")
    if playwright is not None and playwright.origin is not None:
        brought = Path(playwright.origin).with_name("driver") / "node"
        if brought.exists():
            return str(brought)
    found = shutil.which("node")
    if found is None:
        pytest.skip("no Node on this machine: pip install playwright brings one")
    return found


def run_module(imports: str, expression: str, given: object) -> Any:
    """The value of a JavaScript expression of ``given``, which like its value is plain JSON.

    Args:
        imports: import statements; paths are relative to the package: ``import { ramp } from "./pages/js/filters.js";``
        expression: what is computed of the constant ``given``.
        given: handed over on standard input.
    """
    program = f"""
        import {{ readFileSync }} from "node:fs";
        {imports}
        const given = JSON.parse(readFileSync(0, "utf8"));
        process.stdout.write(JSON.stringify({expression}));
    """
    made = run_node("--no-warnings", "--input-type=module", "--eval", program, input=json.dumps(given), cwd=PACKAGE)
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)


def run_node(*words: str, input: str | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Node. One that dies by a signal has not said what is wrong with the script: it is tried once more.

    Node 26 was seen to abort with "free(): invalid next size", in one of some hundred runs. pytest lists the warning at
    its end.
    """
    command = [node(), *words]
    made = subprocess.run(command, input=input, capture_output=True, text=True, cwd=cwd)
    if made.returncode < 0:
        with warnings.catch_warnings():
            warnings.simplefilter("always")  # and not an error, as other warnings in tests are
            warnings.warn(f"Node died by signal {-made.returncode}: {made.stderr[-500:]}", stacklevel=2)
        made = subprocess.run(command, input=input, capture_output=True, text=True, cwd=cwd)
    return made
