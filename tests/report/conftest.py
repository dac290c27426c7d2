"""A real browser for the pages, and evaluations to report."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from glyphnet.evaluation import Evaluation
from glyphnet.report import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def make_evaluation(count=400, classes=tuple("0123456789"), shape=(12, 10, 1), seed=0, skill=3.0):
    """A classifier of some skill on random images; every image is different."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(len(classes), size=count)
    logits = generator.normal(size=(count, len(classes)))
    logits[np.arange(count), labels] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Evaluation(
        labels=labels.astype(np.int64),
        probabilities=probabilities.astype(np.float32),
        classes=tuple(classes),
        names=[f"test/{row:05}" for row in range(count)],
        images=generator.integers(256, size=(count, *shape), dtype=np.uint8),
        data="random, test part",
    )


@pytest.fixture(name="make_evaluation", scope="session")
def make_evaluation_fixture():
    return make_evaluation


@dataclass
class Opened:
    """A page in the browser, and what it said and asked for meanwhile."""

    page: object
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser():
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser on this machine: install one of {', '.join(BROWSERS)}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def open_report(browser, tmp_path: Path):
    """Write a report and open it: ``open_report(evaluation, scheme="dark", width=390, **parts)``."""
    contexts = []

    def opened(evaluation, *, scheme="light", width=1280, address="", **parts):
        path = tmp_path / f"report-{len(contexts)}.html"
        write_report(path, evaluation, **parts)
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        context.set_default_timeout(10_000)  # milliseconds
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.on("console", lambda message: found.console.append(message.text))
        found.page.on("pageerror", lambda error: found.console.append(str(error)))
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.goto(path.as_uri() + address)
        found.page.wait_for_selector("html[data-ready]")
        return found

    yield opened
    for context in contexts:
        context.close()
