"""IDX files: read exactly, and nothing believed that the file itself contradicts."""

import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from glyphnet.data import idx
from glyphnet.errors import BadFileError

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LABELS = np.array([0, 1, 2, 1, 0], dtype=np.uint8)


def packed_idx(values, code=0x08):
    head = struct.pack(f">BBBB{values.ndim}I", 0, 0, code, values.ndim, *values.shape)
    return head + values.astype(idx.DTYPES[code]).tobytes()


def write_set(folder, suffix="", dot="-"):
    for prefix, count in (("train", 5), ("t10k", 3)):
        for name, values in ((f"images{dot}idx3", IMAGES[:count]), (f"labels{dot}idx1", LABELS[:count])):
            content = packed_idx(values)
            (folder / f"{prefix}-{name}-ubyte{suffix}").write_bytes(gzip.compress(content) if suffix else content)


@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_reads_a_folder_under_its_usual_names(tmp_path, suffix, dot):
    assert not idx.is_idx_folder(tmp_path)
    write_set(tmp_path, suffix, dot)
    assert idx.is_idx_folder(tmp_path)
    parts = idx.read_idx_folder(tmp_path)
    assert list(parts) == ["train", "test"]
    images, labels = parts["train"]
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(images, IMAGES[..., None])
    np.testing.assert_array_equal(labels, LABELS)
    assert parts["test"][0].shape == (3, 4, 3, 1)


@pytest.mark.parametrize("code", list(idx.DTYPES))
def test_reads_every_type_of_the_format(tmp_path, code):
    path = tmp_path / "values"
    values = np.array([[1, 2, 3], [4, 5, 6]])
    path.write_bytes(packed_idx(values, code))
    found = idx.read_idx(path)
    np.testing.assert_array_equal(found, values)
    assert found.dtype == np.dtype(idx.DTYPES[code]).newbyteorder("=")


def test_gzip_of_several_members_is_one_file(tmp_path):
    content = packed_idx(IMAGES)
    (tmp_path / "a.gz").write_bytes(gzip.compress(content[:20]) + gzip.compress(content[20:]))
    np.testing.assert_array_equal(idx.read_idx(tmp_path / "a.gz"), IMAGES)


def test_a_large_plain_file_is_mapped_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "MAP_FROM", 10)
    (tmp_path / "a").write_bytes(packed_idx(IMAGES))
    images = idx.read_idx(tmp_path / "a")
    assert isinstance(images, np.memmap)
    np.testing.assert_array_equal(images, IMAGES)


GOOD = packed_idx(IMAGES)
BAD = {
    "empty": (b"", "too short for IDX: 0 bytes"),
    "short header": (GOOD[:9], "ends inside its header, after 9 bytes"),
    "labels": (
        packed_idx(LABELS),
        r"magic number is 0x00000801 \(labels\), where images have 0x00000803. Are the",
    ),
    "zip": (b"PK\3\4" + GOOD, r"0x504B0304 \(a zip file\)"),
    "other type": (packed_idx(IMAGES, 0x0D), r"0x00000D03 \(float32 values in 3 dimensions\)"),
    "truncated": (
        GOOD[:-1],
        r"announces 5 × 4 × 3 values, 76 bytes in all, but has 75: the file is truncated",
    ),
    "trailing": (GOOD + b"x", "but has 77: the file is followed by bytes that do not belong to it"),
    "gzip truncated": (gzip.compress(GOOD)[:-9], "truncated|ends after"),
    "gzip cut in its checksum": (
        gzip.compress(GOOD)[:-2],
        "the gzip data end too early: the file is truncated",
    ),
    "gzip damaged": (gzip.compress(GOOD)[:-8] + b"12345678", "the gzip data are damaged"),
    "gzip trailing": (
        gzip.compress(GOOD + b"x"),
        "goes on after the 60 bytes of values that its header announces",
    ),
    "gzip short": (gzip.compress(GOOD[:-2]), "ends after 58 of the 60 bytes"),
    "junk after gzip": (gzip.compress(GOOD) + b"junk", "followed by bytes that are not gzip"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(tmp_path, case):
    content, message = BAD[case]
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(BadFileError, match=message) as caught:
        idx.read_idx(path, kind=idx.IMAGES)
    assert caught.value.path == str(path)


def test_refuses_an_unknown_type_code(tmp_path):
    (tmp_path / "a").write_bytes(b"\0\0\x0a\1" + bytes(8))
    with pytest.raises(BadFileError, match="the type code is 0x0A; IDX knows 0x08, 0x09"):
        idx.read_idx(tmp_path / "a")


def test_a_tiny_gzip_that_announces_gigabytes_is_refused_before_allocation(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(struct.pack(">I3I", 0x803, 1 << 22, 32, 32)))
    tracemalloc.start()
    with pytest.raises(BadFileError, match=r"4,294,967,312 bytes in all, which .. bytes of gzip cannot hold"):
        idx.read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_a_gzip_bomb_is_left_at_the_announced_size(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(packed_idx(IMAGES) + bytes(200 << 20), 1))
    tracemalloc.start()
    with pytest.raises(BadFileError, match="goes on after the 60 bytes"):
        idx.read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_the_limit_is_named_and_can_be_moved(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(GOOD))
    with pytest.raises(
        BadFileError, match=r"more than the limit of 75 for unpacking into memory. Unpack it with gunzip"
    ):
        idx.read_idx(path, max_bytes=75)
    assert idx.read_idx(path, max_bytes=76).shape == (5, 4, 3)


def test_counts_must_agree(tmp_path):
    write_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(packed_idx(LABELS))
    with pytest.raises(
        BadFileError, match=r"holds 5 labels for the 3 images of t10k-images-idx3-ubyte. Give the labels"
    ):
        idx.read_idx_folder(tmp_path)


def test_missing_companions_are_named(tmp_path):
    write_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(BadFileError, match="has t10k-images-idx3-ubyte but no t10k-labels-idx1-ubyte"):
        idx.read_idx_folder(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    assert list(idx.read_idx_folder(tmp_path)) == ["train"]
    (tmp_path / "train-images-idx3-ubyte").rename(tmp_path / "t10k-images-idx3-ubyte")
    (tmp_path / "train-labels-idx1-ubyte").rename(tmp_path / "t10k-labels-idx1-ubyte")
    with pytest.raises(BadFileError, match="has no train-images-idx3-ubyte"):
        idx.read_idx_folder(tmp_path)


def test_no_images_are_no_data(tmp_path):
    write_set(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(packed_idx(IMAGES[:0]))
    with pytest.raises(BadFileError, match="holds no pixels"):
        idx.read_idx_folder(tmp_path)


@pytest.mark.skipif("GLYPHNET_DATA" not in os.environ, reason="needs $GLYPHNET_DATA")
def test_reads_the_real_mnist():
    folder = Path(os.environ["GLYPHNET_DATA"]) / "mnist"
    parts = idx.read_idx_folder(folder)
    assert parts["train"][0].shape == (60000, 28, 28, 1)
    assert parts["test"][0].shape == (10000, 28, 28, 1)
    assert parts["train"][1][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert parts["test"][1][:5].tolist() == [7, 2, 1, 0, 4]
