"""Decisions on labels: read strictly, applied exactly, and told loudly where they touch the test part."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphnet.data import Splits, load
from glyphnet.data.corrections import (
    COLUMNS,
    DECISIONS,
    Decision,
    apply_decisions,
    read_decisions,
    refuse_to_lose_decisions,
    write_decisions,
)
from glyphnet.data.dataset import ImageDataset
from glyphnet.errors import DataError

HEAD = ",".join(COLUMNS)
CLASSES = ("cat", "dog", "日本, \u3000")


def part(name, count, start=0):
    rng = np.random.default_rng(start)
    images = rng.integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)
    return ImageDataset(images, np.arange(count) % 3, CLASSES, [f"{name}/{i}.png" for i in range(count)])


@pytest.fixture
def splits():
    return Splits("pets", part("a", 9), part("b", 6, 1), part("c", 6, 2), ("read",), ("mind",))


@pytest.fixture
def table(tmp_path):
    """Write lines of a table; its path."""

    def write(*lines, head=HEAD, encoding="utf-8"):
        path = tmp_path / "labels.csv"
        path.write_text("\n".join([head, *lines]) + "\n", encoding=encoding)
        return path

    return write


def test_every_kind_of_decision(splits, table):
    path = table(
        "train,a/0.png,cat,dog,0.9,", "train,a/1.png,dog,cat,0.9,keep", "train,a/3.png,cat,dog,0.9,relabel",
        "train,a/4.png,dog,cat,0.9, Drop ", "train,a/6.png,cat,cat,0.9,dog", "validation,b/0.png,cat,dog,0.5,drop",
    )  # fmt: skip
    done = apply_decisions(splits, path)
    assert list(done.train.names) == [f"a/{i}.png" for i in range(9) if i != 4]
    assert done.train.labels.tolist() == [0, 1, 2, 1, 2, 1, 1, 2]
    np.testing.assert_array_equal(done.train.images, np.delete(splits.train.images, 4, axis=0))
    assert len(done.validation) == 5
    assert done.test is splits.test
    assert done.notes == (
        "read",
        f"Labels corrected as {path} says; train: 2 relabelled, 1 left out; validation: 1 left out.",
    )
    assert done.warnings == ("mind",)
    assert done.train.fingerprint != splits.train.fingerprint
    assert splits.train.labels.tolist() == [0, 1, 2] * 3  # what was given stays as it was


def test_nothing_decided_changes_nothing(splits, table):
    done = apply_decisions(splits, table("train,a/0.png,cat,dog,0.9,"))
    assert [done.train, done.validation, done.test] == [splits.train, splits.validation, splits.test]
    assert done.notes[-1].endswith("says; nothing is changed.")


@pytest.mark.parametrize(("decision", "words"), [("drop", "1 left out"), ("relabel", "1 relabelled")])
def test_a_changed_test_part_is_a_loud_warning(splits, table, decision, words):
    done = apply_decisions(splits, table(f"test,c/0.png,cat,dog,0.9,{decision}"))
    assert len(done.warnings) == 2
    assert done.warnings[1].startswith(f"The test part was changed after a model had disagreed with it ({words}): ")
    assert "Removing test images because a model disagrees is not honest" in done.warnings[1]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["train,a/0.png,cat,dog,1,dgo"], "line 2 has 'dgo' in the column decision, which is no class and no "
         r"decision\. Did you mean 'dog'\?"),
        (["train,a/0.png,cat,dog,1,xyzzy"], r"no decision\. Write keep, relabel, drop, or the name of a class\."),
        (["train,a/0.png,cat,cow,1,relabel"], "line 2 has 'cow' in the column suggested, which is no class"),
        (["", "train,a/00.png,cat,dog,1,"], r"line 3 names 'a/00\.png', which is not among these data\. Did you mean"),
        (["train,a/1.png,cat,dog,1,drop"], r"line 2 was written when 'a/1\.png' was labelled 'cat'; now the data say "
         r"'dog'\. Remove the line, or review the data again\."),
        (["train,a/0.png,cat,dog,1,drop", "train,a/0.png,cat,dog,1,keep"],
         r"line 3 decides otherwise on 'a/0\.png' than line 2\. Remove one of them\."),
        (["train,a/0.png,cat,dog,1"], "line 2 has 5 columns, and the first line 6"),
        (["train,,cat,dog,1,"], "line 2 has no file"),
        (["train,a/0.png,,dog,1,"], "line 2 has no given label"),
        (['train,"a/0.png"x,cat,dog,1,'], "line 2 is not sound CSV"),
        ([f"train,a/{i}.png,{CLASSES[i % 3]},dog,1,drop" for i in (0, 1, 3, 4, 6, 7)],
         "with these decisions: the validation part has the classes 'cat', 'dog', which the training part has not"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line_with_its_place(splits, table, lines, message):
    path = table(*lines)
    with pytest.raises(DataError, match=message) as caught:
        apply_decisions(splits, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("part,file,given,sugested,score,decision",
         r"there is no column 'suggested', an unknown column 'sugested' \(did you mean 'suggested'\?\)\. A table of"),
        ("file,given", "no column 'suggested', no column 'decision'"),
        ("file,given,suggested,decision,file", "the column 'file' twice"),
        ("", "no column 'file'"),
    ],
)  # fmt: skip
def test_other_columns_are_refused(splits, table, head, message):
    with pytest.raises(DataError, match=message):
        apply_decisions(splits, table(head=head))
    with pytest.raises(DataError, match=r"none\.csv: cannot be read \(No such file or directory\)"):
        apply_decisions(splits, "none.csv")


def test_as_spreadsheets_write_it_and_without_part_and_score(splits, table):
    path = table("a/0.png;cat;dog;relabel", head="File;Given;Suggested;Decision", encoding="utf-8-sig")
    assert apply_decisions(splits, path).train.labels[0] == 1


def test_a_class_called_drop_is_reached_by_relabel(table):
    data = ImageDataset(np.zeros((3, 2, 2, 1), np.uint8), np.array([0, 1, 0]), ("x", "drop"), ["1", "2", "3"])
    splits = Splits("odd", data, *[data.subset(slice(0, 0))] * 2)
    assert apply_decisions(splits, table("train,1,x,drop,1,relabel")).train.labels.tolist() == [1, 1, 0]
    assert apply_decisions(splits, table("train,1,x,drop,1,drop")).train.labels.tolist() == [1, 0]


def test_a_name_in_two_parts_is_told_apart_by_the_part(splits, table):
    twins = Splits("pets", splits.train, splits.validation, splits.train)
    done = apply_decisions(twins, table("test,a/0.png,cat,dog,1,relabel"))
    assert (done.train.labels[0], done.test.labels[0]) == (0, 1)
    with pytest.raises(DataError, match="several images are called so"):
        apply_decisions(twins, table("a/0.png,cat,dog,relabel", head="file,given,suggested,decision"))


@given(
    st.lists(
        st.builds(
            Decision,
            part=st.sampled_from(["train", "test"]),
            file=st.text(st.characters(exclude_categories=[]), min_size=1),
            given=st.sampled_from(CLASSES),
            suggested=st.sampled_from(CLASSES),
            decision=st.sampled_from(["", *DECISIONS]),
        )
    )
)
def test_what_is_written_is_read(tmp_path_factory, decisions):
    decisions = [each for each in decisions if _can_be_a_file_name(each.file)]
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    write_decisions(path, decisions)
    read = read_decisions(path)
    assert [vars(each) | {"line": 0} for each in read] == [vars(each) for each in decisions]


def _can_be_a_file_name(name):
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return "\0" not in name


def test_decisions_are_not_lost(table, tmp_path):
    refuse_to_lose_decisions(tmp_path / "new.csv")
    refuse_to_lose_decisions(table("train,a,cat,dog,1,"))
    with pytest.raises(
        DataError, match=r"holds 1 decision already\. Name another file, or replace it with --overwrite"
    ):
        refuse_to_lose_decisions(table("train,a,cat,dog,1,keep"))
    with pytest.raises(DataError, match="It is there already: name another file, or replace it with --overwrite"):
        refuse_to_lose_decisions(table(head="my own list"))


def test_memory_mapped_images_stay_on_disk_and_the_division_stays(tmp_path, table, monkeypatch):
    monkeypatch.setattr("glyphnet.data.cache.IN_MEMORY_BYTES", 0)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (60, 6, 6), dtype=np.uint8))
    np.save(tmp_path / "labels.npy", np.arange(60) % 3)
    plain = load(tmp_path / "images.npy")
    mapped = Splits(plain.name, *(_mapped(part, tmp_path / f"{name}.npy") for name, part in plain))
    first, second = plain.train.names[:2]
    lines = [f"train,{first},{plain.train.labels[0]},1,1,drop", f"train,{second},{plain.train.labels[1]},1,1,2"]
    path = table(*lines)
    done = apply_decisions(mapped, path)
    assert isinstance(done.train.images, np.memmap)
    np.testing.assert_array_equal(done.train.images, plain.train.images[1:])
    by_load = load(tmp_path / "images.npy", labels=path)
    assert by_load.train.fingerprint == done.train.fingerprint
    assert by_load.test.fingerprint == plain.test.fingerprint
    assert by_load.train.labels[0] == 2


def _mapped(part, path):
    np.save(path, part.images)
    return ImageDataset(np.load(path, mmap_mode="r"), part.labels, part.classes, part.names)
