"""Each lab, run once for all tests that look at what it left, whichever worker they run on."""

from __future__ import annotations

import fcntl
import json
import os
import re
from typing import Any

import pytest

from glyphnet.labs import LABS, LabFolder, load_lab, run_lab
from glyphnet.labs.lab import DARK, PHONE, template_of

SMALLER: dict[str, dict[str, int]] = {
    "digits": {"seeds": 1},
    "regularisation": {"seeds": 1},
    "networks": {"epochs": 4},
    "scratch": {"seeds": 1},
    "cnn": {"seeds": 2},
    "classical": {"budget": 3600},
    "feedback": {"seeds": 1},
    "tuning": {"seeds": 2},
}
"""What the tests ask of a lab is true of fewer seeds and epochs than the quick version has.

A budget of time must suffice however busy the machine is.
"""


DRAWN_IN_ALL_VARIANTS = "xor"
"""The figures of the others are drawn twice, not four times: drawing takes longer than most experiments here."""


@pytest.fixture(scope="session")
def quick_lab(tmp_path_factory: pytest.TempPathFactory):
    """A function: the folder that ``glyphnet lab NAME --quick`` leaves, with the settings of `SMALLER`."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "labs"
    shared.mkdir(exist_ok=True)

    def run(name: str) -> LabFolder:
        folder = LabFolder(shared / name)
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the other worker may be at it
            if not folder.page.exists():
                with pytest.MonkeyPatch.context() as patch:
                    if name != DRAWN_IN_ALL_VARIANTS:
                        patch.setattr("glyphnet.labs.lab.VARIANTS", ("", PHONE + DARK))
                    run_lab(name, {"quick": True, **SMALLER.get(name, {})}, out=folder.path, command="the command")
        return folder

    return run


@pytest.fixture(scope="session")
def html_of():
    """A function: the questions and answers of a lab's page, with some numbers."""

    def html(name: str, numbers: dict[str, Any]) -> str:
        template = template_of(load_lab(name))
        return "".join(template.blocks["questions"](template.new_context({"n": numbers})))

    return html


@pytest.fixture(scope="session")
def words_of(html_of):
    """A function: the same in words alone."""
    return lambda *asked: " ".join(re.sub(r"<[^>]*>", " ", html_of(*asked)).split())


@pytest.fixture(params=list(LABS))
def any_lab(request: pytest.FixtureRequest, quick_lab) -> tuple[str, LabFolder]:
    """Every lab in turn: its name, and what it left."""
    return request.param, quick_lab(request.param)


@pytest.fixture(scope="module")
def numbers(request: pytest.FixtureRequest, quick_lab) -> dict[str, Any]:
    """What the lab of the test module measured: ``test_first_net.py`` gets the numbers of "first-net"."""
    name = request.module.__name__.rpartition("test_")[2].replace("_", "-")
    return json.loads(quick_lab(name).numbers.read_text(encoding="utf-8"))["numbers"]
