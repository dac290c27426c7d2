"""A few damaged files for each reader; `make fuzz` reads them for as long as one likes."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")
pytest.importorskip("fastapi")
pytest.importorskip("h5py")
from glyphnet.data.containers import read_matlab
from glyphnet.errors import BadFileError

from .fuzz import TARGETS, damaged, fuzz, matlab


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused(name):
    assert fuzz(name, first=0, seconds=0.3, most=300) >= 1


def test_a_file_on_which_its_library_crashes_is_refused(tmp_path):
    """SciPy 1.17 ends with a segmentation fault on this one."""
    (tmp_path / "x.mat").write_bytes(damaged(matlab(), 914))
    with pytest.raises(BadFileError, match=r"x\.mat: damaged"):
        read_matlab(tmp_path / "x.mat")
