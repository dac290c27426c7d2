"""Speed and memory of ``glyphnet predict --out`` over many small images, in a folder and in a Parquet table.

    python benchmarks/predict_many.py [--images 10000 100000] [--model FILE] [--runs 3] [--record]

Writes 28×28 PNGs of the digits data set (enlarged, so that they look like the model's) into a temporary place, trains
a model on them unless one is given, and runs the command in a process of its own each time.
"""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from _results import arguments_parser, publish
from PIL import Image
from pyarrow import parquet

import glyphnet

SIDE = 28
DISTINCT = 1000


class Measured(NamedTuple):
    seconds: float
    megabytes: float


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        model = given.model or trained(place)
        contents = pictures()
        for count in given.images:
            for kind, make in (("folder", make_folder), ("Parquet", make_table)):
                source = make(place / f"{kind}{count}", contents, count)
                runs = [predict(model, source, place / "out.parquet") for _ in range(given.runs)]
                rows.append(row(kind, count, runs))
    head = f"| images | from | images/s, n = {given.runs} | whole command | peak memory |"
    publish("predict-many", [head, "|---|---|---|---|---|", *rows], recorded=given.record)


def trained(place: Path) -> Path:
    run = glyphnet.train(glyphnet.load("digits", size=SIDE), preset="fast", out=place / "run")
    assert run.folder is not None
    return run.folder.model


def pictures() -> list[bytes]:
    contents = []
    for pixels in glyphnet.load("digits", size=SIDE).train.images[:DISTINCT]:
        content = io.BytesIO()
        Image.fromarray(pixels[..., 0]).save(content, "PNG")
        contents.append(content.getvalue())
    return contents


def make_folder(root: Path, contents: Sequence[bytes], count: int) -> Path:
    """Files of which many are one on the disk: only their number and their reading matter."""
    root.mkdir()
    for number in range(count):
        path = root / f"{number:07d}.png"
        if number < len(contents):
            path.write_bytes(contents[number])
        else:
            os.link(root / f"{number % len(contents):07d}.png", path)
    return root


def make_table(path: Path, contents: Sequence[bytes], count: int) -> Path:
    path = path.with_suffix(".parquet")
    column = pa.array([contents[number % len(contents)] for number in range(count)])
    parquet.write_table(pa.table({"image": column}), path, row_group_size=10_000)
    return path


def predict(model: Path, source: Path, out: Path) -> Measured:
    start = time.perf_counter()
    command = [sys.executable, "-m", "glyphnet", "predict", model, source, "--out", out]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{source}: the command failed")
    return Measured(time.perf_counter() - start, used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))


def row(kind: str, count: int, runs: Sequence[Measured]) -> str:
    seconds = [run.seconds for run in runs]
    speed = statistics.median(count / value for value in seconds)
    memory = max(run.megabytes for run in runs)
    spread = f"{statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"
    return f"| {count:,} | {kind} | {speed:,.0f} | {spread} | {memory:,.0f} MB |"


if __name__ == "__main__":
    main()
