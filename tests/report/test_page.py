"""The file: complete in itself, safe, small enough, and all its sentences."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest

from glyphnet.data import Finding
from glyphnet.evaluation import Interval, wilson
from glyphnet.pages.bundle import bundle
from glyphnet.report import write_report
from glyphnet.report.curves import scale_around
from glyphnet.report.page import flat
from glyphnet.report.text import calibration, headline, mistakes
from glyphnet.units import page_percent as percent


@pytest.fixture
def page(make_evaluation, tmp_path):
    def written(judged=None, **parts):
        path = tmp_path / "report.html"
        write_report(path, judged or make_evaluation(), **parts)
        return path.read_text(encoding="utf-8")

    return written


def test_nothing_is_loaded_from_elsewhere(page):
    text = page()
    assert re.findall(r'(?:src|href)="(?!#|data:)', text) == []
    assert "url(" not in text
    assert "http" not in re.sub(r'http-equiv="Content-Security-Policy"|http://www.w3.org/2000/svg', "", text)


def test_the_policy_lets_only_the_page_s_own_script_and_style_run(page):
    text = page()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert 'style="' not in text
    assert " onclick" not in text


def test_ten_thousand_images_of_28_by_28_take_at_most_15_megabytes_and_are_all_there(page, make_evaluation):
    """Random pixels: nothing compresses worse."""
    text = page(make_evaluation(count=10_000, shape=(28, 28, 1)))
    assert len(text) <= 15_000_000
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, flags=re.DOTALL)[1])
    assert data["images"]["count"] == data["images"]["all"] == 10_000
    assert "To keep this page small" not in text


def test_where_not_all_images_fit_the_page_says_so(page, make_evaluation):
    text = page(make_evaluation(count=6000, shape=(28, 28, 3)))
    assert len(text) <= 15_000_000
    said = re.search(r"it holds ([\d,]+) of the 6,000 images", text)[1]
    assert 3000 < int(said.replace(",", "")) < 6000


def test_the_data_hold_no_tag_whatever_the_names(page, make_evaluation):
    text = page(make_evaluation(classes=("</script>", "<!--", "&amp;")))
    data = re.search(r'id="data">(.*?)</script>', text, flags=re.DOTALL)[1]
    assert json.loads(data)["classes"] == ["</script>", "<!--", "&amp;"]
    assert not set("<>&") & set(data)


def test_an_interrupted_write_leaves_the_old_page(make_evaluation, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(TypeError):
        write_report(path, make_evaluation(), recipe={"a": object}, history=[{"epoch": "no number"}])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_diverged_training_can_be_reported(page):
    rows = [{"epoch": epoch, "loss": np.nan, "val_loss": float("inf"), "val_accuracy": None} for epoch in (1, 2)]
    assert "There were no validation images" in page(history=rows)


def test_recipe_command_and_notes_are_told(page):
    text = page(
        recipe={"optimizer": {"name": "adam", "betas": (0.9, 0.99)}, "empty": None},
        command="glyphnet train --out 'my runs'",
        findings=[Finding("reading", "Three images were skipped.")],
        provenance={"versions": {"torch": "2.13.0"}},
    )
    assert "<dt>optimizer.betas</dt><dd>0.9, 0.99</dd>" in text
    assert "<dt>versions.torch</dt><dd>2.13.0</dd>" in text
    assert "<dt>empty</dt>" not in text
    assert "glyphnet train --out &#39;my runs&#39;" in text
    assert "<li>Three images were skipped.</li>" in text


def test_the_scripts_never_make_html_of_text():
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", bundle("report/js/main.js"))


def test_flat_names_nested_values_by_their_path():
    assert dict(flat({"a": {"b": 1, "c": {"d": "x"}}, "e": [1, 2], "f": None, "g": False})) == {
        "a.b": "1",
        "a.c.d": "x",
        "e": "1, 2",
        "g": "False",
    }


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.98734, 1, "98.7 %"),
        (1.0, 1, "100.0 %"),
        (0.99999, 1, ">99.9 %"),
        (0.99999, 2, ">99.99 %"),
        (0.0, 1, "0.0 %"),
        (0.0001, 1, "<0.1 %"),
        (0.5, 0, "50 %"),
    ],
)
def test_percentages_are_never_rounded_to_all_or_nothing(share, digits, text):
    assert percent(share, digits) == text.replace(" ", "\u202f")


def test_the_headline_says_how_good_and_how_sure(make_evaluation):
    judged = make_evaluation(count=400)
    right, interval = int(judged.correct.sum()), wilson(int(judged.correct.sum()), 400)
    assert headline(judged) == (
        f"It named {right} of 400 images rightly: about one mistake in {400 / (400 - right):.0f} images. "
        f"On new images of the same kind expect between {percent(interval.low)} and {percent(interval.high)}."
    )


def test_the_headline_of_a_faultless_classifier_does_not_boast(make_evaluation):
    sentence = headline(make_evaluation(count=20, skill=50.0))
    assert sentence.startswith("It named 20 of 20 images rightly, with no mistake. ")
    assert "expect between 83.9\u202f% and 100.0\u202f%" in sentence


def test_the_mistakes_in_a_sentence(make_evaluation):
    judged = make_evaluation()
    pair = judged.most_confused(1)[0]
    assert mistakes(judged).endswith(f"{pair.count} images of “{pair.true}” taken for “{pair.predicted}”.")
    assert mistakes(make_evaluation(skill=50.0)) == "There is no mistake among these images."


def test_calibration_in_a_sentence(make_evaluation):
    assert calibration(make_evaluation(count=3000, skill=0.0)).startswith("It is too sure of itself.")
    assert calibration(make_evaluation(count=200, skill=50.0)).startswith("Its confidence can be believed.")


@pytest.mark.parametrize(
    ("low", "high"), [(0.937, 0.9462), (0.0, 0.79), (0.2, 1.0), (0.99991, 1.0), (0.5, 0.5), (0.0, 1.0)]
)
def test_scales_hold_their_interval_between_round_ends(low, high):
    scale = scale_around(Interval(low, high))
    assert 0 <= scale.low <= low <= high <= scale.high <= 1
    assert 2 <= len(scale.ticks) <= 7
    texts = [f"{100 * tick:.{scale.digits}f}" for tick in scale.ticks]
    assert len(set(texts)) == len(texts)
    assert (scale.at(scale.low), scale.at(scale.high)) == (0.0, 100.0)


@pytest.mark.parametrize(("epochs", "drawn"), [(1, False), (2, False), (3, True)])
def test_so_few_epochs_that_a_chart_is_a_straight_line_are_not_drawn(page, epochs, drawn):
    rows = [{"epoch": n + 1, "loss": 1.0, "accuracy": 0.8, "val_loss": 1.0, "val_accuracy": 0.9} for n in range(epochs)]
    text = page(history=rows)
    assert ('id="curve-loss"' in text) is drawn
    assert ("Validation is above training" in text) is (epochs > 1)
    assert ("So few epochs give no curve to read" in text) is (epochs == 2)
