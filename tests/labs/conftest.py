"""Each lab, run once for all tests that look at what it left."""

from __future__ import annotations

import pytest

from glyphnet.labs import LABS, LabFolder, run_lab

_done: dict[str, LabFolder] = {}


@pytest.fixture(scope="session")
def quick_lab(tmp_path_factory: pytest.TempPathFactory):
    """A function: the folder that ``glyphnet lab NAME --quick`` leaves."""

    def run(name: str) -> LabFolder:
        if name not in _done:
            _done[name] = run_lab(name, {"quick": True}, out=tmp_path_factory.mktemp(name), command="the command")
        return _done[name]

    return run


@pytest.fixture(params=list(LABS))
def any_lab(request: pytest.FixtureRequest, quick_lab) -> tuple[str, LabFolder]:
    """Every lab in turn: its name, and what it left."""
    return request.param, quick_lab(request.param)
