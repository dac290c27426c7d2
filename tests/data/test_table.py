from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from glyphnet.data import load
from glyphnet.data.assemble import Options
from glyphnet.data.filetree import file_alone
from glyphnet.data.listing import ImageFiles
from glyphnet.data.tables import read_path_tables
from glyphnet.errors import BadFileError, DataError, MissingExtraError

MakeFolder = Callable[..., Path]


def read_table(path: Path) -> ImageFiles:
    return read_path_tables(file_alone(path), [(path.name, None)], Options())


@pytest.fixture
def root(make_folder: MakeFolder) -> Path:
    return make_folder({"img": 6})


def write(root: Path, text: str, name: str = "metadata.csv", encoding: str = "utf-8") -> Path:
    (root / name).write_bytes(text.encode(encoding))
    return root / name


GOOD = "file_name,label\nimg/000.png,cat\nimg/001.png,dog\nimg/002.png,cat\nimg/003.png,dog\n"


def test_a_table_gives_names_and_labels(root: Path) -> None:
    files = read_table(write(root, GOOD))
    assert files.classes == ("cat", "dog")
    assert files.names == ("img/000.png", "img/001.png", "img/002.png", "img/003.png")
    assert files.labels.tolist() == [0, 1, 0, 1]


def test_a_long_table_finds_links_and_names_what_is_no_file(make_folder: MakeFolder) -> None:
    """After the first rows files are looked up in a listing of their folder: it tells the same as a look at each."""
    root = make_folder({"img": 80})
    (root / "img" / "link.png").symlink_to("000.png")
    (root / "img" / "folder.png").mkdir()
    names = [*(f"{number:03d}" for number in range(80)), "folder", "link", "none"]
    files = read_table(write(root, "file,label\n" + "".join(f"img/{name}.png,{name < '04'}\n" for name in names)))
    assert files.names == (*(f"img/{number:03d}.png" for number in range(80)), "img/link.png")
    assert [bad.reason[:12] for bad in files.bad] == ["not a regula", "no such file"]
    assert "bare names" not in files.notes[0]


@pytest.mark.parametrize("what", ["folder", "file"])
def test_load_takes_the_folder_or_the_file(root: Path, what: str) -> None:
    path = write(root, GOOD)
    splits = load(root if what == "folder" else path)
    assert splits.name == "pictures"
    assert sum(len(part) for _, part in splits) == 4


def test_other_columns_order_and_blank_lines_do_not_matter(root: Path) -> None:
    text = "label,size,file_name\r\n\r\ncat,3,img/000.png\r\ndog,,./img//001.png\r\n\r\n"
    assert read_table(write(root, text)).names == ("img/000.png", "img/001.png")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_what_spreadsheets_write(root: Path, delimiter: str) -> None:
    path = write(root, GOOD.replace(",", delimiter), encoding="utf-8-sig")
    assert read_table(path).classes == ("cat", "dog")


def test_labels_are_text_and_numbers_are_ordered_as_numbers(root: Path) -> None:
    text = "file_name,label\nimg/000.png,10\nimg/001.png,7\nimg/002.png,100\n"
    assert read_table(write(root, text)).classes == ("7", "10", "100")


def test_a_quoted_name_may_hold_anything(root: Path) -> None:
    (root / 'a,"b"\nc.png').write_bytes((root / "img/000.png").read_bytes())
    text = 'file_name,label\n"a,""b""\nc.png",<b>\nimg/001.png,日本\nimg/none.png,x\n'
    files = read_table(write(root, text))
    assert files.names == ('a,"b"\nc.png', "img/001.png")
    assert files.classes == ("<b>", "日本")
    assert files.bad[0].reason == f"no such file (tried {root}/img/none.png); named in metadata.csv, line 5"


def test_the_split_column_divides(root: Path) -> None:
    text = "file_name,label,split\n" + "".join(
        f"img/00{i}.png,{'ab'[i % 2]},{part}\n" for i, part in enumerate(["train"] * 2 + ["Valid"] * 2 + ["test"] * 2)
    )
    splits = load(write(root, text))
    assert [list(part.names) for _, part in splits] == [
        ["img/000.png", "img/001.png"],
        ["img/002.png", "img/003.png"],
        ["img/004.png", "img/005.png"],
    ]


@pytest.mark.parametrize("value", ["", "later"])
def test_an_unknown_split_is_told(root: Path, value: str) -> None:
    text = f"file_name,label,split\nimg/000.png,a,train\nimg/001.png,b,{value}\n"
    with pytest.raises(DataError, match=f"line 3 has the split '{value}', and must have train, validation or test"):
        read_table(write(root, text))


def test_a_class_only_in_test_is_told(root: Path) -> None:
    text = "file_name,label,split\nimg/000.png,a,train\nimg/001.png,b,train\nimg/002.png,c,test\n"
    with pytest.raises(DataError, match="the test part has the class 'c', which the training part has not"):
        load(write(root, text))


def test_an_empty_table_is_told(root: Path) -> None:
    with pytest.raises(DataError, match="no column names files. The table is empty. Call the one with them file_name"):
        read_table(write(root, ""))
    with pytest.raises(
        DataError,
        match=r"was read as a table of paths: 'file_name' names the files, .*, and no row names an image that is there",
    ):
        read_table(write(root, "file_name,label\n"))


def test_a_missing_file_is_told_with_its_line(root: Path) -> None:
    path = write(root, GOOD + "img/999.png,cat\n")
    with pytest.raises(
        BadFileError,
        match=r"img/999\.png: no such file \(tried .*/img/999\.png\); named in metadata\.csv, line 6\. Mend",
    ):
        load(path)
    assert "1 bad file was skipped: img/999.png (no such file" in " ".join(load(path, on_bad_file="skip").warnings)


@pytest.mark.parametrize("again", ["img/000.png", "./img/../img/000.png"])
def test_a_file_listed_twice_is_told_with_both_lines(root: Path, again: str) -> None:
    with pytest.raises(DataError, match=r"line 6 lists .* again, after line 2\. Remove one of them\."):
        read_table(write(root, GOOD + f"{again},cat\n"))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "img/../../x.png", "..", "."])
def test_no_row_leads_outside_the_folder(root: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"line 6 names .*, outside the table's folder. Put the images beside or below"):
        read_table(write(root, GOOD + f"{name},cat\n"))


@pytest.mark.parametrize(("row", "what"), [("img/004.png,", "label"), (",cat", "file name"), ("img/004.png", "label")])
def test_an_incomplete_row_is_told(root: Path, row: str, what: str) -> None:
    with pytest.raises(DataError, match=f"line 6 has no {what}. Fill it in, or remove the row."):
        read_table(write(root, GOOD + row + "\n"))


def test_unsound_csv_is_told_with_its_line(root: Path) -> None:
    with pytest.raises(DataError, match=r"line \d is not sound CSV .* Correct it\."):
        read_table(write(root, GOOD + '"img/004.png,cat\n'))


def test_two_tables_in_one_folder_are_told(root: Path) -> None:
    write(root, GOOD)
    write(root, GOOD, "metadata.tsv")
    with pytest.raises(DataError, match=r"there are both metadata\.csv and metadata\.tsv\. Name one of them\."):
        load(root)


def test_parquet_gives_the_same(root: Path) -> None:
    table = pa.table({"label": [3, 12, 3, 12], "file_name": [f"img/00{i}.png" for i in range(4)], "x": [0.5] * 4})
    parquet.write_table(table, root / "metadata.parquet")
    files = read_table(root / "metadata.parquet")
    assert files.classes == ("3", "12")
    assert files.labels.tolist() == [0, 1, 0, 1]
    assert sum(len(part) for _, part in load(root)) == 4


def test_parquet_with_a_split_and_a_dictionary(root: Path) -> None:
    table = pa.table(
        {
            "file_name": [f"img/00{i}.png" for i in range(4)],
            "label": pa.array(["a", "b", "a", "b"]).dictionary_encode(),
            "split": ["train", "train", "test", "test"],
        }
    )
    parquet.write_table(table, root / "t.parquet")
    assert read_table(root / "t.parquet").parts.tolist() == [0, 0, 2, 2]


def test_parquet_says_which_row(root: Path) -> None:
    table = pa.table({"file_name": ["img/000.png", "img/001.png"], "label": ["a", None]})
    parquet.write_table(table, root / "t.parquet")
    with pytest.raises(DataError, match="row 2 has no label"):
        read_table(root / "t.parquet")


def test_damaged_parquet_is_told(root: Path) -> None:
    with pytest.raises(DataError, match=r"t\.parquet: cannot be read as Parquet \(.*\)\. Write it again\."):
        read_table(write(root, "PAR1 nothing", "t.parquet"))


def test_parquet_without_pyarrow_says_what_to_install(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(root, "", "t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'pip install "glyphnet\[parquet\]"'):
        read_table(path)
