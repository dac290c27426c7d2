"""What tests of pages share."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

Point = tuple[float, float]
Stroke = list[Point]

# Where a pad is, once it listens: it is then painted at the resolution of the screen.
READY_PAD = """(selector) => {
  const pad = document.querySelector(selector);
  if (!pad || pad.width !== Math.round(pad.clientWidth * Math.min(3, devicePixelRatio || 1))) return null;
  const { x, y, width, height } = pad.getBoundingClientRect();
  return { x, y, width, height };
}"""

# A mouse moves several times within a frame; a browser hands that over as one event with all the places.
QUICK_STROKE = """([selector, places]) => {
  const pad = document.querySelector(selector);
  const { left, top, width, height } = pad.getBoundingClientRect();
  const mouse = { pointerId: 1, pointerType: "mouse", bubbles: true, cancelable: true };
  const moves = places.map(([x, y]) =>
    new PointerEvent("pointermove", { ...mouse, clientX: left + x * width, clientY: top + y * height }));
  pad.dispatchEvent(new PointerEvent("pointermove", { ...mouse, coalescedEvents: moves }));
}"""


def wait_until(page: Any, condition: str) -> Any:
    """Wait until an expression of JavaScript holds; returns its value.

    Playwright's own ``wait_for_function`` asks a second time from within the page, whose policy forbids ``eval``: it
    works only where the first answer is yes.
    """
    deadline = time.monotonic() + 120  # seconds: for what would never happen, however busy the machine is
    while not (found := page.evaluate(condition)):
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)
    return found


def draw(page: Any, strokes: Sequence[Stroke], pad: str = "#pad") -> None:
    """Draw on a pad; places are shares of its sides.

    The mouse goes down at the first place of a stroke and up at the last. All between are one quick move: each event
    costs the page 50 ms of a core, so a test of a hundred drawings, place by place, would be busy with little else.
    """
    box = wait_until(page, f"() => ({READY_PAD})({json.dumps(pad)})")
    for first, *rest in strokes:
        move(page, box, first)
        page.mouse.down()
        if rest:
            page.evaluate(QUICK_STROKE, [pad, rest])
            move(page, box, rest[-1])
        page.mouse.up()


def move(page: Any, box: Any, place: Point) -> None:
    """Move the mouse to a place in a box, in shares of its sides."""
    page.mouse.move(box["x"] + place[0] * box["width"], box["y"] + place[1] * box["height"])


def faults(page: Any) -> list[str]:
    """What axe-core finds that is serious or critical, in words."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{each['impact']}: {each['id']}: {node['html'][:200]}: {node['failureSummary'][:300]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
