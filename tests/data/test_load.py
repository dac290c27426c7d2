from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glyphnet.data import assemble, load, look_over
from glyphnet.data import cache as cache_module
from glyphnet.data.named import read_digits
from glyphnet.errors import BadFileError, DataError, GlyphNetError, SettingsError

MakeFolder = Callable[..., Path]


def counts(source: object, **options: object) -> list[int]:
    return [len(part) for _, part in load(source, **options)]


# Sources


def test_digits_are_the_default_and_scaled_exactly() -> None:
    from sklearn.datasets import load_digits

    splits = load()
    assert splits.name == "digits"
    assert splits.classes == tuple("0123456789")
    assert splits.image_shape == (8, 8, 1)
    assert [len(part) for _, part in splits] == [1294, 144, 359]
    images, labels, _ = read_digits()
    np.testing.assert_array_equal(np.rint(images[..., 0] * (16 / 255)), load_digits().images)
    assert sorted(np.unique(images)) == [round(value * 255 / 16) for value in range(17)]
    np.testing.assert_array_equal(labels, load_digits().target)
    assert splits.notes[0] == ("1,797 images of 8×8 grey (chosen from the data: pass --size and --color to override).")


def test_importing_the_package_loads_no_torch_and_no_scikit_learn() -> None:
    code = "import sys, glyphnet.data; print({'torch', 'sklearn', 'pyarrow', 'scipy'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.skipif("'GLYPHNET_DATA' not in __import__('os').environ", reason="GLYPHNET_DATA names no data sets")
def test_a_named_set() -> None:
    splits = load("mnist")
    assert [len(part) for _, part in splits] == [54_000, 6_000, 10_000]
    assert splits.test.labels[:4].tolist() == [7, 2, 1, 0]
    assert splits.test.names[0] == "test/00000"
    assert np.abs(splits.validation.counts - splits.train.counts / 9).max() < 1.5


def write_idx(folder: Path, prefix: str, count: int, *, packed: bool, classes: int = 2) -> None:
    images = np.random.default_rng(count).integers(0, 256, (count, 5, 4), dtype=np.uint8)
    labels = (np.arange(count) % classes).astype(np.uint8)
    for name, magic, array in (("images-idx3", 0x803, images), ("labels-idx1", 0x801, labels)):
        head = struct.pack(f">{1 + array.ndim}I", magic, *array.shape)
        content = head + array.tobytes()
        path = folder / f"{prefix}-{name}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [True, False])
def test_idx_folders(tmp_path: Path, packed: bool) -> None:
    write_idx(tmp_path, "train", 20, packed=packed)
    write_idx(tmp_path, "t10k", 6, packed=packed)
    assert counts(tmp_path) == [18, 2, 6]
    assert load(tmp_path).classes == ("0", "1")


def arrays(count: int = 30) -> tuple[np.ndarray, np.ndarray]:
    images = np.random.default_rng(0).integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    return images, np.arange(count) % 3


def test_npz_files(tmp_path: Path) -> None:
    images, labels = arrays()
    np.savez(tmp_path / "a.npz", x_train=images[:20], y_train=labels[:20], x_test=images[20:], y_test=labels[20:])
    np.savez(tmp_path / "b.npz", images=images, labels=labels)
    assert counts(tmp_path / "a.npz") == [18, 2, 10]
    assert counts(tmp_path / "b.npz") == [22, 2, 6]
    assert load(tmp_path / "a.npz").name == "a"


@pytest.mark.parametrize("what", [".", "images.npy"])
def test_npy_pairs(tmp_path: Path, what: str) -> None:
    images, labels = arrays()
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", labels)
    assert counts(tmp_path / what) == [22, 2, 6]


def test_large_arrays_are_mapped_and_seen_to_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = arrays()
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", labels)
    small = load(tmp_path)
    for module in (assemble, cache_module):
        monkeypatch.setattr(module, "IN_MEMORY_BYTES", 0)
    large = load(tmp_path)
    assert isinstance(large.train.images, np.memmap)
    np.testing.assert_array_equal(large.train.images, small.train.images)
    np.save(tmp_path / "images.npy", 255 - images)
    np.testing.assert_array_equal(load(tmp_path).train.images, 255 - small.train.images)


def test_labels_with_gaps_are_told(tmp_path: Path) -> None:
    images, labels = arrays()
    np.savez(tmp_path / "a.npz", images=images, labels=labels * 10)
    splits = load(tmp_path / "a.npz")
    assert splits.classes == ("0", "10", "20")
    assert any("do not run from 0 without gaps" in note for note in splits.notes)


# What is not there


@pytest.mark.parametrize(
    ("source", "near"), [("mnits", "mnist"), ("fashion_mnist", "fashion-mnist"), ("Digits", "digits")]
)
def test_an_unknown_name_is_told_with_the_near_miss(source: str, near: str) -> None:
    with pytest.raises(DataError) as caught:
        load(source)
    assert str(caught.value).startswith(
        f"{source!r} is neither the name of a data set nor a path that exists. Did you mean {near!r}? "
        "Give one of digits, mnist, fashion-mnist"
    )


def test_a_path_that_does_not_exist_is_told_with_the_near_miss(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataError, match=r"picturs' is neither .*Did you mean '.*/pictures'\?"):
        load(tmp_path / "picturs")
    with pytest.raises(DataError, match=r"exists. Give one of"):
        load(tmp_path / "nothing" / "like" / "it")


def test_a_file_of_another_kind_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.doc").write_bytes(b"PQ")
    with pytest.raises(DataError, match=r"a\.doc: not a data set that can be read. Give one of"):
        load(tmp_path / "a.doc")


@pytest.mark.parametrize("source", ["", "\0", "x" * 5000])
def test_strange_paths_give_our_error(source: str) -> None:
    with pytest.raises(DataError):
        load(source)


def test_wrong_arguments_are_named_together() -> None:
    with pytest.raises(SettingsError) as caught:
        load(size=0, color="gray", validation_fraction=2, test_fraction=-1, seed=-3, on_bad_file="ignore")
    for part in (
        "size (=0) must be a side from 1 to 1024",
        "color (='gray') must be one of auto, grey, rgb",
        "validation_fraction (=2) must",
        "test_fraction (=-1) must",
        "seed (=-3) must",
        "on_bad_file (='ignore') must be error or skip",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("size", [(1, 2, 3), (0, 5), "12", 1.5, 2000, True, ("a", "b")])
def test_impossible_sizes_are_refused(size: object) -> None:
    with pytest.raises(SettingsError, match="must be a side from 1 to 1024 pixels, or"):
        load(size=size)


# Size and colour


def test_one_small_size_and_grey_are_kept(make_folder: MakeFolder) -> None:
    splits = load(make_folder({"a": 5, "b": 5}, size=(10, 14)))
    assert splits.image_shape == (10, 14, 1)
    assert splits.notes[0] == (
        "10 images of one size; kept at 10×14 (height × width) grey (chosen from the data: pass --size and --color to "
        "override)."
    )


def test_several_sizes_become_their_median(make_folder: MakeFolder) -> None:
    for number, side in enumerate((30, 31, 33, 500)):
        root = make_folder({f"a{number}": 2 if side < 500 else 1}, size=(side, side), channels=3)
    splits = load(root)
    assert splits.image_shape == (32, 32, 3)
    assert splits.notes[0] == (
        "7 images of 4 sizes; resized to 32×32 RGB (chosen from the data: pass --size and --color to override)."
    )


def test_large_pictures_shrink_to_96_with_their_proportions(make_folder: MakeFolder) -> None:
    assert load(make_folder({"a": 2, "b": 2}, size=(200, 400))).image_shape == (48, 96, 1)


def test_what_was_asked_for_is_done_and_said(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 5, "b": 5}, size=(10, 14))
    both = load(root, size=(6, 7), color="rgb")
    assert both.image_shape == (6, 7, 3)
    assert both.notes[0] == "10 images of one size; resized to 6×7 (height × width) RGB (as asked for)."
    assert "(colour chosen from the data: pass --color to override)" in load(root, size=6).notes[0]
    assert "(size chosen from the data: pass --size to override)" in load(root, color="grey").notes[0]


def test_arrays_are_brought_to_size_and_colour_as_well(tmp_path: Path) -> None:
    images, labels = arrays()
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    assert load(tmp_path / "a.npz").image_shape == (6, 6, 3)
    splits = load(tmp_path / "a.npz", size=4, color="grey")
    assert splits.image_shape == (4, 4, 1)
    assert splits.notes[0] == "30 images of 6×6 RGB; brought to 4×4 grey (as asked for)."


def test_grey_pictures_saved_as_coloured_jpegs_are_grey(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 5, "b": 5}, size=(20, 20))
    for path in root.rglob("*.png"):
        with Image.open(path) as image:
            image.convert("RGB").save(path.with_suffix(".jpg"), quality=60)
        path.unlink()
    assert load(root).image_shape == (20, 20, 1)


def test_one_coloured_picture_makes_the_data_rgb(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 5, "b": 5})
    Image.new("RGB", (8, 8), "red").save(root / "a" / "red.png")
    assert load(root).image_shape == (8, 8, 3)


def test_colour_that_the_sample_missed_is_told(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    from glyphnet.data import survey

    root = make_folder({"a": 5, "b": 5})
    Image.new("RGB", (8, 8), "red").save(root / "a" / "red.png")
    monkeypatch.setattr(survey, "SAMPLE", 2)
    splits = load(root)
    assert splits.image_shape == (8, 8, 1)
    assert splits.notes[1].startswith("1 image has colour, though none of the 2 that were looked at to choose had")


# Bad files


@pytest.fixture
def spoilt(make_folder: MakeFolder) -> Path:
    root = make_folder({"a": 10, "b": 10})
    (root / "a" / "empty.png").touch()
    whole = (root / "b" / "000.png").read_bytes()
    (root / "b" / "cut.png").write_bytes(whole[:50])
    for number in range(5):
        (root / "b" / f"text{number}.jpg").write_text("no")
    return root


def test_bad_files_are_listed_and_counted_in_one_error(spoilt: Path) -> None:
    for _ in range(2):  # from the files, then from the cache
        with pytest.raises(DataError) as caught:
            load(spoilt)
        message = str(caught.value)
        assert message.startswith(f"{spoilt}: 7 of 27 files cannot be used: a/empty.png (empty (0 bytes)); b/cut.png (")
        assert message.endswith("; and 2 more. Mend or remove them, or pass --on-bad-file skip.")
        assert "\n" not in message


def test_bad_files_are_skipped_and_counted(spoilt: Path) -> None:
    splits = load(spoilt, on_bad_file="skip")
    assert sum(len(part) for _, part in splits) == 20
    assert splits.notes[0].startswith("20 images of one size")
    assert splits.warnings[-1].startswith("7 bad files were skipped: a/empty.png (empty (0 bytes)); b/cut.png (")
    for _, part in splits:
        for name, image, label in zip(part.names, part.images, part.labels, strict=True):
            np.testing.assert_array_equal(image[..., 0], np.asarray(Image.open(spoilt / name)))
            assert splits.classes[label] == name[0]


def test_a_class_that_is_bad_altogether_is_an_error_even_when_skipping(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3, "c": 0})
    (root / "c" / "x.png").write_text("no")
    with pytest.raises(DataError, match=r"of the class 'c' no file can be used: c/x\.png .* or remove the class"):
        load(root, on_bad_file="skip")


def test_when_nothing_can_be_used_it_is_told_at_once(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_text("no")
    with pytest.raises(
        DataError, match=r"none of the 2 files looked at can be used: a/x.png .* Save it as PNG or JPEG"
    ):
        load(tmp_path, on_bad_file="skip")


def test_a_bomb_in_a_folder_is_a_bad_file(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3})
    Image.new("1", (8000, 8000)).save(root / "a" / "bomb.png")
    with pytest.raises(BadFileError, match=r"a/bomb\.png: 8000×8000 pixels, more than the limit of 50,000,000"):
        load(root)


# Parts


def test_a_divided_folder_keeps_its_parts(make_folder: MakeFolder) -> None:
    root = make_folder({f"{part}/{name}": 10 for part in ("train", "test") for name in "ab"})
    splits = load(root)
    assert [len(part) for _, part in splits] == [18, 2, 20]
    assert all(name.startswith("test/") for name in splits.test.names)
    assert all(name.startswith("train/") for name in [*splits.train.names, *splits.validation.names])
    make_folder({f"val/{name}": 3 for name in "ab"}, root=root, seed=9)
    assert counts(root) == [20, 6, 20]


def test_copies_stay_together_and_leaks_are_told(make_folder: MakeFolder) -> None:
    root = make_folder({f"train/{name}": 10 for name in "ab"})
    for number in range(10):
        image = root / "train" / "a" / f"{number:03d}.png"
        (root / "train" / "a" / f"copy{number}.png").write_bytes(image.read_bytes())
    for seed in range(5):
        splits = load(root, seed=seed)
        where = {name: part for part, dataset in splits for name in dataset.names}
        for number in range(10):
            assert where[f"train/a/{number:03d}.png"] == where[f"train/a/copy{number}.png"]
    (root / "test" / "a").mkdir(parents=True)
    (root / "test" / "a" / "x.png").write_bytes((root / "train" / "a" / "003.png").read_bytes())
    assert "leak" in [finding.code for finding in look_over(load(root)).findings]


def test_a_class_with_one_image_is_told(make_folder: MakeFolder) -> None:
    splits = load(make_folder({"a": 10, "b": 10, "c": 1}))
    assert splits.train.counts[2] == 1
    assert "Class 'c': one image only, so nothing tests what was learnt of it." in look_over(splits).warnings


def test_a_class_without_a_test_image_is_told(make_folder: MakeFolder) -> None:
    root = make_folder({"train/a": 10, "train/b": 10, "test/a": 2})
    sentence = "The test part has no image of 'b': add some, or nothing can be measured there."
    assert sentence in look_over(load(root)).warnings


def test_without_fractions_everything_is_training(make_folder: MakeFolder) -> None:
    assert counts(make_folder({"a": 3, "b": 3}), validation_fraction=0, test_fraction=0) == [6, 0, 0]


def test_progress_goes_from_nothing_to_all(make_folder: MakeFolder) -> None:
    calls: list[tuple[int, int, str]] = []
    load(make_folder({"a": 100, "b": 100}), progress=lambda *call: calls.append(call))
    assert [done for done, _, _ in calls] == sorted({done for done, _, _ in calls})
    assert calls[-1] == (200, 200, "Decoding images")


def test_every_error_is_of_our_tree(tmp_path: Path) -> None:
    for source in (tmp_path, tmp_path / "x", "nothing"):
        with pytest.raises(GlyphNetError):
            load(source)
