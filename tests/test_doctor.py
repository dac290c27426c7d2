"""``glyphnet doctor`` tells what is here and whether it works; the files of the project's page ask for it."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import Result
from typer.testing import CliRunner

from glyphnet import __version__, doctor
from glyphnet.cli import app

pytestmark = pytest.mark.usefixtures("little_ink")

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FOR_DEVELOPERS = {"test", "course", "site", "bench", "dev"}


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *words])


def distribution(requirement: str) -> str:
    return re.split(r"[<>=;\[ ]", requirement)[0].lower()


def test_every_part_and_extra_of_the_package_is_looked_for() -> None:
    assert set(doctor.PARTS) == set(map(distribution, PROJECT["dependencies"]))
    extras = {name: lines for name, lines in PROJECT["optional-dependencies"].items() if name not in FOR_DEVELOPERS}
    assert set(doctor.EXTRAS) == set(extras)
    for name, lines in extras.items():
        looked_for = {each for choice in doctor.EXTRAS[name][1] for each in choice.split("|")}
        assert looked_for == set(map(distribution, lines)), name


def test_it_shows_what_is_here_and_that_it_works() -> None:
    found = run("--json")
    assert found.exit_code == 0, found.stderr
    told = json.loads(found.stdout)
    assert told["glyphnet"] == __version__
    assert told["versions"]["numpy"] == metadata.version("numpy")
    assert told["computing"]["threads"] == str(torch.get_num_threads())
    assert int(told["computing"]["cores"]) >= 1
    assert told["extras"]["export"]["versions"]["onnx"] == metadata.version("onnx")
    steps = {step["name"]: step for step in told["self_test"]}
    assert list(steps) == ["train", "save", "load", "predict", "export"]
    assert {step["status"] for step in steps.values()} == {"passed"}
    assert told["passed"]
    assert str(Path.home()) not in found.stdout


def test_an_absent_part_is_told_with_its_command_and_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra that cannot be imported, as for the import system: a module that is None."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    version = metadata.version

    def without(name: str) -> str:
        if name == "onnxruntime":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without)
    found = run()
    assert found.exit_code == 0
    assert 'not installed (onnxruntime). pip install "glyphnet[export]"' in found.stdout
    assert re.search(r'^  export +skipped: .*pip install "glyphnet\[export\]"', found.stdout, re.MULTILINE)
    assert re.search(r"^  predict +passed: ", found.stdout, re.MULTILINE)


def test_a_failed_self_test_ends_with_1_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("glyphnet.classifier.Classifier.save", broken)
    found = run("--json")
    assert found.exit_code == 1
    assert "the self-test failed at save" in found.stderr
    told = json.loads(found.stdout)
    assert not told["passed"]
    outcomes = {step["name"]: (step["status"], step["text"]) for step in told["self_test"]}
    assert outcomes["train"][0] == "passed"
    assert outcomes["save"] == ("failed", "OSError: [Errno 28] No space left on device")
    assert outcomes["load"] == outcomes["predict"] == outcomes["export"] == ("skipped", "needs save")


def test_without_torch_it_tells_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_STEPS", {})  # modules of ours that have torch already would not miss it
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "cannot be used: " in doctor.examine().computing["torch"]


def test_a_network_that_learns_nothing_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_ENOUGH", 1.1)
    failed = next(iter(doctor.self_test()))
    assert (failed.name, failed.status) == ("train", "failed")
    assert "it learned too little: 9" in failed.text


def test_a_report_of_a_bug_asks_for_it() -> None:
    folder = ROOT / ".github" / "ISSUE_TEMPLATE"
    forms = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in folder.glob("*.yml")}
    bug = next(field for field in forms["bug"]["body"] if field["id"] == "doctor")
    assert "glyphnet doctor" in bug["attributes"]["label"]
    assert bug["validations"]["required"]
    for name in ("bug", "idea"):
        assert {"name", "description", "body"} <= set(forms[name])
    assert "glyphnet doctor" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_the_citation_names_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["cff-version"], cited["title"]) == ("1.2.0", "GlyphNet")
    assert cited["version"] == __version__
    assert cited["license"] == PROJECT["license"]
    assert cited["authors"] == PROJECT["authors"]
