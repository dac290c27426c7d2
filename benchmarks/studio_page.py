"""The studio's page used as a person does: ten classes of ten drawn digits, trained, and asked for 1,000 others.

For both engines: the server of `glyphnet studio`, and the page's own in one offline file. Digits are drawn with a
mouse, stroke by stroke, in the styles of tests/pages/hand.py; no two of the 1,000 other drawings are alike. With the
server, then, pictures are labelled by keys as fast as the page asks, and a class of 50,000 is scrolled through.

    python benchmarks/studio_page.py [--each 100] [--labels 120] [--many 50000]
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from glyphnet.data import load
from glyphnet.pages.playground import sets_here
from glyphnet.pages.studio import studio_page

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.studio import megabytes
from tests.browsing import wait_until
from tests.conftest import BROWSERS, FLAGS
from tests.pages.studio_use import accuracy, draw_classes, drop, png, train, zipped

DIGITS = "0123456789"
STOPS = 60  # places where the scrolling rests until all that can be seen is there

SHOWN = """() => [...document.querySelectorAll(".cell")].length > 0 &&
  [...document.querySelectorAll(".cell")].every((cell) => cell.querySelector("img")?.complete)"""

FRAMES = """async (seconds) => {
  const grid = document.querySelector(".grid");
  const [began, times] = [performance.now(), []];
  let last = began;
  while (last - began < 1000 * seconds) {
    grid.scrollTop += 40;
    const now = await new Promise((resolve) => requestAnimationFrame(() => resolve(performance.now())));
    times.push(now - last);
    last = now;
  }
  return times;
}"""


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, int]]:
    """Address and process of a studio."""
    command = [sys.executable, "-m", "glyphnet", "studio", str(folder), "--no-open"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found is not None
        yield found[0], process.pid
        process.terminate()


def opened(browser: Any, address: str) -> Any:
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    return page


def used(browser: Any, address: str, each: int) -> tuple[float, float, float, Any]:
    """Seconds until all is drawn and until the model is there, from opening the page; accuracy on other drawings."""
    began, generator = time.perf_counter(), random.Random(1)
    page = opened(browser, address)
    draw_classes(page, DIGITS, 10, generator)
    drawn = time.perf_counter() - began
    run = train(page)
    trained = time.perf_counter() - began
    share = accuracy(page, run, DIGITS, each, generator)
    return drawn, trained, share, page


def labelled(page: Any, count: int) -> float:
    """Decisions a minute, by a hand that needs no time to think."""
    images = load("digits").train.images[:count].squeeze(-1)
    page.click("a[href='#collect']")
    drop(page, "some.zip", zipped({f"unlabelled/{number:03}.png": png(each) for number, each in enumerate(images)}))
    wait_until(page, f"() => studio.engine.state.value.tray === {count}")
    page.click("a[href='#label']")
    page.uncheck("#retrains")
    page.wait_for_selector("#asked")
    began = time.perf_counter()
    for number in range(count):
        id = page.get_attribute("#asked", "data-id")
        page.keyboard.press(str(number % 10))
        wait_until(page, f"() => document.querySelector('#asked')?.dataset.id !== {json.dumps(id)}")
    wait_until(page, "() => studio.engine.state.value.tray === 0")
    return 60 * count / (time.perf_counter() - began)


def scrolled(browser: Any, folder: Path, count: int) -> None:
    """Print how a class of very many pictures is looked through."""
    generator = np.random.default_rng(0)
    (folder / "all").mkdir(parents=True)
    for number in range(count):
        picture = Image.fromarray(generator.integers(0, 256, (28, 28), dtype=np.uint8))
        picture.save(folder / "all" / f"{number:06d}.png", compress_level=1)
    with served(folder) as (address, process):
        began = time.perf_counter()
        page = opened(browser, address)
        wait_until(page, SHOWN)
        first = time.perf_counter() - began
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable")
        height = page.evaluate("document.querySelector('.grid').scrollHeight")
        stops = []
        for place in np.linspace(0, height, STOPS):
            began = time.perf_counter()
            page.evaluate(f"document.querySelector('.grid').scrollTop = {place}")
            time.sleep(0.02)  # for the grid to hear of it
            wait_until(page, SHOWN)
            stops.append(time.perf_counter() - began)
        page.evaluate("document.querySelector('.grid').scrollTop = 0")
        frames = page.evaluate(FRAMES, 4)
        metrics = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
        print(
            f"{count:,} pictures: first ones after {first:.2f} s; at {STOPS} places all shown after "
            f"{1000 * np.median(stops):.0f} ms (median), {1000 * max(stops):.0f} ms (slowest); a frame takes "
            f"{np.median(frames):.0f} ms (median), {np.quantile(frames, 0.95):.0f} ms (95 %); "
            f"{metrics['JSHeapUsedSize'] / 1e6:.0f} MB of JavaScript, {metrics['Nodes']:.0f} nodes, "
            f"server {megabytes(process):.0f} MB"
        )
        page.close()


def main() -> None:
    """Print a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=100, help="other drawings of each digit")
    parser.add_argument("--labels", type=int, default=120, help="pictures that are labelled by keys")
    parser.add_argument("--many", type=int, default=50_000, help="pictures that are scrolled through")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)))
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        offline = folder / "studio.html"
        offline.write_text(studio_page("page", sets_here(["digits"])), "utf-8")
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        with served(folder / "pictures") as (address, _):
            for engine, place in (("server", address), ("page", offline.as_uri())):
                drawn, trained, share, page = used(browser, place, given.each)
                print(
                    f"{engine}: 100 drawings after {drawn:.1f} s, trained after {trained:.1f} s, "
                    f"{100 * share:.1f} % of {10 * given.each:,} other drawings right",
                    flush=True,
                )
                if engine == "server" and given.labels:
                    print(f"labelling: {labelled(page, given.labels):.0f} decisions a minute", flush=True)
                page.close()
        if given.many:
            scrolled(browser, folder / "many", given.many)
        browser.close()


if __name__ == "__main__":
    main()
