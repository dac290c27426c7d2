"""What every lab owes its reader; a new row in LABS is tested here with no new test."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from glyphnet.cli import app
from glyphnet.labs import LABS, load_lab

from .conftest import DRAWN_IN_ALL_VARIANTS


def numbers_of(folder):
    return json.loads(folder.numbers.read_text(encoding="utf-8"))


def test_a_page_on_a_phone_is_complete_in_itself(any_lab, open_page):
    name, folder = any_lab
    opened = open_page(folder.page, width=390)
    page = opened.page
    pictures = page.evaluate(
        "[...document.images].map(i => ({wide: i.complete ? i.naturalWidth : 0, alt: i.alt.trim()}))"
    )
    assert pictures, f"{name} shows no picture"
    assert all(picture["wide"] > 100 for picture in pictures)
    assert all(len(picture["alt"]) > 20 for picture in pictures), "an alternative text states what is visible"
    assert len({picture["alt"] for picture in pictures}) == len(pictures) == len(list(folder.path.glob("*.png")))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing scrolls sideways"
    questions = page.locator("details")
    assert questions.count() == 3
    for index in range(3):
        answer = questions.nth(index).locator("p")
        assert not answer.is_visible()
        questions.nth(index).locator("summary").press("Enter")
        assert answer.is_visible()
    assert opened.console == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []


def test_numbers_have_real_minus_signs(any_lab):
    text = re.sub(
        r"<(script|style|pre|code)\b.*?</\1>", "", any_lab[1].page.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    text = re.sub(r'"data:image/png;base64,[^"]*"', "", text)
    assert re.findall(r".{20}[\s>(=·]-\d.{20}", text) == []


def test_its_answers_follow_from_the_numbers(any_lab, html_of):
    name, folder = any_lab
    numbers = numbers_of(folder)["numbers"]
    assert html_of(name, numbers).strip() in folder.page.read_text(encoding="utf-8")
    said, otherwise = (
        re.findall(r"<summary>(.*?)</summary>(.*?)</details>", html_of(name, some), re.DOTALL)
        for some in (numbers, bent(numbers))
    )
    assert len(said) == 3
    for (question, answer), (_, other) in zip(said, otherwise, strict=True):
        assert answer != other, f"{name}: the answer to {question!r} does not depend on what was measured"


def test_numbers_json_says_how_it_was_made(any_lab):
    name, folder = any_lab
    read = numbers_of(folder)
    assert read["lab"] == name
    assert read["made"]["settings"]["quick"] is True
    assert read["made"]["command"] == "the command"
    assert {"seconds", "hardware", "versions", "date"} <= set(read["made"])


def test_every_lab_is_listed_with_what_it_can_be_asked():
    listed = run("lab").stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(LABS)
    first = next(iter(LABS))
    options = run("lab", first, "--options").stdout
    for name, field in load_lab(first).settings.model_fields.items():
        assert f"--{name.replace('_', '-')} " in options
        assert field.description in options


def test_a_near_miss_of_a_name_and_of_an_option_is_told():
    name = next(iter(LABS))
    wrong = run("lab", name[:-1] + "_")
    assert wrong.exit_code == 1
    assert f'did you mean "{name}"?' in wrong.stderr
    wrong = run("lab", name, "--quik")
    assert wrong.exit_code == 1
    assert 'unknown setting "quik"; did you mean "quick"?' in wrong.stderr


def bent(value):
    """The same numbers, all of them others: what follows from them must change."""
    if isinstance(value, dict):
        return {key: bent(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [bent(inner) for inner in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return value * 0.5 + 1 if isinstance(value, float) else value + 3


def run(*words):
    return CliRunner().invoke(app, words)


@pytest.mark.slow
def test_charts_follow_the_page_s_colours_and_width(quick_lab, open_page):
    taken = set()
    for scheme in ("light", "dark"):
        for width in (1280, 390):
            page = open_page(quick_lab(DRAWN_IN_ALL_VARIANTS).page, scheme=scheme, width=width).page
            page.locator("figure img").first.scroll_into_view_if_needed()
            source, wide, shown = page.evaluate(
                "() => { const img = document.querySelector('figure img'); "
                "return [img.currentSrc, img.naturalWidth, img.clientWidth]; }"
            )
            taken.add(source)
            if width == 390:  # text of ten points, 144 dots an inch
                assert 10 / 72 * 144 * shown / wide >= 11
    assert len(taken) == 4
