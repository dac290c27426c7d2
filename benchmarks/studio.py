"""The studio with 50,000 pictures: seconds and memory to open, to list, to decide and to add; no browser.

``python benchmarks/studio.py`` prints a table. The page's own times are measured by the tests of the page.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PICTURES, CLASSES, TRAY = 50_000, 10, 10_000
STEPS = 100  # decisions, and pages


def fill(root: Path, pictures: int) -> None:
    """Small pictures, each different: class folders, and a tray."""
    rng = np.random.default_rng(0)
    tray = pictures * TRAY // PICTURES
    for number in range(pictures):
        folder = root / ("unlabelled" if number < tray else str(number % CLASSES))
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8)).save(folder / f"{number:06d}.png")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def megabytes(pid: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


def measure(root: Path) -> list[tuple[str, str]]:
    command = [sys.executable, "-m", "glyphnet", "studio", str(root), "--no-open"]
    began = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as served:
        address = served.stderr.readline().split()[-1]
        rows = [("open the folder", f"{time.perf_counter() - began:.2f} s")]
        host, _, token = address.removeprefix("http://").rstrip("/").partition("/")
        connection = http.client.HTTPConnection(host, timeout=600)

        def ask(path: str, value: Any = None) -> Any:
            method, body = ("GET", None) if value is None else ("POST", json.dumps(value))
            connection.request(method, f"/{token}/api/{path}", body)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text
            return json.loads(text)

        rows.append(("state, first", f"{timed(lambda: ask('state'))[0]:.2f} s"))
        rows.append(("state, again", f"{1000 * timed(lambda: ask('state'))[0]:.0f} ms"))
        seconds, page = timed(lambda: ask("pictures?tray=1&from=0&count=500"))
        rows.append(("first page of 500", f"{1000 * seconds:.0f} ms"))
        starts = np.linspace(0, page["total"] - 100, STEPS).astype(int).tolist()
        times = [timed(lambda start=start: ask(f"pictures?tray=1&from={start}&count=100"))[0] for start in starts]
        rows.append(("any page of 100, median", f"{1000 * np.median(times):.1f} ms"))
        ids = [each["id"] for each in page["pictures"][:STEPS]]
        times = [timed(lambda id=id: ask("decide", {"id": id, "label": "0"}))[0] for id in ids]
        rows.append(("a decision, median", f"{1000 * np.median(times):.1f} ms"))
        rows.append(("a decision, slowest", f"{1000 * max(times):.0f} ms"))
        rows.append(("move 500 pictures", f"{timed(lambda: ask('move', move(ask)))[0]:.2f} s"))
        rows.append(("take that back", f"{timed(lambda: ask('undo', {}))[0]:.2f} s"))
        rows.append(("memory of the server", f"{megabytes(served.pid):.0f} MB"))
        served.terminate()
    return rows


def move(ask: Callable[..., Any]) -> dict[str, Any]:
    """A move of the first 500 pictures of a class."""
    page = ask("pictures?class=1&from=0&count=500")
    return {"ids": [each["id"] for each in page["pictures"]], "class": "2"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    pictures = parser.parse_args().pictures
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "studio"
        fill(root, pictures)
        print(f"{pictures:,} pictures of 28×28, {CLASSES} classes and a tray")
        for name, value in measure(root):
            print(f"{name:28} {value}")


if __name__ == "__main__":
    main()
