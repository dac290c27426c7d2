"""The workflows of the forge: of the right form, only make's targets, few rights, no secrets."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from .test_packaging import dev_module

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".github" / "workflows"
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yml"))}
WORKFLOWS: dict[str, Any] = {name: yaml.load(text, yaml.BaseLoader) for name, text in TEXTS.items()}  # "on" is no bool
EACH = pytest.mark.parametrize("name", WORKFLOWS)


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in WORKFLOWS[name]["jobs"].values() for step in job["steps"]]


def checked(schema: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", "workflows/*.yml"),
        ("github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml"),
        ("github-issue-config", "ISSUE_TEMPLATE/config.yml"),
        ("citation-file-format", "../CITATION.cff"),
    ],
)
def test_each_has_the_form_that_its_schema_asks_for(schema: str, files: str, tmp_path: Path) -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed: pip install 'glyphnet[dev]'")
    paths = sorted((ROOT / ".github").glob(files)) if ".." not in files else [ROOT / "CITATION.cff"]
    assert paths
    done = checked(schema, *paths)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / paths[0].name
    broken.write_text(paths[0].read_text(encoding="utf-8").replace("name:", "nmae:").replace("blank", "blink"), "utf-8")
    assert checked(schema, broken).returncode == 1, "the schema notices a misspelt key"


def test_tests_run_on_three_systems_and_every_python() -> None:
    matrix = WORKFLOWS["test"]["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    (_, oldest), (_, newest) = dev_module().PYTHONS
    assert matrix["python"] == [f"3.{minor}" for minor in range(oldest, newest + 1)]


@EACH
def test_they_call_the_targets_that_people_call(name: str) -> None:
    called = []
    for step in steps(name):
        for line in step.get("run", "").splitlines():
            words = line.partition(" #")[0].split()
            if words[:1] == ["make"]:
                assert words[2:] == ["PYTHON=python"], line
                called.append(words[1])
            elif words[:2] == ["python", "scripts/dev.py"]:
                called.append(words[2])
            else:
                assert words[0] == "test", f"{line!r} is no target: put it into scripts/dev.py"
    assert called or name == "deploy"
    assert set(called) <= set(dev_module().TARGETS)


@EACH
def test_nothing_that_others_write_gets_into_a_command(name: str) -> None:
    assert not [step["run"] for step in steps(name) if "${{" in step.get("run", "")]
    assert "pull_request_target" not in WORKFLOWS[name]["on"]
    assert "secrets." not in TEXTS[name], "publishing is trusted, not by a password"


@EACH
def test_rights_are_given_to_the_job_that_needs_them(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    given = {job: set(of.get("permissions", {})) - {"contents"} for job, of in WORKFLOWS[name]["jobs"].items()}
    expected = {
        "release": {"build": {"id-token", "attestations"}, "publish": {"id-token"}},
        "docs": {"build": set(), "deploy": {"pages", "id-token"}},
    }
    assert given == expected.get(name, {job: set() for job in given})
    assert all(int(job["timeout-minutes"]) <= 120 for job in WORKFLOWS[name]["jobs"].values())


@EACH
def test_actions_are_of_a_named_major_version(name: str) -> None:
    used = [step["uses"] for step in steps(name) if "uses" in step]
    assert all(re.fullmatch(r"(actions|pypa)/[a-z-]+@(v\d+|release/v1)", action) for action in used), used


def test_a_release_is_built_tried_attested_and_then_published_without_a_password() -> None:
    jobs = WORKFLOWS["release"]["jobs"]
    assert WORKFLOWS["release"]["on"] == {"push": {"tags": ["v*"]}}
    used = [step.get("uses", step.get("run", "")).partition("@")[0] for step in jobs["build"]["steps"]]
    order = [
        "make sbom",
        "test -f",
        "actions/attest-build-provenance",
        "actions/attest-sbom",
        "actions/upload-artifact",
    ]
    found = [next(number for number, each in enumerate(used) if each.startswith(word)) for word in order]
    assert found == sorted(found)
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["environment"] == "release"
    [publish] = [step for step in jobs["publish"]["steps"] if "publish" in step["uses"]]
    assert publish["with"] == {"attestations": "true"}


def test_both_images_are_built_and_served() -> None:
    text = (ROOT / "scripts" / "images.py").read_text(encoding="utf-8")
    assert '"Dockerfile"' in text
    assert '"docker/onnx.Dockerfile"' in text
