"""The sheet of images: the pixels as they are, and which images come first where not all fit."""

import io

import numpy as np
import pytest
from PIL import Image

from glyphnet.report.sheets import by_interest, make_sheet


@pytest.mark.parametrize("shape", [(5, 7, 1), (7, 3, 3), (1, 1, 1)])
@pytest.mark.parametrize("count", [1, 2, 37])
def test_every_tile_holds_its_image(make_evaluation, shape, count):
    judged = make_evaluation(count=count, shape=shape)
    sheet = make_sheet(judged)
    pixels = np.asarray(Image.open(io.BytesIO(sheet.tiles.png))).reshape(-1, sheet.tiles.columns * shape[1], shape[2])
    np.testing.assert_array_equal(sheet.rows, np.arange(count))
    for place, row in enumerate(sheet.rows):
        top, left = place // sheet.tiles.columns * shape[0], place % sheet.tiles.columns * shape[1]
        tile = pixels[top : top + shape[0], left : left + shape[1]]
        np.testing.assert_array_equal(tile, judged.images[row])


def test_the_sheet_is_about_square(make_evaluation):
    width, height = Image.open(io.BytesIO(make_sheet(make_evaluation(count=500, shape=(40, 5, 1))).tiles.png)).size
    assert 0.5 < width / height < 2


def test_a_sheet_too_large_keeps_its_limit_and_the_mistakes(make_evaluation):
    judged = make_evaluation(count=2000, shape=(16, 16, 3))
    sheet = make_sheet(judged, most_bytes=600_000)
    assert len(sheet.tiles.png) <= 600_000
    assert len(sheet.rows) > 600  # of about 770 bytes each: the limit is used, too
    assert (np.diff(sheet.rows) > 0).all()
    assert set(np.flatnonzero(~judged.correct)) <= set(sheet.rows)


def test_even_one_image_beyond_the_limit_is_shown(make_evaluation):
    assert len(make_sheet(make_evaluation(count=3, shape=(64, 64, 3)), most_bytes=10).rows) == 1


def test_mistakes_come_first_then_the_least_sure_then_each_class_in_turn(make_evaluation):
    judged = make_evaluation(count=1000, skill=5.0)
    order = by_interest(judged)
    assert sorted(order) == list(range(1000))
    wrong = int((~judged.correct).sum())
    assert not judged.correct[order[:wrong]].any()
    assert (np.diff(judged.losses[order[:wrong]]) <= 0).all()
    unsure = set(judged.least_sure(200)) - set(order[:wrong])
    assert set(order[wrong : wrong + len(unsure)]) == unsure
    rest = judged.labels[order[wrong + len(unsure) :]]
    assert len(set(rest[:20])) == 10
