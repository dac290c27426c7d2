"""A few damaged files for each reader; `make fuzz` reads them for as long as one likes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("fastapi")
pytest.importorskip("h5py")
pytest.importorskip("pyarrow")
import pyarrow as pa
from pyarrow import parquet as pq

from glyphnet.data.containers import read_matlab
from glyphnet.data.load import load, source_of
from glyphnet.errors import BadFileError, DataError

from .fuzz import IMAGES, LABELS, TARGETS, damaged, fuzz, matlab


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused(name):
    assert fuzz(name, first=0, seconds=0.3, most=300) >= 1


def test_a_file_on_which_its_library_crashes_is_refused(tmp_path):
    """SciPy 1.17 ends with a segmentation fault on this one."""
    (tmp_path / "x.mat").write_bytes(damaged(matlab(), 914))
    with pytest.raises(BadFileError, match=r"x\.mat: damaged"):
        read_matlab(tmp_path / "x.mat")


def test_names_of_classes_that_are_no_utf8_are_refused(tmp_path):
    """Found by `make fuzz` in an HDF5 file."""
    np.savez(tmp_path / "d.npz", images=IMAGES, labels=LABELS, classes=np.array([b"a", b"\x81"]))
    with pytest.raises(DataError, match=r"d\.npz: classes has a name that is no UTF-8, b'.x81'"):
        load(tmp_path / "d.npz")


def test_text_of_a_parquet_table_that_is_no_utf8_is_refused(tmp_path):
    """pyarrow gives such text to Python unchecked, which raises UnicodeDecodeError: `make fuzz` found it."""
    cells = [{"bytes": b"no picture", "path": f"name-{number}.png"} for number in range(4)]
    pq.write_table(pa.table({"image": cells, "label": [0, 1, 0, 1]}), tmp_path / "t.parquet", compression="NONE")
    content = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(content.replace(b"name-1", b"nam\xff-1"))
    with pytest.raises(DataError, match=r"t\.parquet#0.*cannot be read as Parquet \(.*Invalid UTF8"):
        load(tmp_path / "t.parquet")
    table = source_of(tmp_path / "t.parquet").pictures(str(tmp_path / "t.parquet"))
    with pytest.raises(DataError, match="cannot be read from row 0 on .*Invalid UTF8"):
        list(table.pictures(0))
