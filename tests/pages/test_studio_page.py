"""The studio in a real browser, on the page's own engine: pictures in, a model out, and nothing leaves the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from glyphnet.pages.playground import sets_here
from glyphnet.pages.studio import studio_page
from glyphnet.templates import read

from ..browsing import faults, wait_until
from ..javascript import PACKAGE
from .studio_use import add_class, count, draw

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The offline page, with the digits alone, which every machine has."""
    path = tmp_path_factory.mktemp("studio") / "studio.html"
    path.write_text(studio_page("page", sets_here(["digits"])), "utf-8")
    return path


@pytest.fixture
def studio(written: Path, open_page: Any) -> Any:
    """Open the page: ``studio("#train", width=390)``; each has a browser's profile, and so a database, of its own."""

    def opened(address: str = "", **options: Any) -> Any:
        return open_page(written, address=address, ready="html[data-ready]", **options)

    return opened


def test_pictures_are_drawn_selected_moved_deleted_and_brought_back(studio: Any) -> None:
    opened = studio()
    page = opened.page
    assert faults(page) == []
    add_class(page, "<b>one")
    for place in (0.3, 0.5, 0.7):
        draw(page, [[(place, 0.2), (place + 0.05, 0.8)]])
        page.keyboard.press("Enter")
        wait_until(page, "() => document.querySelector('#add-drawing').disabled")
    count(page, 3)
    page.focus(".grid")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert page.locator(".cell.chosen").count() == 2
    add_class(page, "two")
    count(page, 0)
    page.click(".place:has-text('<b>one')")
    page.focus(".grid")
    page.keyboard.press("Control+a")
    wait_until(page, "() => document.querySelectorAll('.cell.chosen').length === 3")
    page.select_option("#move-to", "two")
    count(page, 0)
    page.click(".place:has-text('two')")
    count(page, 3)
    page.click(".cell >> nth=0")
    page.click("#delete-chosen")
    count(page, 2)
    page.click("#undo")
    count(page, 3)
    page.click("#redo")
    count(page, 2)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.click(".place:has-text('two')")
    count(page, 2)
    assert opened.console == []
    assert all(url.startswith(("file:", "blob:", "data:")) for url in opened.requests)


def test_vendored_modules_have_their_licences_and_are_what_they_say() -> None:
    licences = read("pages/js/vendor/LICENSES.txt")
    files = sorted((PACKAGE / "pages/js/vendor").glob("*.js"))
    assert len(files) == 5
    for file in files:
        version = re.search(r"/\*! \S+ (\S+),", file.read_text("utf-8"))
        assert version is not None
        assert f"{file.name}: " in licences
        assert version[1] in licences
    assert "MIT License" in licences
    assert "Apache License" in licences


@pytest.mark.parametrize("given", [{"engine": "cloud"}, {"engine": "page", "language": "xx"}])
def test_an_unknown_engine_or_language_is_refused_with_those_that_there_are(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"(cloud|xx).*choose one of"):
        studio_page(**given)
