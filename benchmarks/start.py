"""Times whole processes from a cold start: the import, the help, one prediction, beside importing torch alone.

    python benchmarks/start.py [--runs 7]

The commands take turns (A B C A B C …), so that a machine that changes its speed decides nothing. Prints the median,
the least and the most of wall seconds.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _results import arguments_parser, publish
from PIL import Image

import glyphnet


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    runs = arguments.runs
    with tempfile.TemporaryDirectory() as scratch:
        model, image = Path(scratch) / "model.safetensors", Path(scratch) / "digit.png"
        run = glyphnet.train("digits", preset="fast")
        assert run.classifier is not None
        run.classifier.save(model)
        Image.fromarray(run.splits.test.images[0, :, :, 0]).save(image)
        python = sys.executable
        commands = {
            "import torch": [python, "-c", "import torch"],
            "import glyphnet": [python, "-c", "import glyphnet"],
            "glyphnet --help": [python, "-m", "glyphnet", "--help"],
            "glyphnet predict, one image": [python, "-m", "glyphnet", "predict", str(model), str(image)],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(runs + 1):
            for name, command in commands.items():
                took = seconds(command)
                if turn:  # the first turn fills the disk's cache
                    times[name].append(took)
    lines = [f"| whole process, n = {runs} | seconds, median (least to most) |", "|---|---|"]
    for name, values in times.items():
        lines.append(f"| `{name}` | {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f}) |")
    publish("start", lines, recorded=arguments.record)


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
