"""A few hundred damaged files for each reader; `make fuzz` reads them for as long as one likes."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")
pytest.importorskip("fastapi")
from .fuzz import TARGETS, fuzz


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused(name):
    assert fuzz(name, first=0, seconds=3, most=300) > 10
