"""The studio's page used as a person does: ten classes of ten drawn digits, trained, and asked for 1,000 others.

For both engines: the server of `glyphnet studio`, and the page's own in one offline file. Digits are drawn with a
mouse, stroke by stroke, in the styles of tests/pages/hand.py; no two of the 1,000 other drawings are alike.

    python benchmarks/studio_page.py [--each 100]
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from glyphnet.pages.playground import sets_here
from glyphnet.pages.studio import studio_page

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.conftest import BROWSERS, FLAGS
from tests.pages.studio_use import accuracy, draw_classes, train
from tests.processes import started

DIGITS = "0123456789"


def used(browser: Any, address: str, each: int) -> tuple[float, float, float]:
    """Seconds until all is drawn and until the model is there, from opening the page; accuracy on other drawings."""
    page = browser.new_page()
    page.set_default_timeout(120_000)
    began, generator = time.perf_counter(), random.Random(1)
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    draw_classes(page, DIGITS, 10, generator)
    drawn = time.perf_counter() - began
    run = train(page)
    trained = time.perf_counter() - began
    share = accuracy(page, run, DIGITS, each, generator)
    page.close()
    return drawn, trained, share


def main() -> None:
    """Print a line for each engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=100, help="other drawings of each digit")
    each = parser.parse_args().each
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)))
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        started("-m", "glyphnet", "studio", Path(folder) / "pictures", "--no-open") as process,
    ):
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found is not None
        offline = Path(folder) / "studio.html"
        offline.write_text(studio_page("page", sets_here(["digits"])), "utf-8")
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        for name, address in (("server", found[0]), ("page", offline.as_uri())):
            drawn, trained, share = used(browser, address, each)
            print(
                f"{name}: 100 drawings after {drawn:.1f} s, trained after {trained:.1f} s, "
                f"{100 * share:.1f} % of {10 * each:,} other drawings right"
            )
        browser.close()


if __name__ == "__main__":
    main()
