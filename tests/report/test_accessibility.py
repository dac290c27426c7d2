"""axe-core finds nothing serious; the keyboard reaches everything; nothing is wider than a phone."""

import numpy as np
import pytest

from glyphnet.data import Finding
from glyphnet.report import SuspectPart, write_report

from ..browsing import faults

pytestmark = pytest.mark.slow

HISTORY = [
    {"epoch": epoch, "loss": 1 / epoch, "val_loss": 1.1 / epoch, "accuracy": 0.8, "val_accuracy": 0.7, "lr": 0.1}
    for epoch in range(1, 6)
]


@pytest.fixture(scope="module")
def everything(digits, tmp_path_factory):
    """A report with all that a report can have, suspects in two parts among it."""
    issues = digits.evaluation.label_issues()
    rows = np.arange(7)
    validation, given = digits.splits.validation, digits.splits.validation.labels[:7]
    made = type(issues)(rows, given, (given + 1) % 10, np.linspace(1, 0.5, 7), len(validation))
    path = tmp_path_factory.mktemp("everything") / "report.html"
    write_report(
        path,
        digits.evaluation,
        classifier=digits.classifier,
        splits=digits.splits,
        history=HISTORY,
        suspects=[
            SuspectPart("validation", validation, made),
            SuspectPart("test", digits.splits.test, type(issues)(*(getattr(made, name)[:2] for name in (
                "indices", "given", "suggested", "scores")), len(digits.splits.test))),
        ],
        findings=[Finding("made", "Something to know.")],
        command="glyphnet train digits",
        provenance={"seed": 0, "hardware": "a machine"},
    )  # fmt: skip
    return path


@pytest.fixture
def open_everything(open_page, everything):
    return lambda **options: open_page(everything, ready="html[data-ready]", **options)


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_serious_fault(open_everything, width):
    # The policy forbids foreign scripts, and axe-core is one: only this test's context lets it in.
    opened = open_everything(width=width, bypass_csp=True)
    page = opened.page
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert faults(page) == [], scheme
    page.click(".tile >> nth=0")
    page.check("input[name=looks][value=both]", force=True)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        assert faults(page) == [], scheme
    assert opened.console == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_page(open_everything, width):
    page = open_everything(width=width).page
    assert page.evaluate("document.documentElement.scrollWidth") == width
    wide = page.evaluate(
        """() => [...document.querySelectorAll("main *")].filter((element) => {
            const box = element.getBoundingClientRect();
            return box.width && box.right > innerWidth + 16 && !element.closest(".scroll, .unseen");
        }).map((element) => element.outerHTML.slice(0, 120))"""
    )
    assert wide == []


def test_the_keyboard_reaches_every_control_in_the_order_of_the_page(open_everything):
    page = open_everything().page
    wanted = page.evaluate(
        """() => {
            const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex]")];
            const stop = (element) => element.tabIndex >= 0 && !element.disabled && element.checkVisibility();
            const stops = all.filter(stop).filter((element) => {
                // Of radio buttons that belong together one is a stop: the checked, or the first.
                if (element.type !== "radio") return true;
                const group = [...document.getElementsByName(element.name)];
                return element === (group.find((one) => one.checked) ?? group[0]);
            });
            stops.forEach((element, i) => (element.dataset.stop = i));
            return stops.length;
        }"""
    )
    assert wanted > 100
    passed = []
    for _ in range(wanted):
        page.keyboard.press("Tab")
        passed.append(page.evaluate("Number(document.activeElement.dataset.stop ?? -1)"))
    assert passed == list(range(wanted))


def test_what_is_printed_has_no_controls_and_is_not_wider(open_everything):
    page = open_everything().page
    page.emulate_media(media="print")
    assert not page.is_visible(".bar")
    assert not page.is_visible(".choices >> nth=0")
    assert page.is_visible("#labels .card >> nth=0")
    assert page.evaluate("document.documentElement.scrollWidth") == 1280
