"""Parquet tables of pictures: every row gets its answer under its name, few rows at a time are in memory."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from glyphnet.classifier import Classifier
from glyphnet.data import hub as tables
from glyphnet.data import load
from glyphnet.data.dataset import BadFile, share_splits, shared_splits
from glyphnet.errors import BadFileError, DataError, MissingExtraError
from glyphnet.nn import Preprocessing, build, parse_network
from glyphnet.predictfiles import pictures_in, predict_files
from glyphnet.predictfiles.predicting import Decoding, decode_ahead

from .conftest import hub_column, pixels_of, png, write_table


def answered(classifier: Classifier, *paths: Path) -> tuple[list[str], np.ndarray, list[str]]:
    """Names, probabilities, errors."""
    errors: list[BadFileError] = []
    found = list(predict_files(classifier, map(str, paths), errors.append))
    return (
        [name for name, _ in found],
        np.array([answer.probabilities for _, answer in found]),
        [str(error) for error in errors],
    )


COLUMNS = {
    "bytes": lambda contents: {"image": contents},
    "structures of the Hub": lambda contents: {"image": hub_column(contents, [None] * len(contents))},
    "the only column that can be": lambda contents: {"label": [1] * len(contents), "img": contents},
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_rows_get_the_answers_of_their_pictures(classifier: Classifier, tmp_path: Path, kind: str) -> None:
    pixels = pixels_of(30)
    table = write_table(tmp_path / "t.parquet", COLUMNS[kind]([png(each) for each in pixels]), row_group_size=7)
    names, probabilities, errors = answered(classifier, table)
    assert errors == []
    assert names == [f"{table}#{row}" for row in range(30)]
    np.testing.assert_array_equal(probabilities, classifier.predict_proba(pixels))


def test_rows_are_called_by_id_or_name_or_path(classifier: Classifier, tmp_path: Path) -> None:
    contents = [png(each) for each in pixels_of(3)]
    column = hub_column(contents, ["x.png", None, "z.png"])
    cases = {
        ("7", "8", "9"): {"image": column, "name": ["a", "b", "c"], "id": [7, 8, 9]},
        ("a", "b", "c"): {"image": column, "name": ["a", "b", "c"]},
        ("x.png", f"{tmp_path}/t.parquet#1", "z.png"): {"image": column},
    }
    for names, columns in cases.items():
        assert tuple(answered(classifier, write_table(tmp_path / "t.parquet", columns))[0]) == names


def test_ids_are_held_to_the_limits_of_names(classifier: Classifier, tmp_path: Path) -> None:
    ids = ["x" * 255, "x" * 256, "a\nb", "c"]
    table = write_table(tmp_path / "t.parquet", {"image": [png(each) for each in pixels_of(4)], "id": ids})
    names, _, errors = answered(classifier, table)
    assert names == [ids[0], "c"]
    assert errors == [
        f"{table}#1: its id cannot be a name: it has 256 characters, and 255 are the most. Mend it or leave id out.",
        f"{table}#2: its id cannot be a name: it holds U+000A, a control character. Mend it or leave id out.",
    ]


def test_files_that_a_table_names_lie_beside_it(classifier: Classifier, tmp_path: Path) -> None:
    [first, second] = pixels_of(2)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(png(first))
    (tmp_path / "2.png").write_bytes(png(second))
    names = ["a/1.png", "../2.png", str(tmp_path / "2.png"), None, "a/../2.png", "none.png"]
    table = write_table(tmp_path / "t.parquet", {"file_name": names})
    found, probabilities, errors = answered(classifier, table)
    assert found == ["a/1.png", str(tmp_path / "2.png"), "a/../2.png"]
    np.testing.assert_array_equal(probabilities, classifier.predict_proba([first, second, second]))
    outside = "outside the table's folder. Put the images beside or below the table."
    assert errors == [
        f"{table}#1: names '../2.png', {outside}",
        f"{table}#3: has no picture. Fill it in, or remove the row.",
        f"{tmp_path}/none.png: no such file. Check the path.",
    ]


def test_bad_rows_are_told_by_table_and_row(classifier: Classifier, tmp_path: Path) -> None:
    good = png(pixels_of(1)[0])
    table = write_table(
        tmp_path / "t.parquet", {"image": [good, b"no picture", None, good[:60], good], "id": [*"abcde"]}
    )
    names, _, errors = answered(classifier, table)
    assert names == ["a", "e"]
    assert [error.split(": ")[0] for error in errors] == [f"{table}#{row}" for row in (1, 2, 3)]
    assert "not an image" in errors[0]
    assert "has no picture" in errors[1]
    assert "damaged" in errors[2]


def test_tables_in_folders_are_read_but_not_what_lists_the_images_beside_it(
    classifier: Classifier, tmp_path: Path
) -> None:
    content = png(pixels_of(1)[0])
    root = tmp_path / "data"
    write_table(root / "train-0.parquet", {"image": [content], "id": ["row"]})
    (root / "1.png").write_bytes(content)
    write_table(root / "metadata.parquet", {"file_name": ["1.png"], "label": ["x"]})
    assert answered(classifier, root)[0] == [f"{root}/1.png", "row"]


def test_what_is_no_table_is_told_and_the_rest_goes_on(classifier: Classifier, tmp_path: Path) -> None:
    good = write_table(tmp_path / "good.parquet", {"image": [png(pixels_of(1)[0])]})
    (tmp_path / "no.parquet").write_bytes(b"PAR0")
    other = write_table(tmp_path / "other.parquet", {"x": [1], "y": ["a"]})
    names, _, errors = answered(classifier, tmp_path / "no.parquet", other, tmp_path / "gone.parquet", good)
    assert names == [f"{good}#0"]
    assert errors[0].startswith(f"{tmp_path}/no.parquet: cannot be read as Parquet (")
    assert errors[1] == (
        f"{other}: no column holds pictures; the columns are 'x', 'y'. "
        "Name the one with their bytes 'image', or the one with their files 'file_name'."
    )
    assert errors[2] == f"{tmp_path}/gone.parquet: no such file. Check the path."


def test_a_table_damaged_within_ends_the_run(classifier: Classifier, tmp_path: Path) -> None:
    contents = [png(each) for each in pixels_of(600)]
    table = write_table(tmp_path / "t.parquet", {"image": contents}, row_group_size=100, compression="zstd")
    content = bytearray(table.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
    table.write_bytes(content)
    with pytest.raises(DataError, match=r"t\.parquet: cannot be read from row \d+ on \(.+\)\. Write it again\.$"):
        answered(classifier, table)


@pytest.mark.parametrize("skip", [0, 1, 6, 7, 8, 20, 29, 30])
def test_rows_are_passed_over_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skip: int) -> None:
    monkeypatch.setattr(tables, "_MOST_ROWS", 2)
    contents = [png(each) for each in pixels_of(20)]
    table = write_table(tmp_path / "t.parquet", {"image": contents}, row_group_size=7)
    files = [str(tmp_path / f"{number}.png") for number in range(10)]  # not there, and nobody looks
    passed: list[str] = []
    rest = list(pictures_in([*files[:5], str(table), *files[5:]], skip=skip, on_skipped=passed.append))
    whole = [*files[:5], *(f"{table}#{row}" for row in range(20)), *files[5:]]
    assert passed == whole[:skip]
    assert [picture.place for picture in rest] == whole[skip:]
    assert [picture.content for picture in rest if "#" in picture.place] == contents[max(0, skip - 5) :]


def test_few_rows_are_in_memory(tmp_path: Path) -> None:
    contents = [bytes([number % 251]) * (8 << 10) for number in range(4096)]  # one group of rows of 32 MB
    table = write_table(tmp_path / "t.parquet", {"image": contents}, compression="none", use_dictionary=False)
    before, peak, rows = pa.total_allocated_bytes(), 0, 0
    for picture, content in zip(pictures_in([str(table)]), contents, strict=True):
        assert picture.content == content
        rows += 1
        if rows % 100 == 0:
            peak = max(peak, pa.total_allocated_bytes() - before)
    assert rows == 4096
    assert 0 < peak < 20 << 20


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'^Reading Parquet tables needs .+ pip install "glyphnet\[parquet\]"$'):
        list(pictures_in([str(tmp_path / "t.parquet")]))


def test_after_a_given_range_arrays_in_files_are_read_as_in_training(tmp_path: Path) -> None:
    """uint8 values in a file are values on the scale of --range, for training and for prediction alike."""
    values = np.random.default_rng(0).integers(20, 60, (12, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=values, labels=np.arange(12) % 2)
    trained = load(tmp_path / "set.npz", value_range=(30, 50), validation_fraction=0, test_fraction=0)
    spec = parse_network("linear")
    preprocessing = Preprocessing(mean=(0.5,), std=(0.3,))
    model = Classifier(build(spec, (8, 8, 1), 2), spec, (8, 8, 1), ("0", "1"), preprocessing, reading=trained.reading)
    pictures = pictures_in([str(tmp_path / "set.npz")], image_shape=(8, 8, 1))
    decoded = decode_ahead(pictures, Decoding(model, True, find_remade=False))
    rows = [int(name.rpartition("/")[2]) for name in trained.train.names]
    np.testing.assert_array_equal(np.stack([each.pixels for each in decoded])[rows], trained.train.images)
    assert set(np.unique(trained.train.images)) >= {0, 255}


def test_skipped_files_travel_to_other_processes(tmp_path: Path) -> None:
    splits = replace(load("digits"), bad_files=(BadFile("a/x.png", "empty (0 bytes)"),))
    share_splits(splits, tmp_path)
    assert shared_splits(tmp_path).bad_files == splits.bad_files
