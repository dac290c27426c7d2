"""The report on a data set: all that is planted is found and warned of; clean data raise no warning."""

import json

import numpy as np
from PIL import Image

from glyphnet.data import load
from glyphnet.data.dataset import ImageDataset, Splits
from glyphnet.data.inspect import EXAMPLES, inspect, look_over


def dataset(images, labels, part, classes=("cat", "dog")):
    names = [f"{part}/{i}.png" for i in range(len(images))]
    return ImageDataset(images, np.array(labels, dtype=np.int64), classes, names)


def noise(count, seed):
    """Images with a little of everything, so that none is near another: uint8 (count, 12, 12, 1)."""
    return np.random.default_rng(seed).integers(0, 256, (count, 12, 12, 1), dtype=np.uint8)


def splits(train=(60, 20), validation=(5, 5), test=(5, 5), notes=()):
    parts = {"train": train, "validation": validation, "test": test}
    sets = {
        name: dataset(noise(sum(counts), seed), np.repeat([0, 1], counts), name)
        for seed, (name, counts) in enumerate(parts.items())
    }
    return Splits("pets", **sets, notes=notes)


def test_clean_data_have_no_warnings():
    report = inspect(splits(notes=("said before",)))
    assert report.warnings == ()
    assert report.notes == ("said before",)
    assert report.image_shape == (12, 12, 1)
    assert report.counts == {"train": (60, 20), "validation": (5, 5), "test": (5, 5)}
    assert report.leaks == ()
    assert report.exact_duplicates.count == report.near_duplicates.count == report.blank.count == 0


def test_all_that_is_planted_is_found():
    data = splits()
    train, test = data.train.images, data.test.images
    train[10] = train[3]  # a copy within training
    train[70] = train[4]  # a copy under another label
    test[2] = train[5]  # leaks
    test[9] = np.clip(train[6].astype(int) + 1, 0, 255)  # nearly the same, another label
    train[20] = 200  # blank
    report = inspect(data)
    assert report.exact_duplicates.count == 3
    assert report.exact_duplicates.examples == (
        ("train: train/3.png", "train: train/10.png"),
        ("train: train/4.png", "train: train/70.png"),
        ("train: train/5.png", "test: test/2.png"),
    )
    assert report.near_duplicates.examples == (("train: train/6.png", "test: test/9.png"),)
    assert report.conflicts.examples == (("train: train/4.png", "train: train/70.png"),)
    assert report.near_conflicts.examples == report.near_duplicates.examples
    assert report.blank.examples == (("train: train/20.png",),)
    (leak,) = report.leaks
    assert leak.parts == ("train", "test")
    assert leak.exact.examples == (("train: train/5.png", "test: test/2.png"),)
    assert leak.near.examples == (("train: train/6.png", "test: test/9.png"),)
    assert [finding.code for finding in report.findings] == [
        "conflicts",
        "near_conflicts",
        "blank",
        "leak",
        "duplicates",
    ]
    assert report.findings[0].numbers == {"images": 1}
    assert report.warnings[:4] == (
        "1 image has an exact copy under another label: one of the two is wrong (such as train: train/4.png "
        "and train: train/70.png). Correct or remove the images.",
        "1 pair of nearly the same image has different labels (such as train: train/6.png and "
        "test: test/9.png). Look at them and correct the labels.",
        "1 image is blank or almost (such as train: train/20.png). Remove them unless blank is what they mean.",
        "train and test share images: 1 exact copy and 1 near duplicate (such as train: train/5.png and "
        "test: test/2.png). The accuracy on test will look better than it is: remove them from train.",
    )


def test_classes_that_are_few_missing_or_unbalanced():
    report = inspect(splits(train=(60, 3), validation=(5, 0)))
    assert report.warnings == (
        "The validation part has no image of 'dog': add some, or nothing can be measured there.",
        "Fewer than 10 training images of 'dog': add more, or merge classes.",
        "The classes are unbalanced: 60 training images of 'cat', 3 of 'dog'. Always answering 'cat' would be right on "
        "95.2 % of them. Judge by balanced accuracy and by each class's recall; loss.class_weight=balanced weighs the "
        "classes in training.",
    )
    report = inspect(splits(train=(60, 0)))
    assert report.warnings == ("The train part has no image of 'dog': add some, or nothing can be learnt there.",)


def test_empty_parts_are_left_out():
    report = inspect(splits(validation=(0, 0), test=(0, 0)))
    assert list(report.counts) == ["train"]
    assert report.warnings == ()


def test_bad_files_are_all_there():
    bad = [(f"{i}.png", "not a picture") for i in range(100)]
    report = inspect(splits(), bad_files=bad)
    assert report.bad_files == tuple(bad)
    assert report.warnings == ("100 files cannot be used: mend or remove them, or train with --on-bad-file skip.",)


def test_examples_are_bounded_but_the_count_is_whole():
    data = splits()
    data.train.images[:50] = data.train.images[0]
    report = inspect(data)
    assert report.exact_duplicates.count == 49
    assert len(report.exact_duplicates.examples) == EXAMPLES


def test_the_report_is_json():
    data = splits()
    data.test.images[0] = data.train.images[0]
    value = json.loads(json.dumps(inspect(data, bad_files=[("a", "b")]).to_dict(), allow_nan=False))
    assert value["counts"]["train"] == [60, 20]
    assert value["leaks"][0]["parts"] == ["train", "test"]
    assert value["bad_files"] == [["a", "b"]]
    assert value["findings"][0] == {
        "code": "bad_files",
        "sentence": "1 file cannot be used: mend or remove it, or train with --on-bad-file skip.",
        "numbers": {"files": 1},
    }


def test_embedded_digits_are_clean():
    report = inspect(load("digits"))
    assert sum(map(sum, report.counts.values())) == 1797
    assert report.warnings == ()


def test_near_duplicates_are_searched_where_there_is_time_and_are_then_known():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (60, 6, 6), dtype=np.uint8)
    images = np.stack([np.asarray(Image.fromarray(each).resize((28, 28), Image.Resampling.BICUBIC)) for each in small])
    images[50] = np.roll(images[3], 1, axis=1)
    labels = np.arange(60, dtype=np.int64) % 2
    whole = ImageDataset(images[..., None], labels, ("a", "b"), [f"{row}.png" for row in range(60)])
    first = Splits("made", whole.subset(range(40)), whole.subset(slice(0)), whole.subset(range(40, 60)))
    assert look_over(first).not_checked == ("near duplicates",)
    assert look_over(first, most_seconds=0.001).not_checked == ("near duplicates",)
    found = look_over(first, most_seconds=60)
    assert found.not_checked == ()
    assert found.leaks[0].near.examples == (("train: 3.png", "test: 50.png"),)
    again = Splits("made", whole.subset(range(40)), whole.subset(slice(0)), whole.subset(range(40, 60)))
    assert look_over(again).not_checked == (), "the cache has it"
    pair = inspect(again).pairs[0]
    assert (pair.kind, pair.level, pair.images) == ("shifted", "same picture", ("3.png", "50.png"))
