"""What folders mean, from the names of pictures alone: many layouts, no picture is needed."""

from __future__ import annotations

import pytest

from glyphnet.data.layouts import Arrangement, arrange, check_layout, part_word
from glyphnet.data.listing import TEST, TRAIN, VALIDATION
from glyphnet.errors import DataError, SettingsError


def names(*folders: str, count: int = 4, start: int = 0) -> list[str]:
    """``count`` pictures in each folder, no two of one name."""
    return [f"{folder}/{start + 100 * k + i}.png" for k, folder in enumerate(folders) for i in range(count)]


def meanings(found: Arrangement) -> set[tuple[str, int]]:
    return {(label, part) for _, label, part in found.rows}


def refused(files: list[str], **options: str) -> str:
    with pytest.raises(DataError) as caught:
        arrange(files, "data", **options)
    message = str(caught.value)
    assert message.count("\n") < 6
    assert len(message.split()) <= 100
    return message


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"), ("training", "testing"), ("Training", "Test"), ("seg_train", "seg_test"),
        ("training_set", "test_set"), ("Final_Training", "Final_Test"), ("TRAIN", "holdout"), ("train", "hold-out"),
        ("asl_alphabet_train", "asl_alphabet_test"), ("TrainingImages", "TestImages"), ("train2017", "test2017"),
        ("trainset", "testset"), ("train", "eval"), ("train_v2_small", "test_old"),
        ("mnist_png_training", "mnist_png_testing"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("wrapper", ["", "archive/MNIST/raw/"])
def test_parts_by_meaning_in_wrapping_folders(train: str, test: str, wrapper: str) -> None:
    found = arrange(names(*(f"{wrapper}{part}/{label}" for part in (train, test) for label in "abc")), "data")
    assert meanings(found) == {(label, part) for label in "abc" for part in (TRAIN, TEST)}
    assert any(f"{train!r} is the training part, {test!r} is the test part" in note for note in found.notes)


@pytest.mark.parametrize("validation", ["dev", "val", "Valid", "validation_set", "eval"])
def test_a_validation_part_beside_the_others(validation: str) -> None:
    found = arrange(names(*(f"{part}/{label}" for part in ("train", validation, "test") for label in "ab")), "data")
    assert {part for _, _, part in found.rows} == {TRAIN, VALIDATION, TEST}
    assert f"{validation!r} is the validation part" in found.notes[-1]


@pytest.mark.parametrize(
    ("word", "part"),
    [("Train", TRAIN), ("PublicTest", TEST), ("valid", VALIDATION), ("hold-out", TEST), ("test tube", None),
     ("trainer", None),     ("crash test", None), ("", None), ("latest", None), ("contest", None), ("value", None)],
)  # fmt: skip
def test_words_that_name_a_part(word: str, part: int | None) -> None:
    assert part_word(word) == part


def test_each_part_may_have_a_wrapping_folder_of_its_own() -> None:
    files = names(
        "seg_train/seg_train/sea", "seg_train/seg_train/ice", "seg_test/seg_test/sea", "seg_test/seg_test/ice"
    )
    found = arrange([*files, *names("seg_pred/seg_pred", start=5000)], "data")
    assert meanings(found) == {(label, part) for label in ("sea", "ice") for part in (TRAIN, TEST)}
    assert found.warnings == [
        "The folder 'seg_pred' is none of train, validation and test: its 4 pictures were not read."
    ]


def test_a_folder_for_images_in_each_part_is_no_class() -> None:
    files = [
        *names("Final_Training/Images/00000", "Final_Training/Images/00001"),
        *names("Final_Test/Images", start=900),
    ]
    found = arrange([f"GTSRB/{name}" for name in files], "data")
    assert meanings(found) == {("00000", TRAIN), ("00001", TRAIN)}
    assert found.notes[-1].startswith("Folders: 'Final_Training/Images' is the training part; the folders in them")
    assert found.warnings[0].startswith("The 4 pictures in 'Final_Test' lie in no class folder")


def test_a_part_below_the_class_is_the_split() -> None:
    found = arrange(names("sandal/Train", "sandal/Test", "boot/Train", "boot/Test"), "data")
    assert meanings(found) == {(label, part) for label in ("sandal", "boot") for part in (TRAIN, TEST)}
    assert found.notes == [
        "Folders: the top folders are the classes; in each, 'Train' is the training part, 'Test' is the test part."
    ]


def test_pictures_beside_parts_below_the_class_are_refused() -> None:
    files = [*names("sandal/train", "sandal/test", "boot/train", "boot/test"), "boot/x.png"]
    assert "--layout class" in refused(files)


@pytest.mark.parametrize("top", ["", "train/"])
@pytest.mark.parametrize("pair", [("images", "masks"), ("img", "seg"), ("day", "night")])
def test_equal_folders_with_the_same_file_names_are_not_pooled(top: str, pair: tuple[str, str]) -> None:
    files = [f"{top}{label}/{kind}/{label}{i}.png" for label in ("COVID", "Normal") for kind in pair for i in range(5)]
    message = refused(files)
    assert "with the same file names" in message
    assert f"--only {pair[0]}" in message
    chosen = arrange(files, "data", only=pair[0])
    assert meanings(chosen) == {("COVID", TRAIN), ("Normal", TRAIN)}
    assert len(chosen.rows) == 10
    assert chosen.notes[0] == f"Only the 10 pictures in folders {pair[0]!r} are read; 10 others are not."
    pooled = arrange(files, "data", layout="part/class" if top else "class")
    assert len(pooled.rows) == 20
    assert "were pooled: 4, such as" in pooled.notes[-1]


def test_masks_in_some_classes_only_are_not_pooled_either() -> None:
    files = [*(f"a/{kind}/{i}.png" for kind in ("images", "masks") for i in range(5)), *names("b", start=500)]
    assert "--only images" in refused(files)


def test_equal_folders_with_other_file_names_can_be_read_in_two_ways() -> None:
    files = names(*(f"{person}/{face}" for person in ("ann", "bob", "eve") for face in ("glad", "sad")))
    message = refused(files)
    assert "--layout class" in message
    assert "--layout any/class" in message
    assert {label for _, label, _ in arrange(files, "data", layout="any/class").rows} == {"glad", "sad"}
    assert {label for _, label, _ in arrange(files, "data", layout="class").rows} == {"ann", "bob", "eve"}


def test_the_layout_named_in_a_message_counts_wrapping_folders() -> None:
    files = names(*(f"archive/{person}/{face}" for person in ("ann", "bob") for face in ("glad", "sad")))
    assert "--layout any/class " in refused(files)
    assert {label for _, label, _ in arrange(files, "data", layout="any/class").rows} == {"ann", "bob"}


def test_parts_that_hold_pictures_directly_name_no_class() -> None:
    refused(names("trainset", "testset"))
    message = refused(names("train", "test"))
    assert "no class is known" in message
    assert "metadata.csv" in message
    assert meanings(arrange(names("train", "test"), "data", layout="class")) == {("train", TRAIN), ("test", TRAIN)}


def test_train_may_be_a_class() -> None:
    assert meanings(arrange(names("train", "bus"), "data")) == {("train", TRAIN), ("bus", TRAIN)}
    message = refused(names("train/steam", "train/diesel", "bus/old", "bus/new"))
    assert "1. 'train' is a part" in message
    assert "2. 'bus', 'train' are classes: add --layout class" in message


def test_parts_in_parts_can_be_read_in_two_ways() -> None:
    message = refused(names(*(f"{a}/{b}" for a in ("train", "test") for b in ("training", "testing"))))
    assert "--layout part/class" in message
    assert "--layout class/part" in message


def test_two_folders_for_one_part() -> None:
    assert "'val' and 'valid' are the same part" in refused(names("train/a", "train/b", "val/a", "valid/a"))


def test_numbered_folders_and_numbered_files_are_pooled_and_said() -> None:
    files = [f"{label}/slide{slide}/{i:03d}.png" for label in "xy" for slide in range(3) for i in range(4)]
    assert "were pooled" in arrange(files, "data").notes[0]
    breeds = {"cat": ("siamese", "birman"), "dog": ("poodle", "collie")}
    files = [f"{label}/{breed}/{i}.png" for label in breeds for breed in breeds[label] for i in range(4)]
    assert "were pooled" in arrange(files, "data").notes[0]
    refused([f"{label}/{kind}/{i}.png" for label in "xy" for kind in ("images", "masks") for i in range(4)])
    refused([*(f"x/{kind}/{i}.png" for kind in ("img", "seg2") for i in range(4)), *names("y", start=500)])


def test_different_folders_in_classes_are_pooled_and_said() -> None:
    found = arrange(names("cat/black", "cat/old/grey", "dog/wet", "dog"), "data")
    assert meanings(found) == {("cat", TRAIN), ("dog", TRAIN)}
    assert found.notes == [
        "Folders: the 2 top folders are the classes; 3 folders inside them, such as 'cat/black', were pooled."
    ]


def test_one_folder_in_every_class_means_nothing() -> None:
    assert arrange(names("cat/images", "dog/images"), "data").notes == []


def test_one_class_of_a_test_part() -> None:
    assert meanings(arrange(names("test/7"), "data")) == {("7", TEST)}
    assert meanings(arrange(names("7"), "data")) == {("7", TRAIN)}


def test_a_folder_that_no_picture_lies_in() -> None:
    assert "there are 'a', 'b'" in refused(names("a", "b"), only="images")
    assert "no picture lies 2 folders deep" in refused(names("a", "b"), layout="part/class")
    assert "'a', 'b' must name a part" in refused(names("a/x", "b/x"), layout="part/class")


@pytest.mark.parametrize("layout", ["", "classes", "class/class", "part", "part/part/class", "label,pixels,x"])
def test_layouts_that_are_none(layout: str) -> None:
    with pytest.raises(SettingsError, match="must be auto, or say what each level of folders is"):
        check_layout(layout)


def test_messages_stay_short_whatever_is_given() -> None:
    many = [f"{'long name ' * 20}{k}" for k in range(400)]
    files = [f"{label}/{kind}/{i}.png" for label in many for kind in ("images", "masks") for i in range(3)]
    with pytest.raises(DataError) as caught:
        arrange(files, "data")
    assert str(caught.value).count("\n") < 6
    assert len(str(caught.value).split()) <= 100
