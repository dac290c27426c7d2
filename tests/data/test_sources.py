"""Data as people have them: tables of pixels and of paths, Parquet, folders with tables, names."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from glyphnet.data import load
from glyphnet.data.load import NAMED, known_name
from glyphnet.errors import DataError
from glyphnet.predictfiles import pictures_in

MakeFolder = Callable[..., Path]


def refused(source: object, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        load(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.count("\n") < 6
    assert len(message.split()) <= 100
    assert len(message) < 1000
    return message


def contents(*paths: Path, **options: object) -> list[object]:
    return [picture.content for picture in pictures_in(map(str, paths), **options)]  # type: ignore[arg-type]


# Tables of pixels


SIDE = 6
IMAGES = np.random.default_rng(0).integers(0, 256, (30, SIDE, SIDE), dtype=np.uint8)
IMAGES[:, 0, 0] = IMAGES[:, -1, -1] = 0  # as MNIST's corners are
LABELS = np.arange(30) % 3


def pixel_text(
    kind: str, *, labels: Sequence[object] = LABELS.tolist(), header: bool = True, separator: str = ","
) -> str:
    titles = [f"pixel{i}" for i in range(SIDE * SIDE)]
    lines = [list(map(str, image.ravel())) for image in IMAGES]
    if kind == "first":
        titles, lines = ["label", *titles], [[str(label), *line] for label, line in zip(labels, lines, strict=True)]
    elif kind == "last":
        titles, lines = [*titles, "class"], [[*line, str(label)] for label, line in zip(labels, lines, strict=True)]
    return "".join(separator.join(line) + "\n" for line in ([titles] if header else []) + lines)


def assert_images(path: Path, classes: tuple[str, ...] = ("0", "1", "2"), **options: object) -> None:
    splits = load(path, validation_fraction=0, test_fraction=0, **options)  # type: ignore[arg-type]
    assert splits.classes == classes
    np.testing.assert_array_equal(splits.train.images[..., 0], IMAGES)
    np.testing.assert_array_equal(splits.train.labels, LABELS)


@pytest.mark.parametrize("separator", [",", ";", "\t", " "])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("kind", ["first", "last"])
def test_tables_of_pixels(tmp_path: Path, kind: str, header: bool, separator: str) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text(pixel_text(kind, header=header, separator=separator))
    assert_images(path)
    [note] = [note for note in load(path).notes if "table of pixels" in note]
    column = {"first": "'label'", "last": "'class'"}[kind] if header else f"column {1 if kind == 'first' else 37}"
    assert note == f"numbers.csv: a table of pixels; {column} is the label."
    assert any("each row is read as a square image of 6×6 pixels" in note for note in load(path).notes)


def test_a_table_that_cannot_be_used_says_why(root: Path) -> None:
    write_table(root, "file,weight,height", "img/{stem}.png,{n}.5,{n}.25")
    (root / "img").rename(root / "pictures")
    for file in (root / "pictures").iterdir():
        file.rename(root / file.name)
    with pytest.raises(DataError, match=r"A table is there, but list.csv: no column has the class. .* Call the one"):
        load(root)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_labels_may_be_words_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    words = ["Äpfel", "Birne", "Öl"]
    path = tmp_path / "x.csv"
    path.write_bytes(pixel_text("first", labels=[words[label] for label in LABELS.tolist()]).encode(encoding))
    splits = load(path)
    assert set(splits.classes) == set(words)


def test_gzipped_tables_and_packed_columns(tmp_path: Path) -> None:
    packed = gzip.compress(pixel_text("first").encode())
    (tmp_path / "x.csv.gz").write_bytes(packed)
    assert_images(tmp_path / "x.csv.gz")
    (tmp_path / "short.csv.gz").write_bytes(packed[:-100])
    with pytest.raises(DataError, match=r"short\.csv\.gz: the gzip data end too early"):
        load(tmp_path / "short.csv.gz")
    rows = [
        f"{label},{' '.join(map(str, image.ravel()))},Training" for label, image in zip(LABELS, IMAGES, strict=True)
    ]
    (tmp_path / "fer.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]))
    assert_images(tmp_path / "fer.csv")


def test_other_columns_are_no_pixels(tmp_path: Path) -> None:
    lines = pixel_text("first").splitlines()
    (tmp_path / "x.csv").write_text("\n".join(["id," + lines[0], *(f"{i},{line}" for i, line in enumerate(lines[1:]))]))
    assert_images(tmp_path / "x.csv")
    assert "1 other columns not used" in " ".join(load(tmp_path / "x.csv").notes)


def test_zeros_and_ones_become_black_and_white(tmp_path: Path) -> None:
    rows = [",".join(["ab"[i % 2], *map(str, (image > 127).astype(int).ravel())]) for i, image in enumerate(IMAGES)]
    (tmp_path / "x.csv").write_text("\n".join(rows))
    assert set(np.unique(load(tmp_path / "x.csv").train.images)) == {0, 255}


def test_a_label_that_may_stand_at_either_end_is_asked_for(tmp_path: Path) -> None:
    rows = [[i % 3, *image.ravel()[:-1].tolist(), i % 2] for i, image in enumerate(IMAGES)]
    path = tmp_path / "x.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in rows))
    message = refused(path)
    assert "--layout label,pixels" in message
    assert "--layout pixels,label" in message
    assert load(path, layout="label,pixels").classes == ("0", "1", "2")
    assert load(path, layout="pixels,label").classes == ("0", "1")
    assert load(tmp_path, layout="pixels,label").classes == ("0", "1")


def test_rows_that_are_no_square_need_a_size(tmp_path: Path) -> None:
    rows = [",".join(map(str, [i % 2, *image.ravel()[:30].tolist()])) for i, image in enumerate(IMAGES)]
    path = tmp_path / "x.csv"
    path.write_text("label," + ",".join(f"p{i}" for i in range(30)) + "\n" + "\n".join(rows))
    assert "rows of 30 pixels are no square images. Pass --size HxW" in refused(path)
    assert load(path, size=(5, 6)).image_shape == (5, 6, 1)


def test_a_table_without_labels_is_predicted_only(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text(pixel_text("none"))
    assert "a table of pixels without labels" in refused(path)
    for kind in ("none", "first", "last"):
        path.write_text(pixel_text(kind))
        np.testing.assert_array_equal(np.stack(contents(path, image_shape=(SIDE, SIDE, 1)))[..., 0], IMAGES)
    found = list(pictures_in([str(path)], skip=28))
    assert [picture.file for picture in found] == [f"{path}#28", f"{path}#29"]


def test_tables_of_two_parts_in_a_folder(tmp_path: Path) -> None:
    for name in ("mnist_train.csv", "mnist_test.csv"):
        (tmp_path / name).write_text(pixel_text("first"))
    (tmp_path / "readme.txt").write_text("about\n")
    splits = load(tmp_path)
    assert [len(part) for _, part in splits] == [27, 3, 30]
    (tmp_path / "mnist_test.csv").write_text(pixel_text("none"))
    splits = load(tmp_path)
    assert "mnist_test.csv has no labels: it was not read. `glyphnet predict MODEL mnist_test.csv`" in splits.notes[1]


@pytest.mark.parametrize("row", ["1,2,3", "a" + ",x" * 36, "1" + ",nan" * 36])
def test_a_wrong_row_is_told_in_a_few_words(tmp_path: Path, row: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(pixel_text("first") * 1 + row + "\n")
    assert str(path.parent) in refused(path)


# Tables of paths


def write_table(root: Path, head: str, row: str, name: str = "list.csv", encoding: str = "utf-8") -> Path:
    """A table with a line for each picture in img/: {stem}, {path}, {label}, {n} are filled in."""
    lines = [
        row.format(
            stem=f"{i:03d}",
            path=root / "img" / f"{i:03d}.png",
            label=("Äpfel", "cat")[i % 2],
            n=i,
            cat=i % 2,
            apple=1 - i % 2,
            yes=i % 2 == 1,
            no=i % 2 == 0,
        )
        for i in range(6)
    ]
    (root / name).write_bytes("\n".join([*([head] if head else []), *lines, ""]).encode(encoding))
    return root / name


@pytest.fixture
def root(make_folder: MakeFolder) -> Path:
    return make_folder({"img": 6})


@pytest.mark.parametrize(
    ("head", "row", "said"),
    [
        ("filename,class", "img/{stem}.png,{label}", "'filename' names the files, 'class' holds the class."),
        ("Image Path;Target", "img/{stem}.png;{label}", "'Image Path' names the files, 'Target' holds the class."),
        ("path\tcategory", "img\\{stem}.png\t{label}", "'path' names the files, 'category' holds the class."),
        ("id,label", "{stem},{label}", "6 names without an extension, found in 'img'."),
        ("file,y", "{stem}.png,{label}", "6 bare names, found in 'img'."),
        ("image,label", "{path},{label}", "6 absolute paths into the folder."),
        ("n,id,photo,label", "{n},{n},img/{stem}.png,{label}", "'photo' names the files, 'label' holds the class; 2 "),
        ("", "img/{stem}.png,{label}", "column 1 names the files, column 2 holds the class."),
        ("image,Äpfel,cat", "img/{stem}.png,{apple},{cat}", "the 2 columns 'Äpfel', 'cat' hold the class."),
        ("image,Äpfel,cat", "img/{stem}.png,{no},{yes}", "the 2 columns 'Äpfel', 'cat' hold the class."),
        ("file_name,kind", "img/{stem}.png,{label}", "'kind' holds the class."),
    ],
)  # fmt: skip
def test_tables_of_paths_as_people_write_them(root: Path, head: str, row: str, said: str) -> None:
    splits = load(write_table(root, head, row))
    assert splits.classes == ("cat", "Äpfel")
    assert sum(len(part) for _, part in splits) == 6
    assert said in " ".join(splits.notes)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings(root: Path, encoding: str) -> None:
    splits = load(write_table(root, "file,label", "img/{stem}.png,{label}", encoding=encoding))
    assert splits.classes == ("cat", "Äpfel")
    assert ("Windows-1252" in " ".join(splits.notes)) == (encoding == "latin-1")


def test_a_missing_file_is_reported_with_the_path_that_was_tried(root: Path) -> None:
    path = write_table(root, "file,label", "pix/{stem}.png,{label}")
    assert f"no such file (tried {root}/pix/000.png)" in refused(path)


def test_a_bare_name_that_two_files_have_is_not_guessed(root: Path) -> None:
    (root / "other").mkdir()
    (root / "other" / "000.png").write_bytes((root / "img" / "001.png").read_bytes())
    path = write_table(root, "file,label", "{stem}.png,{label}")
    assert "2 files have this name, such as img/000.png and other/000.png" in refused(path)


def test_one_hot_rows_with_several_classes_are_told(root: Path) -> None:
    path = write_table(root, "image,a,b,c", "img/{stem}.png,1,{cat},0")
    assert "line 3 has 2 classes in its columns of zeros and ones" in refused(path)


def test_a_table_beside_pictures_that_lie_flat(root: Path) -> None:
    path = write_table(root, "id,label", "{stem},{label}", name="train.csv")
    (root / "sample_submission.csv").write_text("id,label\n000,0\n")
    assert load(root).classes == ("cat", "Äpfel")
    write_table(root, "id,label", "{stem},{label}", name="other.csv")
    assert "there are 2 tables ('other.csv', 'train.csv'). Name one of them." in refused(root)
    assert contents(path)[:2] == [str(root / "img/000.png"), str(root / "img/001.png")]


def test_a_column_says_what_stays_together(root: Path) -> None:
    path = write_table(root, "file,label,person", "img/{stem}.png,{label},p{cat}")
    splits = load(path, group_by="column:person", validation_fraction=0)
    assert splits.group_by == "column:person"
    assert all(part.groups is not None for _, part in splits)
    assert "no column has this name. The columns are 'file', 'label', 'person'." in refused(path, group_by="column:who")


def test_metadata_in_each_part(make_folder: MakeFolder) -> None:
    root = make_folder({"train": 6, "test": 4, "valid": 4})
    for part, count in (("train", 6), ("test", 4), ("valid", 4)):
        rows = "".join(f"{i:03d}.png,{'ab'[i % 2]}\n" for i in range(count))
        (root / part / "metadata.csv").write_text(f"file_name,label\n{rows}")
    assert [len(part) for _, part in load(root)] == [6, 4, 4]
    (root / "train" / "999.png").write_bytes((root / "train" / "000.png").read_bytes())
    assert "1 pictures that no table names were not read." in load(root).warnings
    found = list(pictures_in([str(root)], ignored=(ignored := Counter())))
    assert len(found) == 15
    assert ignored == {".csv": 3}


def test_metadata_as_json_lines(root: Path) -> None:
    rows = [json.dumps({"file_name": f"img/{i:03d}.png", "label": i % 2, "box": [1, 2]}) for i in range(6)]
    (root / "metadata.jsonl").write_text("\n".join(rows))
    assert load(root).classes == ("0", "1")
    (root / "metadata.jsonl").write_text("[1]\n")
    assert "line 1 is no JSON object" in refused(root)


def test_a_row_with_more_cells_than_columns_is_told(root: Path) -> None:
    path = write_table(root, "file,label", "img/{stem}.png,a, b")
    assert "line 2 has 3 cells, and there are 2 columns" in refused(path)


def test_folders_of_images_and_masks_name_no_classes(make_folder: MakeFolder) -> None:
    message = refused(make_folder({"images": 4, "masks": 4}))
    assert "say what kind of file is in them, and no class" in message


# Parquet of the Hugging Face Hub


def write_hub(path: Path, rows: range, names: list[str] | None = None) -> None:
    def png(row: int) -> bytes:
        Image.fromarray(IMAGES[row]).save(file := io.BytesIO(), "PNG")
        return file.getvalue()

    table = pa.table(
        {
            "image": [{"bytes": png(row), "path": f"{row}.png"} for row in rows],
            "label": [int(LABELS[row]) for row in rows],
        }
    )
    if names is not None:
        info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, row_group_size=4)


def test_parquet_with_class_names_in_several_files(tmp_path: Path) -> None:
    names = ["zebra", "ant", "bee"]
    write_hub(tmp_path / "hub/data/train-00000-of-00002.parquet", range(12), names)
    write_hub(tmp_path / "hub/data/train-00001-of-00002.parquet", range(12, 24), names)
    write_hub(tmp_path / "hub/data/test-00000-of-00001.parquet", range(24, 30), names)
    (tmp_path / "hub/README.md").write_text("about\n")
    splits = load(tmp_path / "hub", validation_fraction=0)
    assert splits.classes == ("zebra", "ant", "bee")
    np.testing.assert_array_equal(splits.train.images[..., 0], IMAGES[:24])
    np.testing.assert_array_equal(splits.test.images[..., 0], IMAGES[24:])
    np.testing.assert_array_equal(splits.test.labels, LABELS[24:])
    assert splits.test.names[0] == "data/test-00000-of-00001.parquet#0"
    assert splits.notes[1] == "3 Parquet tables: column 'image' holds the pictures, 'label' the class."


def test_pictures_on_a_page_about_the_data_are_no_data(tmp_path: Path) -> None:
    write_hub(tmp_path / "hub/data/train-00000-of-00001.parquet", range(30))
    (tmp_path / "hub/assets").mkdir()
    Image.fromarray(IMAGES[0]).save(tmp_path / "hub/assets/logo.png")
    assert load(tmp_path / "hub").classes == ("0", "1", "2")


def test_one_parquet_file_without_names(tmp_path: Path) -> None:
    write_hub(tmp_path / "x.parquet", range(30))
    splits = load(tmp_path / "x.parquet", validation_fraction=0, test_fraction=0)
    assert splits.classes == ("0", "1", "2")
    np.testing.assert_array_equal(splits.train.images[..., 0], IMAGES)


def test_parquet_with_labels_that_are_unknown(tmp_path: Path) -> None:
    write_hub(tmp_path / "x.parquet", range(30), ["zebra", "ant"])
    assert "the label 2 has none of the 2 class names" in refused(tmp_path / "x.parquet")


# Arrays, for prediction


def test_array_files_give_their_images_for_prediction(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=IMAGES[:20], y_train=LABELS[:20], x_test=IMAGES[20:], y_test=LABELS[20:])
    np.save(tmp_path / "images.npy", IMAGES)
    np.save(tmp_path / "labels.npy", LABELS)
    np.save(tmp_path / "flat.npy", IMAGES.reshape(30, -1))
    for name, options in (("a.npz", {}), ("images.npy", {}), ("flat.npy", {"image_shape": (SIDE, SIDE, 1)})):
        np.testing.assert_array_equal(np.stack(contents(tmp_path / name, **options)).reshape(IMAGES.shape), IMAGES)
    assert next(pictures_in([str(tmp_path / "a.npz")])).file == f"{tmp_path}/a.npz#x_train/0"
    [error] = contents(tmp_path / "labels.npy")
    assert "holds no images" in str(error)
    assert len(contents(tmp_path)) == 90  # in a folder the labels are left out


# Names


def test_a_folder_that_is_called_as_a_data_set(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder({"a": 5, "b": 5}, root=tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    message = refused("digits")
    assert "./digits" in message
    assert "name:digits" in message
    assert load("./digits").classes == ("a", "b")
    assert load("name:digits").classes == tuple("0123456789")
    assert known_name("name:mnist") == "mnist"
    assert "there is no data set 'cats'" in refused("name:cats")
    assert "digits" in NAMED


def test_the_folder_we_are_in_with_its_runs(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_folder({"stop": 5, "go": 5})
    monkeypatch.chdir(root)
    before = load(".")
    for folder, files in {"runs/new": (".lock",), "runs/old": ("recipe.yaml", "history.csv", "report.html")}.items():
        (root / folder).mkdir(parents=True)
        for file in files:
            (root / folder / file).write_text("x")
    after = load(".")
    assert before.name == after.name == "pictures"
    assert after.classes == ("go", "stop")
    assert after.train.fingerprint == before.train.fingerprint


@pytest.mark.parametrize(
    "classes", [("3", "03"), ("Cat", "cat"), ("a b", "a_b"), ("ﬁsh", "fish"), ("tea ", "tea")]
)  # fmt: skip
def test_labels_that_look_alike_are_reported_from_every_source(tmp_path: Path, classes: tuple[str, str]) -> None:
    labels = np.array([classes[i % 2] for i in range(30)])
    np.savez(tmp_path / "x.npz", images=IMAGES, labels=labels)
    assert any("look alike: they are kept apart" in warning for warning in load(tmp_path / "x.npz").warnings)


# Evaluation


def test_one_class_and_no_training_part_can_be_judged(make_folder: MakeFolder) -> None:
    root = make_folder({"7": 5})
    assert "images of one class only, '7'" in refused(root)
    splits = load(root, to_train=False, validation_fraction=0, test_fraction=0)
    assert len(splits.train) == 5
    only_test = make_folder({"test/7": 5}, root=root.parent / "other")
    assert [len(part) for _, part in load(only_test, to_train=False)] == [0, 0, 5]


@pytest.mark.parametrize("tables", ["train.csv test.csv", "train/labels.csv test/labels.csv"])
def test_a_table_of_each_part_beside_or_in_its_folder(make_folder: MakeFolder, tables: str) -> None:
    """The same bare names lie in both parts: each table means those of its own."""
    root = make_folder({"train": 8, "test": 6})
    for table, count in zip(tables.split(), (8, 6), strict=True):
        (root / table).write_text("id,label\n" + "".join(f"{n:03d},{'ab'[n % 2]}\n" for n in range(count)))
    splits = load(root, validation_fraction=0)
    assert [name.partition("/")[0] for name in splits.train.names] == ["train"] * 8
    assert [name.partition("/")[0] for name in splits.test.names] == ["test"] * 6
    assert [splits.classes[label] for label in splits.test.labels] == ["a", "b"] * 3
