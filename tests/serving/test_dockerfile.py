"""Both Dockerfiles, as far as they can be checked by reading: what they copy is there, and nothing runs as root."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = pytest.mark.parametrize("file", ["Dockerfile", "docker/onnx.Dockerfile"])


def lines_of(file: str) -> list[str]:
    return re.sub(r"\\\n\s*", " ", (ROOT / file).read_text(encoding="utf-8")).splitlines()


def arguments(file: str, instruction: str) -> list[str]:
    return [line.partition(" ")[2] for line in lines_of(file) if line.startswith(f"{instruction} ")]


@FILES
def test_what_is_copied_is_there_and_not_ignored(file: str):
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored, "nothing goes to the builder unless it is named"
    sources = [word for line in arguments(file, "COPY") if "--from" not in line for word in line.split()[:-1]]
    assert "src" in sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source


@FILES
def test_the_last_stage_runs_as_somebody_without_rights(file: str):
    lines = lines_of(file)
    last = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM ")) :]
    [user] = [line.split()[1] for line in last if line.startswith("USER ")]
    assert int(user) > 0
    assert next(n for n, line in enumerate(last) if line.startswith("USER")) < next(
        n for n, line in enumerate(last) if line.startswith("ENTRYPOINT")
    )


def test_it_installs_extras_that_there_are():
    extras = re.search(r'"\.\[([^]]+)\]"', " ".join(arguments("Dockerfile", "RUN")))
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras[1].split(",")) <= set(known)
