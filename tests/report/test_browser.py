"""The page in a real browser: what a click, a key and a hostile class name do."""

import json
import re

import numpy as np
import pytest

from glyphnet.data import Finding

from ..browsing import wait_until

pytestmark = pytest.mark.slow

HISTORY = [
    {
        "epoch": epoch,
        "loss": 1 / epoch,
        "accuracy": 1 - 0.5 / epoch,
        "val_loss": 1 / epoch + 0.1,
        "val_accuracy": 0.9 - 0.4 / epoch,
        "lr": 0.1 / epoch,
    }
    for epoch in range(1, 11)
]


def shown(page):
    return page.eval_on_selector_all(".tile", "tiles => tiles.map(tile => tile.dataset.name)")


def expected(judged, true, predicted):
    """The names of a cell's images, the surest first."""
    rows = np.flatnonzero((judged.labels == true) & (judged.predictions == predicted))
    return [judged.names[row] for row in rows[np.argsort(-judged.confidence[rows], kind="stable")]]


def cell(true, predicted):
    return f'.cell[data-row="{true}"][data-column="{predicted}"]'


@pytest.fixture(scope="module")
def judged(make_evaluation):
    return make_evaluation()


def test_a_click_on_a_cell_shows_its_images_and_no_others(open_report, judged):
    page = open_report(judged).page
    pair = judged.most_confused(1)[0]
    page.click(cell(pair.true, pair.predicted))
    wait_until(page, f"document.querySelectorAll('.tile').length === {pair.count}")
    assert shown(page) == expected(judged, pair.true, pair.predicted)
    title = f"“{pair.true}” taken for “{pair.predicted}” · {pair.count} images"
    assert page.inner_text("#gallery-title") == title
    first = page.get_attribute(".tile", "aria-label")
    row = judged.names.index(shown(page)[0])
    assert first.startswith(f"true {pair.true}, predicted {pair.predicted}, {100 * judged.confidence[row]:.1f}\u202f%")


def test_a_cell_with_many_images_shows_all_of_them_in_the_end(open_report, make_evaluation):
    judged = make_evaluation(count=400, classes=("a", "b"))
    page = open_report(judged).page
    page.click(cell(0, 0))
    page.locator("#more").wait_for()
    while page.is_visible("#more"):
        page.click("#more")
    assert len(shown(page)) > 100
    assert shown(page) == expected(judged, 0, 0)


def test_the_matrix_is_one_tab_stop_with_arrow_keys_and_enter(open_report, judged):
    page = open_report(judged).page
    page.focus(cell(0, 0))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    place = page.evaluate("[document.activeElement.dataset.row, document.activeElement.dataset.column].map(Number)")
    assert place[0] >= 1
    assert place[1] >= 1
    before = page.inner_text("#gallery-title")
    page.keyboard.press("Enter")
    wait_until(page, f"document.getElementById('gallery-title').textContent !== {json.dumps(before)}")
    assert page.evaluate("location.hash") == f"#true={place[0]}&predicted={place[1]}"
    assert shown(page)[:30] == expected(judged, *place)[:30]
    assert page.locator('.cell[tabindex="0"]').count() == 1
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"


def test_the_keyboard_alone_opens_an_image_goes_on_and_closes_it(open_report, judged):
    page = open_report(judged).page
    page.focus(".tile >> nth=1")
    page.keyboard.press("Enter")
    assert page.inner_text("#viewer-place").startswith("2 of ")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#viewer-place").startswith("3 of ")
    name = shown(page)[2]
    assert name in page.inner_text("#viewer-about")
    page.keyboard.press("Escape")
    assert not page.is_visible("#viewer")
    assert page.evaluate("document.activeElement.dataset.name") == shown(page)[1]


NAME_OF_FOCUS = """() => {
    const element = document.activeElement;
    return element.id || element.name || element.getAttribute("class") || element.tagName;
}"""


def test_everything_can_be_reached_by_tab(open_report, judged):
    """Each Tab moves on, and every kind of control is passed on the way round."""
    page = open_report(judged, history=HISTORY, command="glyphnet train").page
    passed = set()
    for _ in range(150):
        page.keyboard.press("Tab")
        passed.add(page.evaluate(NAME_OF_FOCUS))
    for wanted in ("theme", "chart", "unit", "cell right", "tile", "true", "order", "more", "command"):
        assert wanted in passed


def test_the_large_view_shows_the_very_pixels_and_the_probabilities(open_report, judged):
    page = open_report(judged).page
    row = int(judged.top_losses(1)[0])
    page.click(f'.tile[data-name="{judged.names[row]}"]')
    pixels = page.evaluate(
        """() => {
            const canvas = document.getElementById("viewer-image");
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return [...data].filter((_, i) => i % 4 === 0);
        }"""
    )
    np.testing.assert_array_equal(pixels, judged.images[row].ravel())
    names = page.eval_on_selector_all("#viewer-bars .name", "all => all.map(one => one.textContent)")
    assert names == [str(k) for k in np.argsort(-judged.probabilities[row], kind="stable")]
    assert page.inner_text("#viewer-bars .true .name") == str(judged.labels[row])
    assert page.inner_text("#viewer-bars .taken .name") == str(judged.predictions[row])


def test_the_worst_mistakes_come_first_and_the_least_sure_are_a_click_away(open_report, judged):
    page = open_report(judged).page
    worst = [row for row in judged.top_losses(400) if not judged.correct[row]]
    assert shown(page) == [judged.names[row] for row in worst[:30]]
    page.click(".shortcuts >> text=Least sure")
    wait_until(page, "document.getElementById('gallery-title').textContent.startsWith('Least sure')")
    assert shown(page) == [judged.names[row] for row in judged.least_sure(30)]


def test_the_filters_show_what_they_say(open_report, judged):
    page = open_report(judged).page
    page.select_option("select[name=true]", "3")
    page.select_option("select[name=only]", "wrong")
    wait_until(page, "document.getElementById('gallery-title').textContent.startsWith('Mistakes on “3”')")
    assert "true=3" in page.evaluate("location.hash")
    wanted = np.flatnonzero((judged.labels == 3) & ~judged.correct)
    assert sorted(shown(page)) == sorted(judged.names[row] for row in wanted)
    assert page.inner_text("#gallery-title") == f"Mistakes on “3” · {len(wanted)} images"


def test_a_link_of_the_most_confused_pairs_goes_to_the_same_images(open_report, judged):
    page = open_report(judged).page
    pair = judged.most_confused(1)[0]
    page.click(".pairs a")
    wait_until(page, f"document.querySelectorAll('.tile').length === {pair.count}")
    assert shown(page) == expected(judged, pair.true, pair.predicted)
    assert page.get_attribute(cell(pair.true, pair.predicted), "aria-pressed") == "true"


def test_the_switch_turns_counts_into_shares_of_the_row(open_report, judged):
    page = open_report(judged).page
    matrix = judged.confusion_matrix
    assert page.inner_text(cell(2, 2)) == str(matrix[2, 2])
    page.check("input[value=share]", force=True)
    assert page.inner_text(cell(2, 2)) == f"{100 * matrix[2, 2] / matrix[2].sum():.0f}"


def test_an_address_opens_the_page_at_these_images(open_report, judged):
    pair = judged.most_confused(1)[0]
    page = open_report(judged, address=f"#true={pair.true}&predicted={pair.predicted}").page
    assert shown(page) == expected(judged, pair.true, pair.predicted)


@pytest.mark.parametrize("address", ["#true=99&predicted=-1", "#order=constructor&only=toString", "#true=x", "#%00"])
def test_a_wrong_address_harms_nothing(open_report, judged, address):
    opened = open_report(judged, address=address)
    assert shown(opened.page)
    assert opened.console == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_said_asked_for_or_too_wide(open_report, judged, scheme, width):
    """No message in the console, no request but for the file itself, no scrolling sideways."""
    opened = open_report(judged, scheme=scheme, width=width, history=HISTORY, command="x " * 300)
    opened.page.click(".cell >> nth=0")
    opened.page.click(".tile >> nth=0")
    assert opened.console == []
    assert len([url for url in opened.requests if not url.startswith("data:")]) == 1
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width


def brightness(page, selector, what):
    colour = page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{what}")
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


def test_dark_is_dark_light_is_light_and_the_button_overrules_the_system(open_report, judged):
    light = open_report(judged, scheme="light").page
    dark = open_report(judged, scheme="dark").page
    assert brightness(light, "body", "backgroundColor") > 200 > 100 > brightness(light, "body", "color")
    assert brightness(dark, "body", "backgroundColor") < 60 < 150 < brightness(dark, "body", "color")
    dark.click("#theme")
    assert dark.get_attribute("#theme", "aria-label") == "Colours: Light"
    assert brightness(dark, "body", "backgroundColor") > 200
    dark.click("#theme")
    dark.click("#theme")
    assert dark.get_attribute("#theme", "aria-label") == "Colours: Auto"
    assert brightness(dark, "body", "backgroundColor") < 60


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "{{ 7*7 }}\"'&amp;<!--",
)


def test_hostile_names_stay_text(open_report, make_evaluation):
    judged = make_evaluation(count=60, classes=HOSTILE, skill=1.0)
    judged.names[:] = [f'<b onclick="alert(3)">{row}</b>"\udcff\u2028' for row in range(60)]
    sentence = "<script>alert(4)</script>"
    opened = open_report(
        judged, findings=[Finding("reading", sentence)], command="<i>", recipe={"<u>": "<s>"}, provenance={"a": "</dd>"}
    )
    page = opened.page
    alerts = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    page.click(".cell >> nth=1")
    page.click(".tile >> nth=0")
    assert alerts == []
    assert opened.console == []
    assert page.locator("img:not(.sheet)").count() == 0
    assert page.locator("script").count() == 2
    assert page.locator("body b[onclick], body i:not(.legend i), body u, body s").count() == 0
    rows = page.eval_on_selector_all("#class-table tbody th", "all => all.map(one => one.textContent)")
    assert rows == list(HOSTILE)
    heads = page.eval_on_selector_all(".matrix tbody th", "all => all.map(one => one.textContent)")
    assert heads == list(HOSTILE)
    assert sentence in page.inner_text(".warnings")


def test_the_table_of_classes_is_sorted_by_a_click(open_report, judged):
    page = open_report(judged).page
    page.click("#class-table thead button >> nth=2")
    recalls = [scores.recall.value for scores in judged.classification_report.values()]
    rows = page.eval_on_selector_all("#class-table tbody th", "all => all.map(one => Number(one.textContent))")
    assert rows == list(np.argsort(recalls, kind="stable"))
    assert page.get_attribute("#class-table thead th >> nth=2", "aria-sort") == "ascending"


def test_the_learning_curves_mark_the_best_epoch_and_tell_every_value(open_report, judged):
    page = open_report(judged, history=HISTORY, best_epoch=7).page
    assert page.text_content("#curve-loss .best-name") == "best: epoch 7"
    assert page.inner_text("#curve-loss .legend").split() == ["training", "0.1429", "validation", "0.2429"]
    page.focus("#curve-loss svg")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#curve-loss figcaption .sure") == "epoch 6"
    assert "0.1667" in page.inner_text("#curve-loss .legend")
    assert page.is_visible("#curve-lr svg")


def test_without_history_there_is_no_section_of_learning(open_report, judged):
    page = open_report(judged).page
    assert page.locator("#learning").count() == 0
    assert page.locator("#making").count() == 0


@pytest.mark.parametrize(
    "make",
    [
        {"count": 1, "classes": ("cat", "dog")},
        {"count": 40, "classes": ("cat", "dog"), "skill": 50.0},
        {"count": 300, "classes": [f"a long class name {k}" for k in range(40)], "shape": (9, 20, 3)},
    ],
    ids=["one image", "no mistake", "forty classes in colour"],
)
def test_odd_evaluations_open_without_a_word(open_report, make_evaluation, make):
    opened = open_report(make_evaluation(**make), history=HISTORY[:2])
    assert opened.console == []
    assert shown(opened.page)


def test_ten_thousand_images_open(open_report, make_evaluation):
    judged = make_evaluation(count=10_000, shape=(28, 28, 1))
    # It takes about a second. The bound only tells a page that hangs from one that a busy machine slows down.
    assert open_report(judged).page.evaluate("performance.now()") < 15_000
