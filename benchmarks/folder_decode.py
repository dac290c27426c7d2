"""Times reading 60,000 JPEGs, a Parquet table and MNIST: first start and second start, beside another version.

    python benchmarks/folder_decode.py [--images 60000] [--side 32] [--runs 3] [--beside DIR] [--record]

Makes the data in a temporary place. Each run is a fresh process with an empty cache that reads everything twice; its
figures are processor seconds, which other programs disturb less than the clock. ``--beside`` names a checkout of
another version, whose runs take turns with those of this one. MNIST is read where it is already at hand.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _results import arguments_parser, publish
from PIL import Image

HERE = Path(__file__).parents[1]
GOAL = 1.03
# In a process of its own: imports are not part of any figure but that of the first start.
PROGRAM = """
import json, os, resource, sys
from glyphnet.data import load
def seconds():
    times = os.times()
    return times.user + times.system
figures = {}
for name, source in json.loads(sys.argv[1]).items():
    for start in ("first", "second"):
        begin = seconds()
        load(source)
        figures[f"{name}, {start} start"] = seconds() - begin
unit = 2**20 if sys.platform == "darwin" else 2**10
figures["peak memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
print(json.dumps(figures))
"""


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--beside", type=Path, help="a checkout of another version")
    given = parser.parse_args()
    checkouts = [HERE] if given.beside is None else [given.beside, HERE]
    figures: dict[Path, list[dict[str, float]]] = {checkout: [] for checkout in checkouts}
    with tempfile.TemporaryDirectory() as scratch:
        sources = make_data(Path(scratch), given.images, given.side)
        for run in range(given.runs):
            for checkout in checkouts:
                cache = f"{scratch}/cache-{run}-{checkout.resolve().name}-{checkout == HERE}"
                figures[checkout].append(measured(checkout, sources, cache))
    publish("folder", table(figures, given.runs), recorded=given.record)


def make_data(root: Path, count: int, side: int) -> dict[str, str]:
    """What is read: its name in the table, and the name or path for `load`."""
    make_folder(root / "images", count, side)
    make_parquet(root / "images", root / "pictures.parquet")
    return {
        f"{count:,} JPEGs of {side}×{side} RGB": str(root / "images"),
        "the same by a Parquet table of paths": str(root / "pictures.parquet"),
        "MNIST": "mnist",
    }


def make_folder(root: Path, count: int, side: int) -> None:
    """Ten classes of noisy gradients, no two alike."""
    rng = np.random.default_rng(0)
    for label in range(10):
        (root / f"class {label}").mkdir(parents=True)
    ramp = np.linspace(0, 128, side, dtype=np.float32)[:, None, None]
    for number in range(count):
        pixels = (ramp * rng.random(3) + rng.random((side, side, 3)) * 100).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"class {number % 10}" / f"{number:06d}.jpg", quality=90)


def make_parquet(folder: Path, path: Path) -> None:
    """A table of the pictures in a folder: their paths and classes."""
    import pyarrow as pa
    from pyarrow import parquet

    files = sorted(folder.rglob("*.jpg"))
    names = [file.relative_to(path.parent).as_posix() for file in files]
    parquet.write_table(pa.table({"file_name": names, "label": [file.parent.name for file in files]}), path)


def measured(checkout: Path, sources: dict[str, str], cache: str) -> dict[str, float]:
    """Processor seconds of each start, and the peak memory in MB, of one fresh process."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "GLYPHNET_CACHE": cache}
    command = [sys.executable, "-c", PROGRAM, json.dumps(sources)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def table(figures: dict[Path, list[dict[str, float]]], runs: int) -> list[str]:
    """A line for each figure, with the ratio of the means where there are two versions."""
    *_, now = figures.values()
    beside = len(figures) == 2
    before = next(iter(figures.values()))
    head = f"processor seconds, n = {runs}"
    lines = [f"| {head} | {'before | now | ratio' if beside else 'now'} |", "|---|---|" + "---|---|" * beside]
    for name in now[0]:
        new = [run[name] for run in now]
        cells = [described(new, name)]
        if beside:
            old = [run[name] for run in before if name in run]
            ratio = statistics.mean(new) / statistics.mean(old)
            cells = [described(old, name), *cells, f"{ratio:.2f} (goal {GOAL} at most)"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def described(values: list[float], name: str) -> str:
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):,.0f} MB" if "memory" in name else f"{statistics.mean(values):.2f}{spread}"


if __name__ == "__main__":
    main()
