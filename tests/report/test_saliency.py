"""What the network looked at: which images get a map, what the sheet holds, what the viewer shows."""

import io

import numpy as np
import pytest
from PIL import Image

from glyphnet.explain import saliency
from glyphnet.report import sheets as maps
from glyphnet.report.sheets import by_interest, make_sheet

PIXELS = """() => {
    const canvas = document.getElementById("viewer-image");
    return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
}"""


def viewed(page):
    return np.array(page.evaluate(PIXELS)).reshape(-1, 4)


def test_shades_are_128_for_nothing_and_symmetric_about_it():
    given = np.zeros((2, 2, 2), dtype=np.float32)
    given[1] = [[1.0, -1.0], [0.5, 0.0]]
    found = maps.shades(given)
    np.testing.assert_array_equal(found[0], 128)
    assert found[1, 0].tolist() == [248, 8]
    assert 128 < found[1, 1, 0] < 248
    assert found[1, 1, 1] == 128


def test_every_map_is_that_of_its_image_and_of_the_class_that_was_named(digits):
    sheet = make_sheet(digits.evaluation)
    found = maps.saliency_sheet(digits.classifier, digits.evaluation, sheet)
    tiles, (height, width) = found.tiles, digits.evaluation.images.shape[1:3]
    pixels = np.asarray(Image.open(io.BytesIO(tiles.png)))
    assert (found.places >= 0).all(), "the digits are few and cheap: all have a map"
    for place in (0, 7, len(sheet.rows) - 1):
        row = sheet.rows[place]
        target = digits.evaluation.predictions[[row]]
        wanted = maps.shades(saliency(digits.classifier, digits.evaluation.images[[row]], target, steps=maps.STEPS))
        line, column = divmod(int(found.places[place]), tiles.columns)
        tile = pixels[line * height : (line + 1) * height, column * width : (column + 1) * width]
        # Sums in batches of another size differ in the last bits, which may just reach the next of 15 levels.
        assert np.abs(tile.astype(int) - wanted[0]).max() <= 8


def test_where_maps_are_dear_the_most_telling_images_have_them(digits, monkeypatch):
    monkeypatch.setattr(maps, "MOST_FLOPS", 0)
    monkeypatch.setattr(maps, "LEAST", 20)
    sheet = make_sheet(digits.evaluation)
    found = maps.saliency_sheet(digits.classifier, digits.evaluation, sheet)
    assert set(sheet.rows[found.places >= 0]) == set(by_interest(digits.evaluation)[:20])


def test_the_switch_shows_the_map_over_the_image_and_alone(open_report, digits):
    page = open_report(digits.evaluation, classifier=digits.classifier).page
    page.click(".tile >> nth=0")
    image = viewed(page)
    assert page.inner_text("#viewer-legend") == ""
    page.check("input[name=looks][value=both]", force=True)
    both = viewed(page)
    assert (both[:, 3] == 255).all()
    assert (np.ptp(both[:, :3], axis=1) > 0).any(), "the map is in colour"
    page.check("input[name=looks][value=saliency]", force=True)
    alone = viewed(page)
    assert alone[:, 3].max() > 240
    assert alone[:, 3].min() < 60
    row = int(digits.evaluation.top_losses(1)[0])
    wanted = saliency(
        digits.classifier, digits.evaluation.images[[row]], digits.evaluation.predictions[[row]], steps=16
    )
    strong = np.abs(wanted.ravel()) > 0.3 * np.abs(wanted).max()
    assert (wanted.ravel()[strong] > 0).any()
    assert (wanted.ravel()[strong] < 0).any()
    blue = alone[:, 2].astype(int) > alone[:, 0]
    np.testing.assert_array_equal(blue[strong], wanted.ravel()[strong] > 0)
    named = digits.evaluation.classes[digits.evaluation.predictions[row]]
    assert f"speaks for “{named}”" in page.inner_text("#viewer-legend")
    page.keyboard.press("Tab")  # off the switch, whose own keys the arrows are
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#viewer-place").startswith("2 of ")
    assert not np.array_equal(viewed(page), alone), "the choice stays, and the map is that of the next image"
    page.check("input[name=looks][value=image]", force=True)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    np.testing.assert_array_equal(viewed(page), image)


def test_arrow_keys_on_the_switch_change_it_and_not_the_image(open_report, digits):
    page = open_report(digits.evaluation, classifier=digits.classifier).page
    page.click(".tile >> nth=0")
    page.focus("input[name=looks][value=image]")
    page.keyboard.press("ArrowRight")
    assert page.is_checked("input[name=looks][value=both]")
    assert page.inner_text("#viewer-place").startswith("1 of ")


def test_an_image_without_a_map_says_so(open_report, digits, monkeypatch):
    monkeypatch.setattr(maps, "MOST_FLOPS", 0)
    monkeypatch.setattr(maps, "LEAST", 1)
    page = open_report(digits.evaluation, classifier=digits.classifier, address="#order=surest").page
    page.click(".tile >> nth=0")
    assert "No map for this image" in page.inner_text("#viewer-legend")
    assert page.is_disabled("input[name=looks][value=both]")


def test_without_a_classifier_there_is_no_switch(open_report, digits):
    page = open_report(digits.evaluation).page
    page.click(".tile >> nth=0")
    assert page.locator("#viewer-looks").count() == 0


@pytest.mark.parametrize("limit", [2_000, 10])
def test_the_sheet_of_maps_keeps_its_limit(digits, monkeypatch, limit):
    monkeypatch.setattr(maps, "MOST_SALIENCY_BYTES", limit)
    found = maps.saliency_sheet(digits.classifier, digits.evaluation, make_sheet(digits.evaluation))
    assert len(found.tiles.png) <= limit or found.tiles.count == 1
    assert (found.places >= 0).sum() == found.tiles.count
