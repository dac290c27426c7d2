"""A folder of the studio is a data set: what is read, what is left aside, and that no class is ever dropped."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import glyphnet
from glyphnet.errors import DataError
from glyphnet.runs.unlabelled import part_of


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8), dtype=np.uint8)).save(path)


def fill(root: Path, *classes: str, count: int = 10) -> Path:
    for number, name in enumerate(classes):
        for each in range(count):
            picture(root / name / f"{each:05d}.png", 1000 * number + each)
    return root


def as_studio(root: Path) -> Path:
    """What the studio makes beside the pictures, with something in each place."""
    for folder in (".trash", "versions", "runs", "unlabelled"):
        (root / folder).mkdir(exist_ok=True)
    return root


def full_studio(root: Path) -> Path:
    as_studio(fill(root, "five", "six"))
    picture(root / ".trash" / "five" / "gone.png", 7)
    (root / "versions" / "0001-abcdefabcdef.txt").write_text(f"{'0' * 64}  five/00000.png\n")
    run = root / "runs" / "fast-1"
    run.mkdir()
    for name in ("recipe.yaml", "history.csv", "train.log"):
        (run / name).write_text("x\n")
    (root / "runs" / "fast-2").mkdir()
    (root / "runs" / "fast-2" / "studio.json").write_text("{}")  # a training that has just been started
    (root / "labels.csv").write_text("part,file,given,suggested,score,decision\n,five/00000.png,five,six,0.9,five\n")
    return root


def test_what_the_studio_keeps_beside_the_pictures_is_not_read_and_one_line_says_so(tmp_path: Path) -> None:
    splits = glyphnet.load(full_studio(tmp_path))
    assert splits.classes == ("five", "six")
    assert sum(len(part) for _, part in splits) == 20
    [said] = [note for note in splits.notes if "studio" in note]
    assert all(repr(name) in said for name in ("versions", "runs", "labels.csv"))


def test_an_empty_studio_folder_with_two_classes_is_read_without_a_word_about_empty_folders(tmp_path: Path) -> None:
    splits = glyphnet.load(as_studio(fill(tmp_path, "five", "six")))
    assert splits.classes == ("five", "six")
    assert not [note for note in (*splits.notes, *splits.warnings) if "studio" in note or "unlabelled" in note]
    assert part_of(str(tmp_path)) is None, "an empty tray is no pool to learn from"
    picture(tmp_path / "unlabelled" / "x.png", 3)
    assert part_of(str(tmp_path)) == str(tmp_path / "unlabelled")


def test_an_empty_class_is_left_out_with_a_warning_in_the_studio_and_refused_elsewhere(tmp_path: Path) -> None:
    fill(tmp_path, "five", "six")
    (tmp_path / "seven").mkdir()
    with pytest.raises(DataError, match="the class folder holds no images: 'seven'"):
        glyphnet.load(tmp_path)
    splits = glyphnet.load(as_studio(tmp_path))
    assert splits.classes == ("five", "six")
    assert any("1 class without pictures: left out: 'seven'" in warning for warning in splits.warnings)


@pytest.mark.parametrize("is_studio", [False, True])
def test_classes_that_are_called_runs_and_versions_are_never_dropped(tmp_path: Path, is_studio: bool) -> None:
    fill(tmp_path, "runs", "versions", "walks")
    if is_studio:
        as_studio(tmp_path)
    assert glyphnet.load(tmp_path).classes == ("runs", "versions", "walks")


def test_a_folder_called_runs_without_pictures_is_still_an_empty_class_of_a_stranger(tmp_path: Path) -> None:
    (fill(tmp_path, "five", "six") / "runs").mkdir()
    with pytest.raises(DataError, match="holds no images: 'runs'"):
        glyphnet.load(tmp_path)


def grouped(root: Path) -> Path:
    fill(root, "five", "six")
    rows = [f"{name}/{each:05d}.png,{'ann' if each < 5 else 'bob'}" for name in ("five", "six") for each in range(8)]
    (root / "metadata.csv").write_text("\n".join(["file_name,group", *rows, "five/gone.png,ann"]) + "\n")
    return root


def test_groups_beside_class_folders_are_kept_together_and_the_folders_stay_the_classes(tmp_path: Path) -> None:
    splits = glyphnet.load(grouped(tmp_path))
    assert splits.classes == ("five", "six")
    assert splits.group_by == "column:group"
    parts = {name: part for part, data in splits for name in data.names}
    for group in (range(5), range(5, 8)):
        assert len({parts[f"{name}/{each:05d}.png"] for name in ("five", "six") for each in group}) == 1
    assert any("1 name of no picture here" in note for note in splits.notes)
    again = glyphnet.load(tmp_path, group_by=splits.group_by)
    assert [data.names for _, data in again] == [data.names for _, data in splits]
    assert glyphnet.load(tmp_path, group_by="none").group_by == "none"


def test_groups_that_fit_no_picture_are_told(tmp_path: Path) -> None:
    root = grouped(tmp_path)
    table = (root / "metadata.csv").read_text().replace("\n", "\npictures/").removesuffix("pictures/")
    (root / "metadata.csv").write_text(table)
    splits = glyphnet.load(root)
    [warning] = [warning for warning in splits.warnings if "metadata.csv" in warning]
    assert "no picture here has one of its 17 names, such as 'pictures/five/00000.png'" in warning
    assert splits.group_by != "column:group"


def test_groups_beside_one_folder_with_everything_in_it_do_not_count_the_unlabelled(tmp_path: Path) -> None:
    root = grouped(tmp_path / "set")
    picture(root / "unlabelled" / "x.png", 3)
    table = (root / "metadata.csv").read_text().replace("five/gone.png", "unlabelled/x.png")
    (root / "metadata.csv").write_text(table)
    splits = glyphnet.load(tmp_path)
    assert splits.group_by == "column:group"
    assert not [note for note in splits.notes if "of no picture here" in note]


def test_groups_are_read_from_a_zip_too(tmp_path: Path) -> None:
    grouped(tmp_path / "folder")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as file:
        for path in sorted((tmp_path / "folder").rglob("*.*")):
            file.write(path, path.relative_to(tmp_path / "folder"))
    assert glyphnet.load(tmp_path / "data.zip").group_by == "column:group"


def test_a_column_called_group_is_the_class_where_no_folder_is(tmp_path: Path) -> None:
    for each in range(20):
        picture(tmp_path / f"{each}.png", each)
    rows = "".join(f"{each}.png,{'ab'[each % 2]}\n" for each in range(20))
    (tmp_path / "metadata.csv").write_text("file_name,group\n" + rows)
    assert glyphnet.load(tmp_path).classes == ("a", "b")


def test_a_picture_in_two_groups_is_refused_with_its_line(tmp_path: Path) -> None:
    grouped(tmp_path)
    with (tmp_path / "metadata.csv").open("a") as file:
        file.write("five/00000.png,eve\n")
    with pytest.raises(DataError, match=r"line 19 puts 'five/00000.png' into the group 'eve'"):
        glyphnet.load(tmp_path)
