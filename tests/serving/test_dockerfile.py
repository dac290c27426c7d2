"""The Dockerfile, as far as it can be checked by reading: what it copies is there, and nothing runs as root."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text()).splitlines()


def arguments(instruction: str) -> list[str]:
    return [line.partition(" ")[2] for line in LINES if line.startswith(f"{instruction} ")]


def test_what_is_copied_is_there_and_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored, "nothing goes to the builder unless it is named"
    sources = [word for line in arguments("COPY") if "--from" not in line for word in line.split()[:-1]]
    assert "src" in sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source


def test_the_last_stage_runs_as_somebody_without_rights():
    last = LINES[max(number for number, line in enumerate(LINES) if line.startswith("FROM ")) :]
    [user] = [line.split()[1] for line in last if line.startswith("USER ")]
    assert int(user) > 0
    assert next(n for n, line in enumerate(last) if line.startswith("USER")) < next(
        n for n, line in enumerate(last) if line.startswith("ENTRYPOINT")
    )


def test_it_installs_extras_that_there_are():
    extras = re.search(r'"\.\[([^]]+)\]"', " ".join(arguments("RUN")))
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras[1].split(",")) <= set(known)
