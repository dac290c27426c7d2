"""The documentation tells the truth: examples run, generated pages are fresh, what is named exists."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from glyphnet.cli import app

ROOT = Path(__file__).parent.parent
# In this order they can be read, and run, one after the other in one folder.
PAGES = [
    ROOT / name for name in ("README.md", "docs/guide.md", "docs/files.md", "docs/extending.md", "CONTRIBUTING.md")
]
ALL_PAGES = [
    *PAGES,
    *(ROOT / name for name in ("CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs").glob("course/*.md")),
]


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(page, text.count("\n", 0, found.start()) + 2, found[1], found[2])


def generated() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pages: dict[str, str] = module.pages()
    return pages


def test_the_generated_pages_are_what_the_code_says():
    pages = generated()
    assert {"cli.md", "settings.md", "extending.md", "course/01-pixels.ipynb"} <= set(pages)
    stale = [name for name, text in pages.items() if (ROOT / "docs" / name).read_text(encoding="utf-8") != text]
    assert not stale, f"out of date: {stale}; run make docs"
    written = {f"course/{path.name}" for path in (ROOT / "docs" / "course").glob("*.ipynb")}
    assert written == {name for name in pages if name.endswith(".ipynb")}


def run_shell(block: Block, folder: Path) -> None:
    """Run the block's lines; the command line in this process, which has imported already what it needs."""
    for number, line in enumerate(block.text.splitlines(), block.line):
        where = f"{block.page.name}, line {number}: {line}"
        if line.startswith("glyphnet "):
            done = CliRunner().invoke(app, shlex.split(line, comments=True)[1:])
            assert done.exit_code == 0, f"{where}: {done.stderr}"
        else:
            run = subprocess.run(["bash", "-euc", line], cwd=folder, capture_output=True, text=True, check=False)
            assert run.returncode == 0, f"{where}: {run.stderr}"


def run_python(block: Block, names: dict[str, Any]) -> None:
    # The line numbers of the page, so that a failure points at it.
    code = compile("\n" * (block.line - 1) + block.text, str(block.page), "exec")
    exec(code, names)


@pytest.mark.slow
@pytest.mark.usefixtures("little_ink", "forked_children")
@pytest.mark.timeout(900)  # it trains a dozen networks
def test_the_examples_run_as_they_stand(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
):
    from glyphnet.training import presets

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("glyphnet.runs.review.REPEATS", 1)  # a review trains two networks instead of twelve
    monkeypatch.setattr("glyphnet.runs.review.FOLDS", 2)
    monkeypatch.setattr("glyphnet.labs.lab.VARIANTS", ("",))  # tests/labs draws all
    epochs = 6
    monkeypatch.setitem(presets.PRESETS, "fast", lambda *data: presets.fast(*data).override({"epochs": epochs}))
    names: dict[str, Any] = {"__name__": "examples"}
    ran = 0
    for block in (block for page in PAGES for block in blocks(page)):
        if block.page.name != "README.md":  # which promises an accuracy; the other pages only need some data
            request.getfixturevalue("fewer_digits")
            epochs = 3
        if block.language == "python":
            run_python(block, names)
            ran += 1
        elif block.language == "sh" and not block.text.startswith("make "):
            run_shell(block, tmp_path)
            ran += 1
    assert ran >= 9
    shown = capsys.readouterr().out
    assert re.search(r"^\['\d'(, '\d'){4}\]$", shown, re.MULTILINE)
    assert re.search(r"^9\d\.\d\d%, 95 % interval \d\d\.\d\d% to \d\d\.\d\d%, \d+ images$", shown, re.MULTILINE)
    assert (tmp_path / "digits.safetensors").exists()


def test_a_run_folder_holds_what_the_page_says():
    from glyphnet.outputs import FileOf, RunFiles

    table = (ROOT / "docs" / "files.md").read_text(encoding="utf-8").partition("## The model file")[0]
    ours = [value.name for value in vars(RunFiles).values() if isinstance(value, FileOf)]
    assert re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE) == ours


def test_the_model_file_holds_what_the_page_says():
    from glyphnet.modelfile import ModelHeader

    table = (ROOT / "docs" / "files.md").read_text(encoding="utf-8").partition("## The model file")[2]
    described = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(described) == sorted(ModelHeader.model_fields)


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: page.name)
def test_links_and_named_files_exist(page: Path):
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    named = re.findall(r"`((?:src|tests|docs|benchmarks|scripts|\.ci)/[\w./-]*)`", text)
    missing += [name for name in named if not (ROOT / name).exists()]
    for file, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text):
        if not (ROOT / file).exists() or f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8"):
            missing.append(f"{file}::{test}")
    assert not missing, f"{page.name} names what is not there: {missing}"


def test_the_walk_through_the_code_names_what_is_there():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## From a picture file")[2]
    named = re.findall(r"`(\w[\w/]*(?:\.py|/))`", text)
    assert len(named) > 60
    assert [name for name in named if not (ROOT / "src" / "glyphnet" / name).exists()] == []


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: page.name)
def test_make_targets_and_verbs_that_are_named_exist(page: Path):
    from glyphnet.cli import VERBS

    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    code = "\n".join([*(block.text for block in blocks(page)), *re.findall(r"`([^`\n]+)`", text)])
    assert set(re.findall(r"^make ([a-z]+)", code, re.MULTILINE)) <= targets
    assert set(re.findall(r"^glyphnet ([a-z]+)", code, re.MULTILINE)) <= set(VERBS)
