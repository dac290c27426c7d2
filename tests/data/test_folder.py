from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glyphnet.data import load
from glyphnet.data.assemble import Options
from glyphnet.data.filetree import folder_tree
from glyphnet.data.folder import read_tree
from glyphnet.data.listing import ImageFiles
from glyphnet.errors import BadFileError, DataError
from glyphnet.predictfiles import pictures_in
from glyphnet.units import printable

MakeFolder = Callable[..., Path]


def read_folder(root: Path, **options: object) -> ImageFiles:
    files = read_tree(folder_tree(root), Options(**options))  # type: ignore[arg-type]
    assert isinstance(files, ImageFiles)
    return files


def test_a_flat_folder(make_folder: MakeFolder) -> None:
    files = read_folder(make_folder({"cat": 2, "dog": 1}))
    assert files.classes == ("cat", "dog")
    assert files.names == ("cat/000.png", "cat/001.png", "dog/000.png")
    assert files.labels.tolist() == [0, 0, 1]
    assert files.parts.tolist() == [0, 0, 0]
    assert files.notes == files.bad == files.warnings == ()


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_a_divided_folder(make_folder: MakeFolder, validation: str) -> None:
    root = make_folder({f"{part}/{name}": 1 for part in ("train", validation, "test") for name in "ab"})
    files = read_folder(root)
    assert files.classes == ("a", "b")
    assert {name.split("/")[0]: part for name, part in zip(files.names, files.parts.tolist(), strict=True)} == {
        "train": 0,
        validation: 1,
        "test": 2,
    }


def test_train_may_be_the_name_of_a_class(make_folder: MakeFolder) -> None:
    assert read_folder(make_folder({"train": 2, "bus": 2})).classes == ("bus", "train")


def test_classes_that_are_numbers_are_ordered_as_numbers(make_folder: MakeFolder) -> None:
    assert read_folder(make_folder({"10": 1, "9": 1, "2": 1})).classes == ("2", "9", "10")


def test_folders_within_a_class_belong_to_it(make_folder: MakeFolder) -> None:
    files = read_folder(make_folder({"cat/black/old": 1, "cat": 1, "dog": 1}))
    assert files.names == ("cat/000.png", "cat/black/old/000.png", "dog/000.png")
    assert files.labels.tolist() == [0, 0, 1]


def test_debris_is_left_out_and_files_that_are_no_pictures_are_counted(make_folder: MakeFolder) -> None:
    root = make_folder({"cat": 1, "dog": 1})
    for junk in (".DS_Store", "Thumbs.db", "desktop.ini", "._000.png", ".hidden"):
        (root / "cat" / junk).write_text("x")
        (root / junk).write_text("x")
    for folder in ("__MACOSX", ".git"):
        (root / folder).mkdir()
        (root / folder / "x.png").write_text("x")
    for name in ("notes.txt", "000.xml", "LICENSE", "labels.csv", "w.safetensors"):
        (root / "dog" / name).write_text("my dog\n")
    (root / "dog" / "blob").write_bytes(b"\x00\x01\xff")
    (root / "dog" / "page.png").write_text("no picture")
    files = read_folder(root)
    assert files.names == ("cat/000.png", "dog/000.png", "dog/blob", "dog/page.png")  # the last two are bad, and say so
    assert files.notes[0].startswith("5 files that are no pictures were skipped (1 ")
    with pytest.raises(DataError, match=r"2 of 4 files cannot be used: dog/blob .*; dog/page\.png .*--on-bad-file"):
        load(root)


def test_pictures_beside_the_class_folders_are_counted(make_folder: MakeFolder) -> None:
    root = make_folder({"cat": 1, "dog": 1})
    (root / "README.md").write_text("x")
    (root / "preview.png").write_bytes((root / "cat/000.png").read_bytes())
    files = read_folder(root)
    assert files.warnings == ("1 picture lies outside the class folders ('preview.png'): it was not read.",)
    assert files.notes == ("1 file that is no picture was skipped (1 .md).",)


def test_an_empty_folder_and_one_without_class_folders_say_how_to_lay_out(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"the folder is empty. Lay it out as FOLDER/class/image.png, or as FOLDER/train"
    ):
        read_folder(tmp_path)
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").touch()
    with pytest.raises(
        DataError, match=r"2 pictures lie directly in it \('a.png', 'b.png'\), so none has a class. Lay it out"
    ):
        read_folder(tmp_path)


def test_folders_without_any_image(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.txt").write_text("x")
    with pytest.raises(DataError, match=r"there is no picture in it: only 'x\.txt'\. Lay it out"):
        read_folder(tmp_path)


def test_an_empty_class_folder_is_named(make_folder: MakeFolder) -> None:
    root = make_folder({"cat": 1, "dog": 1, "eel": 0})
    with pytest.raises(DataError, match=r"the class folder holds no images: 'eel'. Put images there, or remove it."):
        read_folder(root)


def test_one_class_only(make_folder: MakeFolder) -> None:
    with pytest.raises(DataError, match="images of one class only, 'cat'; a classifier needs images of at least two"):
        load(make_folder({"cat": 3}))


@pytest.mark.parametrize(("part", "title"), [("test", "test"), ("val", "validation")])
def test_a_class_that_training_lacks_is_named(make_folder: MakeFolder, part: str, title: str) -> None:
    root = make_folder({"train/cat": 1, "train/dog": 1, f"{part}/cat": 1, f"{part}/eel": 1})
    with pytest.raises(DataError, match=f"the {title} part has the class 'eel', which the training part has not"):
        load(root)


def test_two_folders_for_one_part(make_folder: MakeFolder) -> None:
    root = make_folder({f"{part}/{name}": 1 for part in ("train", "val", "valid") for name in "ab"})
    with pytest.raises(DataError, match=r"'val' and 'valid' are the same part. Put them into one folder"):
        read_folder(root)


def test_parts_without_training_can_only_be_judged(make_folder: MakeFolder) -> None:
    root = make_folder({f"{part}/{name}": 1 for part in ("test", "val") for name in "ab"})
    with pytest.raises(DataError, match="which the training part has not"):
        load(root)
    assert [len(part) for _, part in load(root, to_train=False)] == [0, 2, 2]


def test_a_test_part_without_labels_is_told(make_folder: MakeFolder) -> None:
    files = read_folder(make_folder({"train/a": 1, "train/b": 1, "test": 2, "models": 1}))
    assert len(files.names) == 2
    assert files.warnings == (
        "The 2 pictures in 'test' lie in no class folder: without labels they cannot be used for training or "
        "evaluation, and were not read.",
        "The folder 'models' is none of train, validation and test: its 1 pictures were not read.",
    )


def test_names_are_data_whatever_they_hold(make_folder: MakeFolder) -> None:
    names = ["<img src=x onerror=alert(1)>", "two\nlines", "日本語", "emoji 🐈", "100% {x}", "a'b\"c", "..."]
    root = make_folder({name: 3 for name in names if not name.startswith(".")})
    splits = load(root, test_fraction=0)
    assert set(splits.classes) == {printable(name) for name in names} - {"..."}
    assert "two\nlines/000.png" in [*splits.train.names, *splits.validation.names]


def test_names_that_are_not_utf8_are_read_twice_the_same(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3})
    try:
        os.rename(os.fsencode(root / "b"), os.fsencode(root) + b"/\xff\xfe")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    (root / os.fsdecode(b"\xff\xfe") / "bad.png").write_text("x")
    first = load(root, on_bad_file="skip")
    assert first.classes == load(root, on_bad_file="skip").classes == ("\\xff\\xfe", "a")


def test_unicode_twins_are_kept_apart_and_shown(make_folder: MakeFolder) -> None:
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    root = make_folder({composed: 1, decomposed: 1, "Tea": 1, "tea": 1})
    files = read_folder(root)
    if len(files.classes) < 4:
        pytest.skip("this file system does not keep them apart")
    assert tuple(w for w in load(root, test_fraction=0).warnings if "look alike" in w) == tuple(
        f"Classes {names} look alike: they are kept apart. Rename one if they are the same."
        for names in ("'Tea' and 'tea'", r"'cafe\u0301' and 'caf\xe9'")
    )


def test_links_are_followed_and_loops_do_not_hang(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder({"cat": 1, "dog": 1})
    elsewhere = make_folder({"x": 2}, root=tmp_path / "elsewhere", seed=1)
    (root / "eel").symlink_to(elsewhere / "x")
    (root / "cat" / "up").symlink_to(root)
    (root / "cat" / "self").symlink_to(root / "cat")
    (root / "dog" / "loop").symlink_to("loop")
    (root / "loop").symlink_to("loop")
    assert load(root, on_bad_file="skip").classes[:2] == ("cat", "dog")
    files = read_folder(root)
    assert files.classes == ("cat", "dog", "eel")
    assert files.names == ("cat/000.png", "dog/000.png", "eel/000.png", "eel/001.png")
    assert [bad.name for bad in files.bad] == ["dog/loop"]


def test_broken_links_and_pipes_are_bad_files(make_folder: MakeFolder) -> None:
    root = make_folder({"cat": 2, "dog": 2})
    (root / "cat" / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(root / "dog" / "pipe.png")
    with pytest.raises(
        DataError,
        match=r"2 of 6 files cannot be used: cat/gone\.png \(a broken link to nowhere\.png\); "
        r"dog/pipe\.png \(not a regular file\)\. Mend or remove them, or pass --on-bad-file skip\.",
    ):
        load(root)
    assert "2 bad files were skipped: cat/gone.png" in " ".join(load(root, on_bad_file="skip").warnings)


def test_the_order_on_disk_does_not_matter(make_folder: MakeFolder, tmp_path: Path) -> None:
    first = make_folder({"b": 5, "a": 5})
    second = tmp_path / "again"
    for name in sorted(read_folder(first).names, reverse=True):
        (second / name).parent.mkdir(parents=True, exist_ok=True)
        (second / name).write_bytes((first / name).read_bytes())
    one, two = load(first, seed=3), load(second, seed=3)
    for (_, left), (_, right) in zip(one, two, strict=True):
        assert list(left.names) == list(right.names)
        np.testing.assert_array_equal(left.images, right.images)


def test_a_flat_test_part_has_its_classes_from_a_table(make_folder: MakeFolder) -> None:
    """As of the German traffic signs: Train/CLASS/, and Test/ with Test.csv, whose class 7 is the folder 00007."""
    root = make_folder({"Train/00003": 8, "Train/00007": 8, "Test": 6, "Meta": 2}, channels=3)
    rows = "".join(f"8,{3 if n % 2 else 7},Test/{n:03d}.png\n" for n in range(6))
    (root / "Test.csv").write_text(f"Width,ClassId,Path\n{rows}")
    (root / "Meta.csv").write_text("Path,ClassId\nMeta/000.png,3\nMeta/001.png,7\n")
    splits = load(root)
    assert [len(part) for _, part in splits] == [14, 2, 6]
    assert [splits.classes[label] for label in splits.test.labels] == ["00007", "00003"] * 3
    assert "Test.csv: 'Path' names the files, 'ClassId' holds the class; 1 not used ('Width')." in splits.notes
    assert [said for said in splits.warnings if "not read" in said] == [
        "The folder 'Meta' is none of train, validation and test: its 2 pictures were not read."
    ]
    (root / "Test.csv").write_text(f"Width,ClassId,Path\n{rows.replace(',7,', ',9,')}")
    unknown = load(root)
    assert len(unknown.test) == 3, "divided off the training pictures"
    assert any("names the classes '9', which no folder has" in said for said in unknown.warnings)


@pytest.mark.parametrize(
    ("dtype", "shape", "said"),
    [(np.uint8, (9, 7), None), (np.uint8, (9, 7, 3), None), (np.uint16, (9, 7), "100 is black, 1099 is white")],
)
def test_class_folders_of_arrays(tmp_path: Path, dtype: type, shape: tuple[int, ...], said: str | None) -> None:
    rng = np.random.default_rng(0)
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(6):
            values = rng.integers(0, 256, shape) if said is None else rng.integers(100, 1100, shape)
            values.flat[:2] = (0, 255) if said is None else (100, 1099)
            np.save(tmp_path / label / f"{number}.npy", values.astype(dtype))
    splits = load(tmp_path, validation_fraction=0, test_fraction=0)
    assert splits.image_shape == (9, 7, 3 if len(shape) == 3 else 1)
    assert said is None or said in " ".join(splits.notes)
    stored = np.load(tmp_path / "b" / "0.npy").reshape(splits.image_shape)
    expected = stored if said is None else np.rint((stored - 100.0) * 255 / 999)
    np.testing.assert_array_equal(splits.train.images[6], expected)
    found = list(pictures_in([str(tmp_path)], image_shape=splits.image_shape))
    assert [Path(picture.place).name for picture in found] == [f"{n}.npy" for n in range(6)] * 2
    assert found[6].content.shape == shape
    objects = np.array([{}], dtype=object)
    np.save(tmp_path / "a" / "6.npy", objects, allow_pickle=True)
    with pytest.raises(BadFileError, match="Python objects are never read"):
        load(tmp_path)


def test_a_folder_of_outputs_alone_is_not_called_empty(tmp_path: Path) -> None:
    for name in ("cakes", "pies"):  # as classes whose folders have files of these names
        (tmp_path / name).mkdir()
        for file in ("recipe.yaml", "time.json", "1.png"):
            (tmp_path / name / file).write_bytes(b"")
    with pytest.raises(DataError, match=r"holds GlyphNet's own output alone \('cakes', 'pies'\)\. Lay it out"):
        load(tmp_path)
