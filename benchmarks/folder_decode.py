"""Times reading a folder of small JPEGs into the cache: first start and second start.

    python benchmarks/folder_decode.py [--images 60000] [--side 32] [--runs 3]

Makes the folder in a temporary place, reads it with an empty cache and again with a full one, and prints
mean, spread, peak memory, hardware and versions.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from glyphnet.data import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    print(f"{given.images:,} JPEGs of {given.side}×{given.side} RGB, {given.runs} runs")
    print(f"first start:  {described(first)}")
    print(f"second start: {described(second)}")
    print(f"peak memory:  {peak / unit:,.0f} MB ({(peak - before) / unit:,.0f} MB more than before loading)")
    print(f"hardware:     {os.cpu_count()} cores, {platform.machine()}, {platform.system()}")
    print(f"versions:     Python {platform.python_version()}, Pillow {PIL.__version__}, NumPy {np.__version__}")


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
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"mean {statistics.mean(values):.2f} s, standard deviation {spread:.2f} s, n = {len(values)}"


if __name__ == "__main__":
    main()
