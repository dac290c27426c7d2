"""How tests and benchmarks use the studio: as a person does, with mouse and keys, in the page."""

from __future__ import annotations

import base64
import io
import random
import zipfile
from typing import Any

import numpy as np
from PIL import Image

from ..browsing import draw, wait_until
from .hand import drawn

ASK = """async ({ run, drawings }) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 448;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const answers = [];
  for (const strokes of drawings) {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, 448, 448);
    context.lineWidth = 0.062 * 448;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of strokes) {
      context.beginPath();
      stroke.forEach(([x, y], at) => at ? context.lineTo(448 * x, 448 * y) : context.moveTo(448 * x, 448 * y));
      context.stroke();
    }
    const bytes = Uint8Array.from(atob(canvas.toDataURL("image/png").split(",")[1]), (each) => each.charCodeAt(0));
    const found = await studio.engine.predict(run, new Blob([bytes], { type: "image/png" }), false);
    answers.push(found.answers.reduce((best, each) => each.probability > best.probability ? each : best).label);
  }
  return answers;
}"""
"""The answers of a run to drawings that the pad would make of these strokes."""

DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name));
  document.querySelector(".grid").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
}"""

PASTE = """([name, type, content]) => {
  const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type }));
  document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
}"""


def add_class(page: Any, name: str) -> None:
    page.fill("#new-class", name)
    page.press("#new-class", "Enter")
    page.wait_for_selector(f".place[aria-current] .name:text-is('{name}')")


def draw_classes(page: Any, digits: str, each: int, generator: random.Random) -> None:
    """Make a class of each digit, and draw so many of it."""
    for digit in digits:
        add_class(page, digit)
        for _ in range(each):
            draw(page, drawn(digit, generator))
            page.keyboard.press("Enter")
            page.wait_for_selector("#add-drawing[disabled]")
        count(page, each)


def count(page: Any, wanted: int) -> None:
    """Wait until the class that is shown has so many pictures."""
    page.wait_for_selector(f".place[aria-current] .count:text-is('{wanted}')")


def train(page: Any, preset: str = "Fast") -> str:
    """Train and wait until it is done. Returns the name of the run."""
    before = page.evaluate("studio.engine.state.value.runs.length")
    page.click("a[href='#train']")
    page.click(f".choice button:text-is('{preset}')")
    page.click("#train")
    last = "studio.engine.state.value.runs.at(-1)"
    wait_until(page, f"() => studio.engine.state.value.runs.length > {before}")
    name = page.evaluate(f"{last}.name")
    page.wait_for_selector(f".run-card[data-run='{name}']:not([data-status='running'])", timeout=200_000)
    assert page.evaluate(f"{last}.status") == "done", page.evaluate("studio.engine.state.value.jobs.at(-1)")
    return str(name)


def accuracy(page: Any, run: str, digits: str, each: int, generator: random.Random) -> float:
    """The share of other drawings that a run answers right."""
    labels = [digit for digit in digits for _ in range(each)]
    answers = page.evaluate(ASK, {"run": run, "drawings": [drawn(digit, generator) for digit in labels]})
    return sum(map(str.__eq__, answers, labels)) / len(labels)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def drop(page: Any, name: str, content: bytes) -> None:
    page.wait_for_selector(".grid")
    page.evaluate(DROP, [name, base64.b64encode(content).decode()])


def paste(page: Any, name: str, content: bytes) -> None:
    page.evaluate(PASTE, [name, "image/png", base64.b64encode(content).decode()])
