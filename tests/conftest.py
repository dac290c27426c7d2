"""What tests of several packages share: one real browser for all pages. And which files several workers begin with."""

from __future__ import annotations

import gc
import os
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from . import forking

POSIX_ONLY = re.compile(r"^\s*(import|from) (fcntl|grp|pty|pwd|resource|termios)\b", re.MULTILINE)


def files_for_posix(folder: Path) -> list[str]:
    """Files of tests that import what exists on POSIX alone: about terminals, limits of memory and signals."""
    return sorted(str(path) for path in folder.rglob("test_*.py") if POSIX_ONLY.search(path.read_text("utf-8")))


collect_ignore = files_for_posix(Path(__file__).parent) if os.name == "nt" else []


def pytest_report_header() -> str:
    return f"Not run on Windows: {len(collect_ignore)} files of tests about POSIX." if collect_ignore else ""


BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# How long an example takes on a machine that others use says nothing of it.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # of pytest-xdist: by number of tests, which says nothing of their time
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a shell's background job: what tests start inherits it
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a worker the files with slow tests come first: none is left alone with one at the end."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Thousands of tests and all modules stay until the end: collecting garbage need not look at them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def fewer_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set "digits" has its first 500 images only, in this process: for tests that only need some data."""
    from glyphnet.data import named

    images, labels, classes = named.read_digits()
    monkeypatch.setattr(named, "read_digits", lambda: (images[:500], labels[:500], classes))


@pytest.fixture(scope="module")
def little_ink() -> Iterator[None]:
    """After a training in this process the drawings are looked at in a few images only.

    That looks at hundreds, and takes longer than most trainings here: for tests that do not ask how drawings are read.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, count in {"CLEAN": 20, "CHANGED": 2, "FEW": 10}.items():
            patch.setattr(f"glyphnet.evaluation.normalizing.{name}", count)
        for name in ("QUALITY_SAMPLE", "STRIPED_SAMPLE"):
            patch.setattr(f"glyphnet.data.ink.measure.{name}", 6)
        yield


@pytest.fixture(scope="module")
def forked_children() -> Iterator[None]:
    """What GlyphNet starts in this process need not import PyTorch again: see `forking`."""
    with forking.forked_children():
        yield


@dataclass
class Opened:
    """A page in the browser, and what it said and asked for meanwhile."""

    page: Any
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser():
    """Chromium; only one Playwright can run in a process, so all tests use this one."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser on this machine: install one of {', '.join(BROWSERS)}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Open a file or an address: ``open_page(path, scheme="dark", width=390, address="#part", ready="html")``.

    ``ready`` is a selector to wait for; more arguments are the browser context's (``bypass_csp=True``).
    """
    contexts = []

    def opened(place: Path | str, *, scheme="light", width=1280, address="", ready=None, **context_options) -> Opened:
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, **context_options)
        context.set_default_timeout(10_000)  # milliseconds
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.on("console", lambda message: found.console.append(message.text))
        found.page.on("pageerror", lambda error: found.console.append(str(error)))
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.goto((place.as_uri() if isinstance(place, Path) else place) + address)
        if ready:
            found.page.wait_for_selector(ready)
        return found

    yield opened
    for context in contexts:
        context.close()
