"""Times whole processes from a cold start: imports, the help, a first step, one prediction, beside torch alone.

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
from glyphnet.export import export

FIRST_STEP = """
import glyphnet
from glyphnet.training import Callback

class First(Callback):
    def after_step(self, info, state):
        return True

glyphnet.train("digits", preset="fast", callbacks=[First()])
"""


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
        export(run.classifier, onnx := model.with_suffix(".onnx"))
        Image.fromarray(run.splits.test.images[0, :, :, 0]).save(image)
        python = sys.executable
        predict = [python, "-m", "glyphnet", "predict"]
        commands = {
            "import torch": [python, "-c", "import torch"],
            "import glyphnet": [python, "-c", "import glyphnet"],
            "glyphnet --help": [python, "-m", "glyphnet", "--help"],
            "import glyphnet.runs": [python, "-c", "import glyphnet.runs"],
            "glyphnet.train, to its first step": [python, "-c", FIRST_STEP],
            "glyphnet predict model.safetensors, one image": [*predict, str(model), str(image)],
            "glyphnet predict model.onnx, one image": [*predict, str(onnx), str(image)],
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
