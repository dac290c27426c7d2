"""The section on the data: counts, mean images, examples, what is there twice."""

import gc
import io
import sys
import weakref

import numpy as np
import pytest
from PIL import Image

from glyphnet.data import ImageDataset, Splits
from glyphnet.report import data as dataview
from glyphnet.report.data import view_data

inspecting = sys.modules["glyphnet.data.inspect"]  # the function of that name hides the module


def part_of(labels, classes, seed=0, shape=(6, 5, 1)):
    generator = np.random.default_rng(seed)
    images = generator.integers(256, size=(len(labels), *shape), dtype=np.uint8)
    names = [f"{seed}/{row}" for row in range(len(labels))]
    return ImageDataset(images, np.asarray(labels, dtype=np.int64), classes, names)


def splits_of(classes=("a", "b", "nobody"), leak=False, shape=(6, 5, 1)):
    train = part_of([0] * 30 + [1] * 12, classes, 1, shape)
    test = part_of([0] * 5 + [1] * 5, classes, 2, shape)
    if leak:
        test.images[0] = train.images[0]
    return Splits("made", train, part_of([], classes, 3, shape), test, notes=("Read as told.",))


def tile_of(view, place):
    pixels = np.asarray(Image.open(io.BytesIO(view.tiles.png)))
    line, column = divmod(place, view.tiles.columns)
    height, width = view.tiles.height, view.tiles.width
    return pixels[line * height : (line + 1) * height, column * width : (column + 1) * width]


@pytest.fixture
def judged(make_evaluation):
    return make_evaluation(classes=("a", "b", "nobody"), count=20, shape=(6, 5, 1))


def test_data_are_looked_through_once_and_forgotten_with_their_last_user(judged):
    splits, others = splits_of(), splits_of(leak=True)
    view = view_data(judged, splits)
    assert view_data(judged, splits) is view
    assert view_data(judged, others) is not view
    gone = weakref.ref(splits)
    del splits
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("shape", [(6, 5, 1), (6, 5, 3)])
def test_counts_means_and_examples_are_those_of_the_training_part(judged, shape):
    splits = splits_of(shape=shape)
    view = view_data(judged, splits)
    assert view.parts == ("Training", "Test")
    assert view.totals == (42, 10)
    assert [line.counts for line in view.lines] == [(30, 5), (12, 5), (0, 0)]
    assert view.most == 30
    for label in (0, 1):
        mine = splits.train.images[splits.train.labels == label]
        mean = np.round(mine.mean(axis=0))
        assert np.abs(tile_of(view, view.lines[label].mean).reshape(shape) - mean).max() <= 1
        assert len(view.lines[label].examples) == 10
        for place in view.lines[label].examples:
            assert any(np.array_equal(tile_of(view, place).reshape(shape), image) for image in mine)
    assert (view.lines[2].mean, view.lines[2].examples) == (None, ())
    assert view.facts[0] == "Read as told."


def test_without_splits_the_judged_images_are_shown(judged):
    view = view_data(judged, None)
    assert (view.parts, view.totals) == (("Judged",), (20,))


def test_a_leak_is_told_and_shared_copies_are_not_called_harmless(judged):
    view = view_data(judged, splits_of(leak=True))
    assert any("train and test share images: 1 exact copy" in warning for warning in view.report.warnings)
    assert "1 image is an exact copy of another." in view.facts
    assert "No image is there twice." in view_data(judged, splits_of()).facts


def test_too_many_images_are_not_compared_and_the_page_says_so(judged, monkeypatch):
    monkeypatch.setattr(inspecting, "LARGE_BYTES", 10)
    view = view_data(judged, splits_of(leak=True))
    assert view.report.leaks == ()
    assert "Not looked for here: copies, blank images, near duplicates. glyphnet data DATA does it." in view.facts


def test_the_mean_of_very_many_images_is_that_of_some_evenly_spaced(judged, monkeypatch):
    monkeypatch.setattr(dataview, "_AVERAGED", 3)
    splits = splits_of()
    view = view_data(judged, splits)
    mine = splits.train.images[splits.train.labels == 0]
    mean = mine[[0, round((len(mine) - 1) / 2), -1]].mean(axis=0)
    assert np.abs(tile_of(view, view.lines[0].mean) - mean[..., 0]).max() <= 1


def test_many_classes_have_fewer_examples_and_the_rest_is_counted(make_evaluation):
    classes = tuple(f"class {k}" for k in range(70))
    judged = make_evaluation(count=700, classes=classes)
    view = view_data(judged, None)
    assert len(view.lines) == 60
    assert view.left_out == 10
    assert view.tiles.count <= 400


def test_the_page_draws_them_and_names_stay_text(open_report, make_evaluation):
    classes = ("<img src=x onerror=alert(1)>", "b", "</table>")
    judged = make_evaluation(classes=classes, count=20, shape=(6, 5, 1))
    opened = open_report(judged, splits=splits_of(classes, leak=True))
    page = opened.page
    assert opened.console == []
    heads = page.eval_on_selector_all(".samples tbody th", "all => all.map(one => one.textContent)")
    assert heads == list(classes)
    drawn = page.evaluate(
        """() => [...document.querySelectorAll(".samples canvas")].map((canvas) => {
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return data.some((value, i) => i % 4 < 3 && value > 0);
        })"""
    )
    assert len(drawn) == 2 + 20
    assert all(drawn)
    assert "share images" in page.inner_text(".warnings")
