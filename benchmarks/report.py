"""Measures the report: seconds of its parts, size of the file, and the time that Chromium takes to open it.

    python benchmarks/report.py [--runs 3] [--record]

A classifier is trained on MNIST by the preset "fast" (not counted), and its 10,000 test images are judged and reported,
as the end of a training does it. Opening is measured where Chromium and Playwright are there: from the navigation to
the moment at which everything on the page is drawn.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _results import arguments_parser, publish

from glyphnet import Splits, load, train
from glyphnet.classifier import Classifier
from glyphnet.evaluation import Evaluation, evaluate
from glyphnet.report import page
from glyphnet.runs import RunFolder
from glyphnet.runs.conclusion import suspects, write_judgement

PARTS = {
    "make_sheet": "sheet of images",
    "saliency_sheet": "saliency maps",
    "project": "features, PCA, t-SNE",
    "view_data": "data, duplicates",
    "_payload": "page's data",
}
"""Functions that `glyphnet.report.page` calls, and what they are called in the table."""

Seconds = dict[str, list[float]]


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    splits = load("mnist")
    classifier = train(splits, preset="fast").classifier
    assert classifier is not None
    seconds: Seconds = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.runs):
            size = judge_once(classifier, splits, Path(folder), seconds)
            seconds["opening in Chromium"] += opening(Path(folder) / "report.html")
    publish("report", table(seconds, size), recorded=arguments.record)


def judge_once(classifier: Classifier, splits: Splits, folder: Path, seconds: Seconds) -> int:
    """Predict, judge and report; the report's bytes."""
    with timed(seconds, "prediction"):
        evaluation = evaluate(classifier, splits.test, data=f"{splits.name}, test part")
    with timed(seconds, "everything beyond prediction"):
        with timed(seconds, "figures"):
            figures(evaluation)
        with timed(seconds, "suspected labels"):
            suspects(evaluation, None)
        with parts_timed(seconds):
            write_judgement(
                RunFolder(folder), classifier, evaluation,
                history=None, findings=(), command="", provenance={}, splits=splits,
            )  # fmt: skip
    return (folder / "report.html").stat().st_size


def figures(evaluation: Evaluation) -> None:
    """The dear ones; they are kept, so that the report does not compute them again."""
    for name in ("figures", "classification_report", "coverage", "uncalibrated", "reliability"):
        getattr(evaluation, name)


@contextmanager
def timed(seconds: Seconds, name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[name].append(time.perf_counter() - began)


@contextmanager
def parts_timed(seconds: Seconds) -> Iterator[None]:
    """The functions of `PARTS` with a clock around each."""
    own: dict[str, Callable[..., Any]] = {name: getattr(page, name) for name in PARTS}

    def with_clock(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            with timed(seconds, PARTS[name]):
                return own[name](*arguments, **named)

        return call

    try:
        for name in PARTS:
            setattr(page, name, with_clock(name))
        yield
    finally:
        for name, function in own.items():
            setattr(page, name, function)


def opening(report: Path) -> list[float]:
    """Seconds until everything is drawn; none without a browser."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), "")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = ""
    if not path:
        print("No Chromium with Playwright here: opening is not measured.", file=sys.stderr)
        return []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.goto(report.as_uri())
        tab.wait_for_selector("html[data-ready]")
        took = float(tab.evaluate("performance.now()")) / 1000
        browser.close()
    return [took]


def table(seconds: Seconds, size: int) -> list[str]:
    """A row a part, the dearest first within the whole."""
    totals = ["prediction", "everything beyond prediction", "opening in Chromium"]
    inner = sorted((name for name in seconds if name not in totals), key=lambda name: -statistics.median(seconds[name]))
    goals = {"everything beyond prediction": "at most 15", "opening in Chromium": "under 2"}
    lines = ["| part | seconds, median (most) | goal |", "|---|---|---|"]
    for name in [totals[0], totals[1], *inner, totals[2]]:
        if taken := seconds[name]:
            title = f"– {name}" if name in inner else name
            lines.append(f"| {title} | {statistics.median(taken):.2f} ({max(taken):.2f}) | {goals.get(name, '')} |")
    return [*lines, "", f"Size of report.html: {size / 1e6:.2f} MB (goal: at most 15 MB)."]


if __name__ == "__main__":
    main()
