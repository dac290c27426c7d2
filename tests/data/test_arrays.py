"""NumPy archives and files: what people save is understood, and nothing is believed or run."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from glyphnet.data import arrays
from glyphnet.data.pixels import conform
from glyphnet.errors import BadFileError, DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 5, 4), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def saved(tmp_path, **values):
    path = tmp_path / "set.npz"
    np.savez_compressed(path, **values)
    return path


def conformed(path, read=arrays.read_npz, **how):
    return conform(read(path, **how), str(path))


def read(tmp_path, **values):
    return conformed(saved(tmp_path, **values))


def npy_header(shape, descr="|u1"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        ("x_train y_train x_test y_test", ["train", "test"]),
        ("X_train Y_train X_test Y_test", ["train", "test"]),
        ("x_train y_train x_val y_val x_test y_test", ["train", "validation", "test"]),
        (
            "train_images train_labels val_images val_labels test_images test_labels",
            ["train", "validation", "test"],
        ),
        ("images labels", ["all"]),
    ],
)
def test_the_usual_names(tmp_path, names, parts):
    names = names.split()
    found = read(tmp_path, **{name: LABELS if i % 2 else IMAGES for i, name in enumerate(names)})
    assert list(found.parts) == parts
    assert found.classes == ("0", "1", "2")
    assert found.notes == ()
    for images, labels in found.parts.values():
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
        np.testing.assert_array_equal(images, IMAGES[..., None])
        np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_first_is_recognised_and_told(tmp_path, channels):
    images = RNG.integers(0, 256, (6, channels, 5, 4), dtype=np.uint8)
    found = read(tmp_path, images=images, labels=LABELS)
    np.testing.assert_array_equal(found.parts["all"][0], images.transpose(0, 2, 3, 1))
    assert found.notes == (f"images has the shape (6, {channels}, 5, 4): read as (image, channel, row, column).",)


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8"])
def test_floats_up_to_one_are_scaled(tmp_path, dtype):
    images = (IMAGES / 255).astype(dtype)
    found = read(tmp_path, x_train=images, y_train=LABELS, x_test=images[:2] * 0, y_test=LABELS[:2])
    np.testing.assert_array_equal(found.parts["train"][0][..., 0], IMAGES)
    assert found.reading.value_range == (0, 1)
    assert "0 is black, 1 is white (chosen from the data: pass --range LOW:HIGH" in found.notes[0]


@pytest.mark.parametrize("dtype", ["f4", "i8", ">i2", "u2"])
def test_whole_numbers_up_to_255_are_kept(tmp_path, dtype):
    found = read(tmp_path, images=IMAGES.astype(dtype), labels=LABELS)
    np.testing.assert_array_equal(found.parts["all"][0][..., 0], IMAGES)
    assert found.notes == ()


def test_booleans_become_black_and_white(tmp_path):
    found = read(tmp_path, images=IMAGES > 99, labels=LABELS)
    np.testing.assert_array_equal(found.parts["all"][0][..., 0], (IMAGES > 99) * 255)


def changed(value, place, dtype=np.float64, scale=1.0):
    images = (IMAGES * scale).astype(dtype)
    images[place] = value
    return images


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (changed(np.nan, (2, 1, 3)), r"set.npz: images\[2, 1, 3, 0\] = nan is no number"),
        (changed(np.inf, (0, 0, 0)), r"images\[0, 0, 0, 0\] = inf is no number"),
        (IMAGES.astype(str), "images is of type <U3. Pixels must be numbers"),
        (IMAGES.reshape(6, 20), r"images has the shape \(6, 20\): rows of 20 pixels are no square .* Pass --size HxW"),
        (
            np.zeros((6, 3, 5, 3)),
            r"\(6, 3, 5, 3\): 3×5 pixels of 3 channels, or 5×3 pixels of 3. .*transpose\(0, 2, 3, 1\)",
        ),
        (np.zeros((6, 5, 5, 4)), r"remove the alpha channel, images\[..., :3\]"),
        (np.zeros((0, 5, 5)), "holds 0 images, labels 6 labels"),
        (np.zeros((6, 0, 5)), "images is empty"),
        (IMAGES[:5], "images holds 5 images, labels 6 labels. Save one label for each image"),
    ],
)
def test_refuses_images(tmp_path, images, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, images=images, labels=LABELS)


def test_a_wrong_value_is_placed_rightly_beyond_the_first_piece(tmp_path, monkeypatch):
    monkeypatch.setattr("glyphnet.data.values._PIECE", 1)
    with pytest.raises(DataError, match=r"images\[4, 1, 3, 0\] = nan"):
        read(tmp_path, images=changed(np.nan, (4, 1, 3)), labels=LABELS)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (LABELS.astype(">i2"), ("0", "1", "2")),
        (LABELS[:, None], ("0", "1", "2")),
        (np.eye(3)[LABELS], ("0", "1", "2")),
        (np.eye(3, dtype=bool)[LABELS], ("0", "1", "2")),
        (np.array(["a", "ß", "日本"])[LABELS], ("a", "ß", "日本")),
        (np.array(["2", "9", "10"])[LABELS], ("2", "9", "10")),
        (np.array([s.encode() for s in ("a", "é", "本")])[LABELS], ("a", "é", "本")),
    ],
)
def test_labels(tmp_path, labels, classes):
    found = read(tmp_path, images=IMAGES, labels=labels)
    np.testing.assert_array_equal(found.parts["all"][1], LABELS)
    assert found.classes == classes
    assert found.notes == ()


def test_gaps_in_labels_are_told(tmp_path):
    found = read(tmp_path, x_train=IMAGES, y_train=LABELS * 5, x_test=IMAGES[:1], y_test=[20])
    assert found.classes == ("0", "5", "10", "20")
    np.testing.assert_array_equal(found.parts["train"][1], LABELS)
    assert found.parts["test"][1].tolist() == [3]
    assert found.notes == (
        "The labels do not run from 0 without gaps: the 4 classes are called by their numbers, 0, 5, 10, 20.",
    )


def test_given_class_names(tmp_path):
    names = np.array(["cat", "dog", "ant", "bee"])
    found = read(tmp_path, images=IMAGES, labels=LABELS, classes=names)
    assert found.classes == ("cat", "dog", "ant", "bee")
    np.testing.assert_array_equal(found.parts["all"][1], LABELS)
    found = read(tmp_path, images=IMAGES, labels=names[LABELS], classes=names)
    np.testing.assert_array_equal(found.parts["all"][1], LABELS)


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (LABELS - 1, None, r"labels\[0\] = -1 is negative"),
        (LABELS.astype(float), None, r"labels is of type float64.*labels.astype\('int64'\)"),
        (np.where(LABELS == 1, np.nan, 0.0), None, r"labels\[1\] = nan is no number"),
        (np.eye(3)[LABELS] * 2, None, r"labels\[0\] = \[2. 0. 0.\] is not one-hot"),
        (np.ones((6, 3)), None, "Images with several labels, or none, cannot be used"),
        (np.array(["a", "", "c"])[LABELS], None, r"labels\[1\] = '' is empty"),
        (np.array([b"a", b"\xff", b"c"])[LABELS], None, r"labels\[1\] = b'\\xff' is not UTF-8"),
        (LABELS * 1j, None, "labels is of type complex128"),
        (np.zeros((6, 2, 2)), None, r"labels has the shape \(6, 2, 2\)"),
        (LABELS, ["a", "b"], r"labels\[2\] = 2 has no class name. There are 2 names in classes"),
        (np.array(["a", "b", "z"])[LABELS], ["a", "b"], r"labels\[2\] = 'z' is not among classes"),
        (LABELS, ["a", "b", "a"], "classes holds a name twice"),
        (LABELS, [0.5, 1.5], "classes is float64 of shape"),
    ],
)
def test_refuses_labels(tmp_path, labels, classes, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, images=IMAGES, labels=labels, **({} if classes is None else {"classes": classes}))


def test_text_and_numbers_do_not_mix(tmp_path):
    with pytest.raises(DataError, match="some labels are text and some are numbers"):
        read(tmp_path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=LABELS.astype(str))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["arr_0"], "no arrays of training images. Found: arr_0. Accepted: images and labels"),
        (["x_train"], "there is x_train but no y_train. Save both."),
        (["y_train", "x_test", "y_test"], "there is y_train but no x_train"),
        (["x_test", "y_test"], "no arrays of training images"),
        (["x_train", "y_train", "train_images", "train_labels"], "both x_train and train_images are there"),
        (["images", "labels", "x_test", "y_test"], "images stands beside x_test"),
    ],
)
def test_refuses_names(tmp_path, names, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, **dict.fromkeys(names, IMAGES))


def test_parts_must_have_one_shape(tmp_path):
    with pytest.raises(DataError, match=r"differ in size or channels: x_train \(5, 4, 1\), x_test \(4, 5, 1\)"):
        read(tmp_path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES.transpose(0, 2, 1), y_test=LABELS)


class Trap:
    fired = False

    def __reduce__(self):
        return setattr, (Trap, "fired", True)


@pytest.mark.parametrize("kind", ["npz", "npy"])
def test_objects_are_never_unpickled(tmp_path, kind):
    labels = np.array([Trap()] * 6, dtype=object)
    message = "holds Python objects, which only pickle could read; it was not read and nothing was run"
    if kind == "npz":
        with pytest.raises(BadFileError, match=message):
            read(tmp_path, images=IMAGES, labels=labels)
    else:
        np.save(tmp_path / "images.npy", IMAGES)
        np.save(tmp_path / "labels.npy", labels)
        with pytest.raises(BadFileError, match=message):
            arrays.read_npy_pair(tmp_path)
    assert not Trap.fired


def test_an_archive_that_unpacks_to_gigabytes_is_refused_before_allocation(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    header = npy_header((3 << 10, 1024, 1024))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", header + bytes(1 << 20))
        archive.writestr("labels.npy", npy_header((3 << 10,)) + bytes(3 << 10))
    # The directory and the header agree on three gigabytes: no need to write them to be refused for them.
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", len(header) + (3 << 30))
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(
        BadFileError, match=r"unpack to 3,221,228,.* bytes; the limit is 2,147,483,648. Save them as .npy"
    ):
        arrays.read_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    monkeypatch.setattr(arrays, "MAX_BYTES", 4 << 30)
    with pytest.raises(BadFileError, match=r"the archive is damaged|'images' ends after 1,048,576 of 3,221,225,472"):
        arrays.read_npz(path)


def test_the_limit_is_exact(tmp_path, monkeypatch):
    path = saved(tmp_path, images=IMAGES, labels=LABELS)
    size = IMAGES.nbytes + LABELS.nbytes + 256
    monkeypatch.setattr(arrays, "MAX_BYTES", size - 1)
    with pytest.raises(BadFileError, match=f"images, labels unpack to {size} bytes; the limit is {size - 1}"):
        arrays.read_npz(path)
    monkeypatch.setattr(arrays, "MAX_BYTES", size)
    assert conformed(path).classes == ("0", "1", "2")


def test_a_header_that_lies_about_the_size_is_refused(tmp_path):
    path = tmp_path / "lie.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", npy_header((1 << 40, 28, 28)) + bytes(100))
        archive.writestr("labels.npy", npy_header((4,)) + bytes(4))
    with pytest.raises(BadFileError, match=r"862,017,116,176,.* bytes in all, but the archive says 228"):
        arrays.read_npz(path)


def test_a_zip_directory_that_lies_about_the_size_is_refused(tmp_path):
    path = saved(tmp_path, images=IMAGES, labels=LABELS)
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", 5_000_000)
    path.write_bytes(content)
    with pytest.raises(BadFileError, match="248 bytes in all, but the archive says 5,000,000"):
        arrays.read_npz(path)


def test_a_header_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", b"\x93NUMPY\2\0" + struct.pack("<I", 50 << 20) + b" " * (50 << 20))
        archive.writestr("labels.npy", npy_header((4,)) + bytes(4))
    tracemalloc.start()
    with pytest.raises(BadFileError, match="array 'images' is not .* damaged or longer than 10,000 bytes"):
        arrays.read_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_every_truncation_and_many_flipped_bytes_give_one_typed_error(tmp_path):
    path = saved(tmp_path, images=IMAGES, labels=LABELS)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(BadFileError, match=r"truncated|damaged"):
            arrays.read_npz(path)
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            found = conformed(path)
        except DataError:
            continue
        np.testing.assert_array_equal(found.parts["all"][0][..., 0], IMAGES)


def test_an_array_that_is_there_twice_is_refused(tmp_path):
    path = saved(tmp_path, images=IMAGES, labels=LABELS)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("images.npy", npy_header(IMAGES.shape) + bytes(IMAGES.nbytes))
    with pytest.raises(BadFileError, match=r"set.npz: holds the array 'images' 2 times.* Save it again"):
        arrays.read_npz(path)


def test_not_a_zip(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"hello")
    with pytest.raises(BadFileError, match=r"a.npz: not a .npz archive, or a truncated one"):
        arrays.read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("prefix", ["", "cats-", "cats_"])
@pytest.mark.parametrize(("images", "labels", "part"), [("images", "labels", "all"), ("x_train", "y_train", "train")])
def test_npy_files_side_by_side_are_mapped(tmp_path, prefix, images, labels, part):
    assert not arrays.is_npy_folder(tmp_path)
    np.save(tmp_path / f"{prefix}{images}.npy", IMAGES)
    np.save(tmp_path / f"{prefix}{labels}.npy", LABELS)
    np.save(tmp_path / f"{prefix}classes.npy", np.array(["a", "b", "c"]))
    assert arrays.is_npy_folder(tmp_path)
    for path in (tmp_path, tmp_path / f"{prefix}{images}.npy", tmp_path / f"{prefix}{labels}.npy"):
        found = conformed(path, arrays.read_npy_pair)
        assert isinstance(found.parts[part][0], np.memmap)
        np.testing.assert_array_equal(found.parts[part][0][..., 0], IMAGES)
        np.testing.assert_array_equal(found.parts[part][1], LABELS)
        assert found.classes == ("a", "b", "c")


def test_two_sets_in_one_folder_are_kept_apart(tmp_path):
    for name in ("cats", "dogs"):
        np.save(tmp_path / f"{name}-images.npy", IMAGES)
        np.save(tmp_path / f"{name}-labels.npy", LABELS)
    with pytest.raises(DataError, match=r"several data sets in it \(cats-images.npy, dogs-images.npy\). Name the file"):
        arrays.read_npy_pair(tmp_path)
    assert arrays.read_npy_pair(tmp_path / "dogs-images.npy").parts.keys() == {"all"}


def test_npy_files_alone_or_cut_are_refused(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    with pytest.raises(DataError, match=r"there is images but no labels. Save both."):
        arrays.read_npy_pair(tmp_path / "images.npy")
    np.save(tmp_path / "labels.npy", LABELS)
    content = (tmp_path / "labels.npy").read_bytes()
    (tmp_path / "labels.npy").write_bytes(content[:-1])
    with pytest.raises(BadFileError, match="bytes in all, but has 175: the file is truncated"):
        arrays.read_npy_pair(tmp_path)
    (tmp_path / "labels.npy").write_bytes(content + b"x")
    with pytest.raises(BadFileError, match="has 177: the file is followed by bytes"):
        arrays.read_npy_pair(tmp_path)


@pytest.mark.parametrize("shape", [(1 << 40, 28, 28), (1 << 62, 4), (-1, 28, 28)])
def test_an_npy_header_that_lies_about_the_size_is_refused(tmp_path, shape):
    (tmp_path / "images.npy").write_bytes(npy_header(shape) + bytes(100))
    np.save(tmp_path / "labels.npy", LABELS)
    with pytest.raises(BadFileError, match=r"images.npy: (announces .* has 228: the file is tr|it announces the sh)"):
        arrays.read_npy_pair(tmp_path)


def test_an_empty_npy_file_is_read(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES[:0])
    np.save(tmp_path / "labels.npy", LABELS)
    with pytest.raises(DataError, match="images holds 0 images, labels 6 labels"):
        conformed(tmp_path, arrays.read_npy_pair)


def test_fortran_order_is_kept(tmp_path):
    found = read(tmp_path, images=np.asfortranarray(IMAGES), labels=LABELS)
    np.testing.assert_array_equal(found.parts["all"][0][..., 0], IMAGES)
