"""The section on confidence: before and after temperature scaling, coverage, the threshold; and the filter by it."""

from dataclasses import replace

import numpy as np
import pytest

from glyphnet.conformal import Conformal
from glyphnet.evaluation import wilson
from glyphnet.report.text import rejection, temperature
from glyphnet.units import page_percent as percent

from ..browsing import wait_until


@pytest.fixture
def judged(make_evaluation):
    return replace(make_evaluation(count=3000), temperature=1.5, threshold=0.9)


def test_the_temperature_in_words_with_the_error_before_and_after(judged):
    before, after = judged.uncalibrated.calibration_error, judged.calibration_error
    assert temperature(judged) == (
        "The network itself was too sure on the validation images, so its logits are divided by a temperature of 1.5. "
        f"Here the calibration error is {100 * before:.1f} points without it and {100 * after:.1f} points with it."
    )
    assert temperature(replace(judged, temperature=1.0)) == ""
    assert "too modest" in temperature(replace(judged, temperature=0.5))


def test_the_threshold_in_words_with_its_intervals(judged):
    accepted = judged.confidence >= 0.9
    count, right = int(accepted.sum()), int(judged.correct[accepted].sum())
    share, hits = wilson(count, 3000), wilson(right, count)
    assert rejection(judged) == (
        f"It rejects {3000 - count:,} images (the model is not sure). It answers {percent(count / 3000)} "
        f"({100 * share.low:.1f}–{100 * share.high:.1f}) of the images and names {percent(right / count)} "
        f"({100 * hits.low:.1f}–{100 * hits.high:.1f}) of those rightly; "
        f"answering all, {percent(judged.accuracy)}."
    )


@pytest.mark.parametrize(
    ("threshold", "said", "marks"),
    [(None, "cannot reject", 0), (0.0, "It rejects no image here", 1), (1.0, "That is all of them", 0)],
)
def test_odd_thresholds_have_words_of_their_own(judged, open_report, threshold, said, marks):
    odd = replace(judged, threshold=threshold)
    assert said in rejection(odd)
    opened = open_report(odd)
    assert opened.console == []
    assert opened.page.locator("#coverage .best").count() == marks
    assert said in opened.page.inner_text("#confidence")


def test_the_page_draws_both_reliabilities_the_curve_and_the_threshold(open_report, judged):
    page = open_report(judged, model="runs/a/model.safetensors").page
    assert page.locator("#reliability circle.ring").count() == len(judged.uncalibrated.reliability)
    assert page.locator("#reliability circle.first").count() == len(judged.reliability)
    assert page.text_content("#coverage .best-name") == "with --reject"
    assert "glyphnet predict runs/a/model.safetensors IMAGE... --reject" in page.inner_text("#confidence")
    legend = page.inner_text("#coverage .legend")
    assert f"{percent(judged.accuracy, 2)} right" in legend
    page.focus("#coverage svg")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert page.inner_text("#coverage .legend") != legend


def test_sets_are_shown_with_their_coverage_and_size(open_report, judged):
    conformal = Conformal.calibrate(judged.probabilities, judged.labels, "probability")
    opened = open_report(replace(judged, conformal=conformal))
    rows = opened.page.locator("table.sets tbody tr").all_inner_texts()
    assert [row.split("\u202f")[0] for row in rows] == ["90", "95", "99", "99.8"]
    assert percent(replace(judged, conformal=conformal).sets_at(0.95).coverage.value) in rows[1]
    assert opened.console == []


def test_without_temperature_scaling_there_is_one_reliability(open_report, make_evaluation):
    page = open_report(make_evaluation()).page
    assert page.locator("#reliability .ring, #reliability .before").count() == 0


def shown(page):
    return page.eval_on_selector_all(".tile", "tiles => tiles.map(tile => tile.dataset.name)")


def names_between(judged, least, most):
    rows = np.flatnonzero((100 * judged.confidence >= least) & (100 * judged.confidence <= most))
    return [judged.names[row] for row in rows[np.argsort(-judged.confidence[rows], kind="stable")]]


def test_what_is_being_typed_stays_while_the_gallery_follows_the_field_before(open_report, make_evaluation):
    page = open_report(make_evaluation(), address="#only=all&order=surest").page
    page.focus("[name=most]")
    page.keyboard.type("4")
    page.evaluate("location.hash = '#only=all&order=surest&least=30'")
    wait_until(page, "document.querySelector('[name=least]').value === '30'")
    page.keyboard.type("5")
    assert page.input_value("[name=most]") == "45"


def test_the_filter_by_probability_shows_these_and_no_others(open_report, make_evaluation):
    judged = make_evaluation()
    page = open_report(judged, address="#only=all&order=surest").page
    page.focus("[name=order]")
    page.keyboard.press("Tab")
    page.keyboard.type("30")
    page.keyboard.press("Tab")
    page.keyboard.type("45.5")
    page.keyboard.press("Enter")
    wait_until(page, "document.getElementById('gallery-title').textContent.startsWith('Images, 30 to 45.5')")
    address = page.evaluate("location.hash")
    assert "least=30" in address
    assert "most=45.5" in address
    wanted = names_between(judged, 30, 45.5)
    assert 30 < len(wanted) < 400
    while page.is_visible("#more"):
        page.click("#more")
    assert shown(page) == wanted
    assert page.inner_text("#gallery-title") == f"Images, 30 to 45.5\u202f% · {len(wanted)} images"


def test_the_filter_by_probability_is_in_the_address_and_goes_with_the_others(open_report, make_evaluation):
    judged = make_evaluation()
    page = open_report(judged, address="#true=3&least=50&order=unsure").page
    rows = np.flatnonzero((judged.labels == 3) & (judged.confidence >= 0.5))
    assert set(shown(page)) == {judged.names[row] for row in rows[np.argsort(judged.confidence[rows])][:30]}
    assert page.input_value("[name=least]") == "50"
    assert page.input_value("[name=most]") == ""


@pytest.mark.parametrize("address", ["#least=x", "#least=-1&most=500", "#most=Infinity", "#least=%20", "#least=NaN"])
def test_a_wrong_range_in_the_address_is_none(open_report, make_evaluation, address):
    opened = open_report(make_evaluation(count=20), address=address)
    assert len(shown(opened.page)) == 20
    assert opened.console == []
