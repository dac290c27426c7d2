"""Times reading a folder of small JPEGs into the cache: first start and second start.

    python benchmarks/folder_decode.py [--images 60000] [--side 32] [--runs 3] [--record]

Makes the folder in a temporary place, reads it with an empty cache and again with a full one.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _results import arguments_parser, publish
from PIL import Image

from glyphnet.data import load


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    first, second = [], []
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "images"
        make_folder(root, given.images, given.side)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for run in range(given.runs):
            os.environ["GLYPHNET_CACHE"] = f"{scratch}/cache{run}"
            first.append(seconds(root))
            second.append(seconds(root))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 2**20 if sys.platform == "darwin" else 2**10
    publish(
        "folder",
        [
            f"| {given.images:,} JPEGs of {given.side}×{given.side} RGB, n = {given.runs} | figure | goal |",
            "|---|---|---|",
            f"| first start: decoded into the cache | {described(first)} | at most 60 s |",
            f"| second start: the cache mapped | {described(second)} | at once |",
            f"| peak memory | {peak / unit:,.0f} MB, {(peak - before) / unit:,.0f} MB of it for this | – |",
        ],
        recorded=given.record,
    )


def make_folder(root: Path, count: int, side: int) -> None:
    """Ten classes of noisy gradients, no two alike."""
    rng = np.random.default_rng(0)
    for label in range(10):
        (root / f"class {label}").mkdir(parents=True)
    ramp = np.linspace(0, 128, side, dtype=np.float32)[:, None, None]
    for number in range(count):
        pixels = (ramp * rng.random(3) + rng.random((side, side, 3)) * 100).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"class {number % 10}" / f"{number:06d}.jpg", quality=90)


def seconds(root: Path) -> float:
    start = time.perf_counter()
    load(root)
    return time.perf_counter() - start


def described(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread} s"


if __name__ == "__main__":
    main()
