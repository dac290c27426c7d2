"""Times whole processes from a cold start: imports, the help, a first step, one prediction, trainings with their
reports, beside torch alone.

    python benchmarks/start.py [--runs 7]

The commands take turns (A B C A B C …), so that a machine that changes its speed decides nothing. Prints the median,
the least and the most of wall seconds, and the median of the processor's seconds, which other work on the machine
changes less. Byte code is kept, as it is where the package is installed.
"""

from __future__ import annotations

import os
import resource
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

GOALS = {
    "glyphnet --help": "0.3",
    "glyphnet predict model.safetensors, one image": "1.0",
    "glyphnet train digits --preset fast": "3",
    "glyphnet train mnist --preset fast": "6",
}
"""Wall seconds on two idle cores."""


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
        for data in ("digits", "mnist"):
            train = [python, "-m", "glyphnet", "train", data, "--preset", "fast", "--overwrite"]
            commands[f"glyphnet train {data} --preset fast"] = [*train, "--out", str(Path(scratch) / data)]
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for turn in range(runs + 1):
            for name, command in commands.items():
                took = seconds(command)
                if turn:  # the first turn fills the disk's cache
                    times[name].append(took)
    lines = [
        f"| whole process, n = {runs} | seconds, median (least to most) | of the processor | goal |",
        "|---|---|---|---|",
    ]
    for name, pairs in times.items():
        walls, processor = zip(*pairs, strict=True)
        wall = f"{statistics.median(walls):.2f} ({min(walls):.2f} to {max(walls):.2f})"
        lines.append(f"| `{name}` | {wall} | {statistics.median(processor):.2f} | {GOALS.get(name, '')} |")
    publish("start", lines, recorded=arguments.record)


def seconds(command: list[str]) -> tuple[float, float]:
    """Wall seconds of a command, and the processor's."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began, before = time.perf_counter(), _processor()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - began, _processor() - before


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
