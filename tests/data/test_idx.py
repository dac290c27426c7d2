"""IDX files: read exactly, and nothing believed that the file itself contradicts."""

import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from glyphnet.data import idx, load
from glyphnet.errors import BadFileError, DataError

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
    parts = idx.read_idx_folder(tmp_path).parts
    assert list(parts) == ["train", "test"]
    images, labels = parts["train"][:2]
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    assert parts["test"].images.shape == (3, 4, 3)


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
    "zip": (b"PK\3\4" + GOOD, r"0x504B0304 \(a zip archive"),
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
        idx.read_idx(path)
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


def test_the_limit_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(GOOD))
    monkeypatch.setattr(idx, "MAX_BYTES", 75)
    with pytest.raises(
        BadFileError, match=r"more than the limit of 75 for unpacking into memory. Unpack it with gunzip"
    ):
        idx.read_idx(path)
    monkeypatch.setattr(idx, "MAX_BYTES", 76)
    assert idx.read_idx(path).shape == (5, 4, 3)


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
    assert list(idx.read_idx_folder(tmp_path).parts) == ["train"]
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
    parts = idx.read_idx_folder(folder).parts
    assert parts["train"][0].shape == (60000, 28, 28)
    assert parts["test"][0].shape == (10000, 28, 28)
    assert parts["train"][1][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert parts["test"][1][:5].tolist() == [7, 2, 1, 0, 4]


def write_emnist(folder, name="letters", labels=LABELS):
    for part, count in (("train", 5), ("test", 3)):
        for kind, values in (("images-idx3", IMAGES[:count]), ("labels-idx1", labels[:count])):
            content = gzip.compress(packed_idx(values))
            (folder / f"emnist-{name}-{part}-{kind}-ubyte.gz").write_bytes(content)
    (folder / f"emnist-{name}-mapping.txt").write_text("0 65 97\n1 66 98\n2 67\n")


def test_emnist_is_turned_upright_and_has_its_characters(tmp_path):
    write_emnist(tmp_path)
    splits = load(tmp_path, validation_fraction=0)
    assert splits.classes == ("A", "B", "C")
    assert (len(splits.train), len(splits.test)) == (5, 3)
    np.testing.assert_array_equal(splits.train.images[..., 0], IMAGES.transpose(0, 2, 1))
    assert any("turned upright" in note for note in splits.notes)


def test_several_sets_in_a_folder_are_told_apart_by_a_file_of_one(tmp_path):
    for name in ("letters", "digits"):
        write_emnist(tmp_path, name)
    with pytest.raises(DataError, match=r"2 data sets of IDX files. Name a file of one: emnist-digits-test"):
        idx.read_idx_folder(tmp_path)
    raw = idx.read_idx_folder(tmp_path / "emnist-digits-train-images-idx3-ubyte.gz")
    assert raw.parts["train"].images_name == "emnist-digits-train-images-idx3-ubyte.gz"


@pytest.mark.parametrize("names", [("x-images", "x-labels.gz"), ("a_idx3", "a_idx1"), ("images", "labels")])
def test_the_content_says_what_a_file_is_whatever_its_name(tmp_path, names):
    (tmp_path / names[0]).write_bytes(packed_idx(IMAGES.astype(np.int32), 0x0C))
    (tmp_path / names[1]).write_bytes(packed_idx(LABELS))
    (tmp_path / "readme.txt").write_text("hello")
    np.testing.assert_array_equal(idx.read_idx_folder(tmp_path).parts["all"].images, IMAGES)


def test_the_labels_of_qmnist_are_the_first_of_eight_numbers(tmp_path):
    table = np.zeros((5, 8), np.int32)
    table[:, 0], table[:, 1] = LABELS, 99
    (tmp_path / "qmnist-train-images-idx3-ubyte").write_bytes(packed_idx(IMAGES))
    (tmp_path / "qmnist-train-labels-idx2-int").write_bytes(packed_idx(table, 0x0C))
    np.testing.assert_array_equal(idx.read_idx_folder(tmp_path).parts["train"].labels, LABELS)
