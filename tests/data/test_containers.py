"""MATLAB, HDF5, CIFAR and LIBSVM files, small but of the true format; a pickle is read without running it."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from glyphnet.data import containers, load
from glyphnet.errors import BadFileError, DataError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 6, 5), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(20) % 2


def whole(source: Path, **how):
    splits = load(source, validation_fraction=0, **{"test_fraction": 0, **how})
    order = np.argsort([int(name.rpartition("/")[2]) for name in splits.train.names])
    return splits, splits.train.images[order], splits.train.labels[order]


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("names", [("images", "labels"), ("X", "y"), ("data", "labels")])
def test_matlab_files_with_images_along_the_first_or_last_axis(tmp_path, axis, names):
    savemat(tmp_path / "a.mat", {names[0]: np.moveaxis(GREY, 0, axis), names[1]: LABELS[:, np.newaxis]})
    _, images, labels = whole(tmp_path / "a.mat")
    np.testing.assert_array_equal(images[..., 0], GREY)
    np.testing.assert_array_equal(labels, LABELS)


def test_svhn_has_its_digit_0_and_its_parts(tmp_path):
    labels = LABELS * 9 + 1  # 1 and 10
    for part in ("train", "test"):
        savemat(tmp_path / f"{part}_32x32.mat", {"X": np.moveaxis(COLOUR, 0, -1), "y": labels[:, np.newaxis]})
    splits = load(tmp_path, validation_fraction=0)
    assert splits.classes == ("0", "1")
    assert (len(splits.train), len(splits.test)) == (20, 20)
    np.testing.assert_array_equal(splits.test.images, COLOUR)
    np.testing.assert_array_equal(splits.test.labels, 1 - LABELS)


def test_damaged_matlab_files_are_told(tmp_path):
    savemat(tmp_path / "a.mat", {"images": GREY, "labels": LABELS})
    content = (tmp_path / "a.mat").read_bytes()
    (tmp_path / "a.mat").write_bytes(content[:400])
    with pytest.raises(BadFileError, match=r"a\.mat: damaged, or not a MATLAB file"):
        load(tmp_path / "a.mat")
    savemat(tmp_path / "b.mat", {"pictures": GREY})
    with pytest.raises(DataError, match="no arrays of training images. Found: pictures"):
        load(tmp_path / "b.mat")


def test_hdf5_files_flat_and_in_groups(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "flat.h5", "w") as file:
        file["images"], file["labels"] = GREY, LABELS
        file["classes"] = ["ash", "oak"]
    splits, images, _ = whole(tmp_path / "flat.h5")
    assert splits.classes == ("ash", "oak")
    np.testing.assert_array_equal(images[..., 0], GREY)
    with h5py.File(tmp_path / "usps.hdf5", "w") as file:  # as Kaggle's usps.h5
        for part in ("train", "test"):
            file[f"{part}/data"], file[f"{part}/target"] = GREY.reshape(20, -1) / 255, LABELS
    splits = load(tmp_path / "usps.hdf5", size=(6, 5), validation_fraction=0)
    np.testing.assert_array_equal(splits.test.images[..., 0], GREY)
    assert splits.value_range == (0, 1)


def test_without_h5py_the_install_command_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.h5").write_bytes(containers.HDF5_MAGIC + bytes(600))
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(Exception, match=r"pip install .*glyphnet\[hdf5\]"):
        load(tmp_path / "a.h5")


def write_cifar10(folder: Path, protocol: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = COLOUR.transpose(0, 3, 1, 2).reshape(20, -1)
    for name in ("data_batch_1", "data_batch_2", "test_batch"):
        batch = {b"batch_label": b"batch", b"labels": LABELS.tolist(), b"data": rows, b"filenames": [b"a.png"] * 20}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))
    meta = {b"num_cases_per_batch": 20, b"label_names": [b"cat", b"dog"], b"num_vis": 3072}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=protocol))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_cifar_10_for_python(tmp_path, protocol):
    write_cifar10(tmp_path / "cifar-10-batches-py", protocol)
    splits = load(tmp_path / "cifar-10-batches-py", validation_fraction=0)
    assert splits.classes == ("cat", "dog")
    assert (len(splits.train), len(splits.test)) == (40, 20)
    np.testing.assert_array_equal(splits.test.images, COLOUR)


@pytest.mark.parametrize("fine", [False, True])
def test_cifar_as_binary_files(tmp_path, fine):
    rows = COLOUR.transpose(0, 3, 1, 2).reshape(20, -1)
    labels = np.stack([LABELS * 0 + 7, LABELS] if fine else [LABELS], axis=1).astype(np.uint8)
    content = np.concatenate([labels, rows], axis=1).tobytes()
    names = ("train.bin", "test.bin") if fine else ("data_batch_1.bin", "test_batch.bin")
    for name in names:
        (tmp_path / name).write_bytes(content)
    (tmp_path / ("fine_label_names.txt" if fine else "batches.meta.txt")).write_text("cat\ndog\n")
    splits = load(tmp_path, validation_fraction=0)
    assert splits.classes == ("cat", "dog")
    np.testing.assert_array_equal(splits.test.images, COLOUR)
    np.testing.assert_array_equal(splits.test.labels, LABELS)
    (tmp_path / names[0]).write_bytes(content[:-1])
    with pytest.raises(BadFileError, match="no number of records of 307[34]|no number of records of 3,07[34]"):
        load(tmp_path)


class Trap:
    fired = False

    def __reduce__(self):
        return setattr, (Trap, "fired", True)


@pytest.mark.parametrize("thing", [Trap(), {b"data": Trap()}, {b"labels": [print]}, np.array([Trap()], dtype=object)])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_of_anything_else_is_refused_and_nothing_is_run(tmp_path, thing, protocol):
    content = pickle.dumps(thing, protocol=protocol)
    with pytest.raises(BadFileError, match="not a pickle of plain values and arrays .*; nothing was run"):
        containers.read_pickle(content, tmp_path / "data_batch_1")
    assert not Trap.fired


@pytest.mark.parametrize("protocol", range(5))
def test_plain_values_and_arrays_come_back(tmp_path, protocol):
    value = {
        "a": [1, 2.5, None, True, "text"],
        "b": (1, 2, 3, 4),
        "c": GREY,
        "d": np.asfortranarray(GREY[0].astype("<i4")),
    }
    found = containers.read_pickle(pickle.dumps(value, protocol=protocol), tmp_path / "x")
    assert (found["a"], found["b"]) == (value["a"], value["b"])
    np.testing.assert_array_equal(found["c"], GREY)
    np.testing.assert_array_equal(found["d"], GREY[0])


def test_what_a_pickle_names_many_times_is_built_once(tmp_path):
    inner = [0] * 10_000
    content = pickle.dumps({"labels": inner, "again": [inner] * 10_000})
    assert len(content) < 100_000
    with pytest.raises(BadFileError, match="it holds a list at level 2"):
        containers.read_pickle(content, tmp_path / "x")
    found = containers.read_pickle(pickle.dumps([inner] * 10_000), tmp_path / "x")
    assert all(each is found[0] for each in found)


def test_cut_and_altered_pickles_are_bad_files(tmp_path):
    content = pickle.dumps({b"data": GREY, b"labels": [0, 1]}, protocol=2)
    for length in range(0, len(content) - 1, 23):
        with pytest.raises(BadFileError):
            containers.read_pickle(content[:length], tmp_path / "x")
    for place in range(min(len(content), 400)):
        try:
            containers.read_pickle(
                content[:place] + bytes([content[place] ^ 0x15]) + content[place + 1 :], tmp_path / "x"
            )
        except BadFileError:
            continue


def test_usps_is_read_from_text():
    line = "10 " + " ".join(f"{place}:{value:.3f}" for place, value in enumerate(np.linspace(-1, 1, 256), 1))
    raw = containers.read_usps(f"{line}\n1 1:1.0\n", line)
    images, labels = raw.parts["train"][:2]
    assert labels.tolist() == [9, 0]
    assert images.shape == (2, 16, 16)
    assert (images[0, 0, 0], images[0, 15, 15], images[1, 0, 0], images[1, 0, 1]) == (0, 1, 1, 0)
    with pytest.raises(DataError, match="usps train: line 2 is not a label"):
        containers.read_usps(f"{line}\nx y", line)


def test_emnist_as_matlab_stores_it(tmp_path):
    """A structure in a structure; rows by columns; labels by a table of code points."""
    rows = GREY[:, :5].transpose(0, 2, 1).reshape(20, 25).astype(np.uint8)
    part = {"images": rows, "labels": LABELS[:, np.newaxis] + 1}
    mapping = np.array([[1, 65], [2, 98]])
    savemat(tmp_path / "emnist-x.mat", {"dataset": {"train": part, "test": part, "mapping": mapping}})
    splits = load(tmp_path / "emnist-x.mat", validation_fraction=0)
    np.testing.assert_array_equal(splits.train.images[..., 0], GREY[:, :5])
    assert [splits.classes[label] for label in splits.test.labels[:2]] == ["A", "b"]
    found = containers.matlab_images(tmp_path / "emnist-x.mat")
    np.testing.assert_array_equal(found["test_images"], GREY[:, :5])


def test_a_matlab_structure_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    savemat(tmp_path / "a.mat", {"s": {"images": np.zeros((50, 64, 64)), "labels": np.arange(50)}}, do_compression=True)
    assert (tmp_path / "a.mat").stat().st_size < 10_000
    monkeypatch.setattr(containers, "MAX_BYTES", 1_000_000)
    with pytest.raises(BadFileError, match="unpacks to more than the limit of 1,000,000 bytes"):
        load(tmp_path / "a.mat")
