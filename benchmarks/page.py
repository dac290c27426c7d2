"""Measures the engine of the pages in headless Chromium: images learned a second, and times to an accuracy.

    python benchmarks/page.py [--labs [--slowdown 4]] [--seconds 5] [--runs 3] [--record]

One worker trains, as in the playground, so one core is busy. Rows:

- images learned a second by two networks of MNIST's size, with WebAssembly and in JavaScript alone;
- the playground's digits up to 97 %;
- a file of 10,000 MNIST images (the test part) that is dropped on it, up to 97 % on every sixth of them;
- the longest task of the page's main thread meanwhile, and how long the page takes to answer a control;
- how long the labs' live parts take to answer a control, the slowest of all parts, and the longest task meanwhile.

With ``--labs`` the last alone, and a row for each part; with ``--slowdown 4`` their pages are four times as slow.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _results import arguments_parser, publish
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.conftest import BROWSERS, FLAGS, shutil

from glyphnet.labs.live_parts import LAB_DATA, live_parts
from glyphnet.pages.bundle import bundle
from glyphnet.pages.playground import playground_page, sets_here

RELU = '{ type: "activation", name: "relu" }'
NETWORKS = {
    "784–128–10": f"""[
        {{ type: "flatten" }}, {{ type: "dense", outputs: 128 }}, {RELU}, {{ type: "dense", outputs: 10 }},
    ]""",
    "conv 3×3×8, pool, conv 3×3×16, pool, dense 10": f"""[
        {{ type: "convolution", kernel: 3, padding: 1, outputs: 8 }}, {RELU}, {{ type: "maxPool", size: 2 }},
        {{ type: "convolution", kernel: 3, padding: 1, outputs: 16 }}, {RELU}, {{ type: "maxPool", size: 2 }},
        {{ type: "flatten" }}, {{ type: "dense", outputs: 10 }},
    ]""",
}
GOALS = {"784–128–10": 15_000, "conv 3×3×8, pool, conv 3×3×16, pool, dense 10": 2_000}
RATE = """async ([layers, plain, seconds]) => {
  const source = document.getElementById("engine").textContent + `
    onmessage = ({ data: [layers, plain, seconds] }) => postMessage(globalThis.rate(eval(layers), plain, seconds));`;
  const worker = new Worker(URL.createObjectURL(new Blob([source])));
  return await new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.postMessage([layers, plain, seconds]);
  });
}"""
ENGINE = """
import { Network } from "../../pages/js/network.js";
import { Training } from "../../pages/js/engine/training.js";
globalThis.rate = (layers, plain, seconds) => {
  const network = new Network([28, 28, 1], layers, { batch: 32, training: true, plain });
  const training = new Training(network, { rate: 0.001 });
  const x = Float32Array.from({ length: 32 * 784 }, (_, i) => (i * 7919) % 5 ? 0 : ((i * 104729) % 256) / 255);
  const labels = Uint8Array.from({ length: 32 }, (_, i) => i % 10);
  for (let i = 0; i < 30; i++) training.step(x, labels);
  const began = performance.now();
  let images = 0;
  while (performance.now() - began < 1000 * seconds) {
    training.step(x, labels);
    images += 32;
  }
  return 1000 * images / (performance.now() - began);
};
"""
TASK = "the longest task of the main thread meanwhile (0: none of 50 ms or more)"
HEAD = ("| what | measured, median of n (least to most) | goal |", "|---|---|---|")


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--labs", action="store_true")
    parser.add_argument("--slowdown", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    path = next(found for name in BROWSERS if (found := shutil.which(name)))
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        rows = []
        if not arguments.labs:
            rows += [
                *rates(browser, arguments.seconds, arguments.runs),
                *playground(browser, Path(folder), arguments.runs),
            ]
        rows += labs(browser, arguments.runs, arguments.slowdown, each=arguments.labs)
        version = browser.version
        browser.close()
    section = "page-labs" if arguments.labs else "page"
    publish(section, [f"Chromium {version}.", "", *HEAD, *rows], recorded=arguments.record)


def row(what: str, values: list[float], unit: str, goal: str) -> str:
    digits = 0 if min(values) > 100 else 1
    low, middle, high = (f"{value:,.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return f"| {what} | {middle} {unit} ({low} to {high}), n = {len(values)} | {goal} |"


def rates(browser: Any, seconds: float, runs: int) -> list[str]:
    """Images learned a second."""
    page = browser.new_page()
    page.set_content('<script type="text/plain" id="engine"></script>')
    page.evaluate("(text) => { document.getElementById('engine').textContent = text; }", bundled())
    rows = []
    for name, layers in NETWORKS.items():
        for plain in (False, True):
            values = [page.evaluate(RATE, [layers, plain, seconds]) for _ in range(runs)]
            goal = "" if plain else f"{GOALS[name]:,}"
            how = "JavaScript alone" if plain else "WebAssembly"
            rows.append(row(f"{name}, batches of 32, {how}", values, "images/s", goal))
    page.close()
    return rows


def bundled() -> str:
    """The engine as one script, with the function that measures it."""
    from glyphnet.pages import bundle as bundler

    read = bundler.read
    bundler.read = lambda path: ENGINE if path == "pages/js/measure.js" else read(path)
    try:
        return bundle("pages/js/measure.js")
    finally:
        bundler.read = read


def playground(browser: Any, folder: Path, runs: int) -> list[str]:
    """Times to an accuracy, the longest task of the main thread meanwhile, and the time to answer a control."""
    (folder / "playground.html").write_text(playground_page(sets_here()), "utf-8")
    size = (folder / "playground.html").stat().st_size
    digits, mnist, tasks, controls = [], [], [], []
    for _ in range(runs):
        page = opened(browser, folder, "#data=digits")
        digits.append(seconds_to(page, 97))
        controls.append(page.evaluate(CONTROL))
        tasks.append(longest(page))
        page.close()
        page = opened(browser, folder, "")
        data = Path(os.environ["GLYPHNET_DATA"], "mnist")
        page.set_input_files("#images", sorted(data.glob("t10k-*")))
        page.wait_for_selector("#scored:has-text('of 1,667')")
        mnist.append(seconds_to(page, 97))
        tasks.append(longest(page))
        page.close()
    return [
        row("playground: the 8×8 digits up to 97 %", digits, "s", "3"),
        row("playground: 10,000 MNIST images from a file up to 97 %", mnist, "s", "60"),
        row(TASK, tasks, "ms", "50"),
        row("the slowest answer to a control", controls, "ms", "100"),
        f"| size of the page | {size / 1e6:.2f} MB | 1.5 |",
    ]


def opened(browser: Any, folder: Path, address: str) -> Any:
    page = browser.new_page()
    page.goto((folder / "playground.html").as_uri() + address)
    page.wait_for_selector("html[data-ready]")
    page.wait_for_timeout(500)
    return page


def seconds_to(page: Any, percent: float) -> float:
    """How long it trains until so much of the test part is right."""
    page.evaluate(LONGEST)
    page.evaluate(WATCH)
    page.click("#play")
    began = time.perf_counter()
    page.wait_for_selector("html[data-reached]", timeout=180_000)
    taken = time.perf_counter() - began
    page.click("#play")
    return taken


LONGEST = """() => {
  globalThis.longest = 0;
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) globalThis.longest = Math.max(globalThis.longest, each.duration);
  }).observe({ type: "longtask" });
}"""
WATCH = """() => {
  new MutationObserver(() => {
    if (parseFloat(document.getElementById("score").textContent.replace(/[<>]/, "")) >= 97) {
      document.documentElement.dataset.reached = "yes";
    }
  }).observe(document.getElementById("score"), { childList: true, characterData: true, subtree: true });
}"""

# Each control is changed, and the time until the page has painted what follows is taken.
CONTROL = """async () => {
  let slowest = 0;
  const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const timed = async (change) => {
    const began = performance.now();
    change();
    await painted();
    slowest = Math.max(slowest, performance.now() - began);
  };
  for (const select of document.querySelectorAll(".settings select:not(:disabled)")) {
    if (select.id === "data") continue;
    await timed(() => {
      select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
      select.dispatchEvent(new Event("change"));
    });
  }
  for (const id of ["play", "step", "reset", "add-d", "add-c", "add-p", "theme"]) {
    await timed(() => document.getElementById(id).click());
  }
  return slowest;
}"""


def labs(browser: Any, runs: int, slowdown: float, *, each: bool) -> list[str]:
    """The slowest answer to a control of a live part, and which it was; the longest task; each part, if wanted."""
    measured = [answers(browser, slowdown) for _ in range(runs)]
    answered = [found for found, _ in measured]
    names = ", ".join(sorted({max(found, key=lambda part: found[part]) for found in answered}))
    slowest = [max(found.values()) for found in answered]
    parts = sorted(answered[0], key=lambda part: -statistics.median(found[part] for found in answered))
    return [
        row(f"labs: the slowest answer to a control ({names})", slowest, "ms", "100"),
        row(TASK, [task for _, task in measured], "ms", "50"),
        *(row(part, [found[part] for found in answered], "ms", "100") for part in parts if each),
    ]


def answers(browser: Any, slowdown: float) -> tuple[dict[str, float], float]:
    """The slowest answer of each live part of all labs, and the longest task, in ms.

    The pages hold the live parts alone, and their main thread is so many times as slow as it can be.
    """
    found: dict[str, float] = {}
    task = 0.0
    for name in LAB_DATA:
        live = live_parts(name)
        assert live is not None
        data = "".join(f'<script type="application/json" id="{id}">{text}</script>' for id, text in live.data.items())
        worker = f'<script type="text/plain" id="worker">{live.worker}</script>'
        page = browser.new_page()
        page.set_content(f'<!doctype html><div id="live"></div>{data}{worker}<script>{live.script}</script>')
        page.wait_for_selector("html[data-live]")
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
        page.evaluate(LONGEST)
        found |= {f"{name}: {part}": slowest for part, slowest in page.evaluate(LIVE)}
        task = max(task, longest(page))
        page.close()
    return found, task


# Every value of every control of every part, and the time until the page has painted what follows: right after the part
# was opened, while a network may still be learning, and again when all is there.
LIVE = """async () => {
  const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const found = [];
  for (const part of document.querySelectorAll("section.live:has(.stage)")) {
    let slowest = 0;
    const timed = async (change) => {
      const began = performance.now();
      change();
      await painted();
      slowest = Math.max(slowest, performance.now() - began);
    };
    part.querySelector("input[type=radio]").click();
    await timed(() => part.querySelector(".reveal").click());
    for (const round of [1, 2]) {
      for (const control of part.querySelectorAll("[name]:not([type=radio])")) {
        if (control.tagName === "BUTTON") {
          await timed(() => control.click());
          continue;
        }
        const values = control.tagName === "SELECT" ? [...control.options].map(({ value }) => value)
          : Array.from({ length: Number(control.max) + 1 }, (_, at) => String(at));
        for (const value of values) {
          await timed(() => {
            control.value = value;
            control.dispatchEvent(new Event(control.tagName === "SELECT" ? "change" : "input"));
          });
        }
      }
      while (part.querySelector("[aria-busy=true]")) await painted();
    }
    found.push([part.querySelector("h3").textContent, slowest]);
  }
  return found;
}"""


def longest(page: Any) -> float:
    return float(page.evaluate("globalThis.longest"))


if __name__ == "__main__":
    main()
