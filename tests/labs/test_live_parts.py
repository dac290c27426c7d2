"""What every live part owes its reader, in a real browser; a new part or lab is tested here with no new test.

What the parts compute is tested in tests/pages/modules/labs.test.js, and against NumPy below.
"""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import ElasticNet, LogisticRegression

from glyphnet.labs import tuning
from glyphnet.labs.lab import VARIANTS
from glyphnet.labs.live_parts import LAB_DATA

from ..browsing import faults, wait_until
from ..javascript import run_module

MOST_BYTES = 3_000_000


@pytest.fixture(params=list(LAB_DATA))
def live_page(request: pytest.FixtureRequest, quick_lab):
    return quick_lab(request.param).page


def state(part) -> tuple[str, str]:
    """Chart (or table) and sentence of a live part."""
    return part.locator(".figure").inner_html(), part.locator(".sentence").inner_text()


def settled(page, part) -> tuple[str, str]:
    """The same, once the worker, where one is at work, has finished."""
    wait_until(page, "() => document.querySelectorAll('.live .figure[aria-busy=true]').length === 0")
    found = state(part)
    assert found[1], "a sentence"
    return found


def turn(control) -> None:
    """Change a control to its other end, as by the keyboard."""
    if control.evaluate("one => one.tagName") == "SELECT":
        at = int(control.input_value())
        control.select_option(str(at + 1 if at == 0 else at - 1))
    elif control.get_attribute("type") == "range":
        control.focus()
        control.press("End" if control.input_value() != control.get_attribute("max") else "Home")
    else:
        control.focus()
        control.press("Enter")


def test_a_guess_opens_a_part_and_every_control_changes_it(live_page, open_page):
    text = live_page.read_text(encoding="utf-8")
    pictures = re.findall(r'"data:image/png;base64,[^"]*"', text)
    drawn = len(pictures) / text.count("<picture>")  # variants of each figure: the tests draw two of four in most labs
    assert len(text) + (len(VARIANTS) / drawn - 1) * sum(map(len, pictures)) <= MOST_BYTES
    opened = open_page(live_page, ready="html[data-live]")
    page = opened.page
    parts = page.locator("section.live:has(.stage)")
    assert parts.count() == int(page.get_attribute("html", "data-live")) > 0
    for number in range(parts.count()):
        part = parts.nth(number)
        name = part.get_attribute("id")
        assert part.locator(".reveal").is_disabled(), f"{name}: first a guess"
        assert not part.locator(".stage").is_visible()
        part.locator("input[type=radio]").first.check()
        part.locator(".reveal").click()
        assert part.locator(".answer").inner_text().startswith(("Right.", "It is “"))
        before = settled(page, part)
        sentences = {before[1]}
        controls = part.locator("[name]:not([type=radio])")
        assert controls.count(), f"{name} has something to touch"
        for place in range(controls.count()):
            turn(controls.nth(place))
            after = settled(page, part)
            assert after[0] != before[0], f"{name}: {controls.nth(place).get_attribute('name')} changes the chart"
            sentences.add(after[1])
            before = after
        assert len(sentences) > 1, f"{name}: the sentence changes with the controls"
    assert opened.console == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:", "blob:"))] == []


FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Two of them: a chart learns of its new width at the end of the first."""


def test_axe_finds_no_serious_fault_in_the_opened_parts_and_text_is_large_enough(live_page, open_page):
    page = open_page(live_page, ready="html[data-live]", bypass_csp=True).page
    parts = page.locator("section.live:has(.stage)")
    for number in range(parts.count()):
        parts.nth(number).locator("input[type=radio]").first.check()
        parts.nth(number).locator(".reveal").click()
        settled(page, parts.nth(number))
    for scheme, width in (("light", 1280), ("dark", 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(FRAMES)
        settled(page, parts.last)
        assert faults(page) == [], (scheme, width)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        sizes = page.evaluate(
            "[...document.querySelectorAll('.live svg text')].map(one => {"
            " const svg = one.ownerSVGElement; const scale = svg.clientWidth / svg.viewBox.baseVal.width;"
            " return scale * parseFloat(getComputedStyle(one).fontSize); })"
        )
        assert min(sizes) >= 11, (scheme, width)


HASTE = """async (part) => {
  let drawn = 0;
  part.querySelector(".reveal").click();
  const [figure, slider] = [part.querySelector(".figure"), part.querySelector("[name=image]")];
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) drawn += [...addedNodes].filter(({ tagName }) => tagName === "svg").length;
  }).observe(figure, { childList: true, subtree: true });
  for (const value of [1, 2, 3, 4, 5, 6, 7]) {
    slider.value = value;
    slider.dispatchEvent(new Event("input"));
  }
  while (figure.hasAttribute("aria-busy")) await new Promise(requestAnimationFrame);
  return drawn;
}"""


def test_of_what_was_asked_for_while_a_network_learned_the_last_is_shown_and_only_that(quick_lab, open_page):
    page = open_page(quick_lab("explanations").page, ready="html[data-live]").page
    part = page.locator("#live-removal")
    part.locator("input[type=radio]").first.check()
    assert part.evaluate(HASTE) == 1
    digit = part.locator("canvas").first.get_attribute("aria-label").split()[2]
    part.locator("[name=image]").press("ArrowLeft")
    part.locator("[name=image]").press("ArrowRight")
    settled(page, part)
    assert part.locator("output").first.inner_text() == "8"
    assert part.locator("canvas").first.get_attribute("aria-label").split()[2] == digit


def test_the_questions_are_scored_and_explained(quick_lab, open_page):
    page = open_page(quick_lab("first-net").page, ready="html[data-live]").page
    questions = json.loads(page.inner_text("#questions") or page.evaluate("document.getElementById('questions').text"))
    assert len(questions) == 7
    fields = page.locator("#quiz fieldset")
    for number, each in enumerate(questions):
        place = each["right"] if number else (each["right"] + 1) % len(each["choices"])
        fields.nth(number).locator("input").nth(place).check()
        fields.nth(number).locator("button").click()
        told = fields.nth(number).locator(".answer").inner_text()
        assert each["because"] in told
        assert told.startswith("Right." if number else "No:")
        assert fields.nth(number).locator("input").first.is_disabled(), "each counts once"
    assert page.inner_text("#score").startswith("6 of 7 right.")


# The formulas of the parts, against NumPy


def test_the_walk_in_the_bowl_is_gradient_descent_with_momentum():
    made = run_module(
        'import { descend } from "./pages/js/labs/descent.js";', "descend(given.rate, given.momentum, 12)",
        {"rate": 0.07, "momentum": 0.6},
    )  # fmt: skip
    place, velocity = np.array([-2, 2.4]), np.zeros(2)
    for shown in made:
        np.testing.assert_allclose(shown, place, atol=1e-12)
        velocity = 0.6 * velocity + np.array([1, 8]) * (place - [2, 1])
        place = place - 0.07 * velocity


def test_the_best_weight_by_formula_is_that_of_least_squares():
    points, best = run_module(
        'import { bestWeight, examples } from "./pages/js/labs/descent.js";',
        "[examples(given), bestWeight(examples(given))]",
        3,
    )
    x, y = np.array(points).T
    np.testing.assert_allclose(best, np.linalg.lstsq(x[:, np.newaxis], y, rcond=None)[0][0])


def test_the_penalised_weights_are_those_of_scikit_learn_and_of_the_closed_form():
    made = run_module(
        'import { penalised, regression } from "./pages/js/labs/fits.js";',
        "(({ x, y }) => ({ x, y, ridge: penalised(x, y, 0, 0.3), both: penalised(x, y, 0.2, 0.1) }))(regression(2))",
        None,
    )
    x, y = np.array(made["x"]), np.array(made["y"])
    ridge = np.linalg.solve(x.T @ x / len(y) + 0.3 * np.eye(8), x.T @ y / len(y))
    np.testing.assert_allclose(made["ridge"], ridge, atol=1e-6)
    net = ElasticNet(alpha=0.3, l1_ratio=2 / 3, fit_intercept=False, tol=1e-10, max_iter=100_000).fit(x, y)
    np.testing.assert_allclose(made["both"], net.coef_, atol=1e-5)


def test_the_straight_line_and_the_sigmoid_are_those_of_numpy_and_scikit_learn():
    points, line, curve = run_module(
        'import { logistic, straight, twoClasses } from "./pages/js/labs/fits.js";',
        "((points) => [points, straight(points), logistic(points)])(twoClasses(given))",
        8,
    )
    x, y = np.array(points).T
    np.testing.assert_allclose(line, np.polyfit(x, y, 1), atol=1e-9)
    fitted = LogisticRegression(C=1e9, tol=1e-10, max_iter=10_000).fit(x[:, np.newaxis], y)
    np.testing.assert_allclose(curve, [fitted.coef_[0, 0], fitted.intercept_[0]], rtol=1e-3)


def test_the_passes_are_those_of_numpy():
    given = {"x": [1.0, 0.0], "target": 1}
    made = run_module(
        'import { FIRST, passes } from "./pages/js/labs/passes.js";',
        "({ first: FIRST, ...passes(FIRST, given.x, given.target) })",
        given,
    )
    first, x = made["first"], np.array(given["x"])
    hidden = expit(np.array(first["w"]) @ x + first["b"])
    y = expit(np.array(first["v"]) @ hidden + first["c"])
    np.testing.assert_allclose([made["y"], made["loss"]], [y, -np.log(y)])
    deltas = (y - 1) * np.array(first["v"]) * hidden * (1 - hidden)
    np.testing.assert_allclose(made["dw"], np.outer(deltas, x))
    np.testing.assert_allclose(made["dv"], (y - 1) * hidden)


def test_the_luck_of_the_best_trial_is_that_of_the_lab():
    made = run_module(
        'import { surplus } from "./pages/js/labs/luck.js";',
        "given.map(([trials, images]) => surplus(trials, images))",
        [[10, 300], [100, 300], [30, 1000]],
    )
    wanted = [tuning.luck(0.9, images, trials) for trials, images in ((10, 300), (100, 300), (30, 1000))]
    np.testing.assert_allclose(made, wanted, atol=0.003)
