"""Measures prediction: one image, many images, and the whole process of `glyphnet predict`, beside other libraries.

    python benchmarks/prediction.py [--ways NAME ...] [--images 10000] [--rounds 5] [--record]

Ways: see WAYS in _predictors.py; libraries that are missing are passed over (``pip install 'glyphnet[bench]'``). Two
networks are trained for a moment on MNIST, an MLP 784–128–10 and the classical convolutional one, and every library is
given the same weights. Each starts from uint8 pixels and ends with labels, in a process of its own with the threads
that it takes by itself; the processes take turns. A turn is 300 times one image, of which the median counts, and once
all test images.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from _peers import INSTALL, PEERS
from _peers.with_glyphnet import recipe_of
from _predictors import MODELS, WAYS
from _results import arguments_parser, publish
from _turns import Trial, in_turn, script
from PIL import Image

import glyphnet
from glyphnet.export import export
from glyphnet.training import Examples, fit


@dataclass(eq=False)
class Row:
    """What one way took: milliseconds for one image, images a second for many, a turn each."""

    model: str
    way: str
    trial: Trial
    one: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)
    agreed: float = 0.0


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="NAME")
    parser.add_argument("--images", type=int, default=10_000, help="of the test images")
    parser.add_argument("--rounds", type=int, default=5, help="timed turns of each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepare(folder, arguments.images)
        rows = [row for model in MODELS for row in measure(folder, model, arguments.ways, arguments.rounds)]
        cold = cold_processes(folder, arguments.rounds)
    publish("prediction", [*table(rows, arguments.images), "", *cold], recorded=arguments.record)


def prepare(folder: Path, images: int) -> None:
    """Train the models; write them in every form, with the test images and our answers."""
    splits = glyphnet.load("mnist", validation_fraction=0)
    few = Examples.of(splits.train.images[:12_800], splits.train.labels[:12_800])
    test = splits.test.images[:images]
    np.save(folder / "images.npy", test)
    Image.fromarray(test[0, :, :, 0]).save(folder / "digit.png")
    for model, work in MODELS.items():
        recipe = recipe_of(work, 1)
        result = fit(recipe, few, classes=10)
        ours = glyphnet.Classifier(result.network, recipe.network, (28, 28, 1), splits.classes, result.preprocessing)
        ours.save(folder / f"{model}.safetensors")
        export(ours, folder / f"{model}.onnx")
        np.savez(folder / f"{model}.npz", *(values.detach().numpy() for values in result.network.parameters()))
        np.save(folder / f"{model}-labels.npy", ours.predict_labels(test, as_is=True))


def measure(folder: Path, model: str, ways: Sequence[str], rounds: int) -> list[Row]:
    """Let all ways predict with one model, in turn."""
    rows: list[Row] = []
    with ExitStack() as processes:
        for way in (name for name in ways if model in WAYS[name].models):
            peer = PEERS[WAYS[way].peer]
            if missing := peer.missing():
                print(f"{way} is passed over: {', '.join(missing)} not installed ({INSTALL}).", file=sys.stderr)
                continue
            command = [script("_predict_trial.py"), way, model, str(folder)]
            started = [Row(model, way, processes.enter_context(Trial(f"{model} {way}", command, peer.environment)))]
            in_turn(started, _load)
            rows += started
        for _ in range(rounds):
            in_turn(rows, _turn)
    return rows


def _load(row: Row) -> None:
    row.trial.ask(go=False)  # once it has loaded and compiled


def _turn(row: Row) -> None:
    answer = row.trial.ask()
    row.one.append(answer["one"])
    row.many.append(answer["many"])
    row.agreed = answer["agreed"]
    print(f"  {row.trial.name}: {row.one[-1]:.3f} ms, {row.many[-1]:,.0f} images/s", file=sys.stderr, flush=True)


def table(rows: Sequence[Row], images: int) -> list[str]:
    lines = [
        f"| model | by | one image, ms, p50 (least to most of n turns) | images/s, {images:,} at once (least to most) "
        "| same labels as ours | n |",
        "|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| {row.model} | {WAYS[row.way].title} | {statistics.median(row.one):.3f} ({min(row.one):.3f} to "
        f"{max(row.one):.3f}) | {statistics.median(row.many):,.0f} ({min(row.many):,.0f} to {max(row.many):,.0f}) "
        f"| {100 * row.agreed:.2f} % | {len(row.one)} |"
        for row in rows
    ]


def cold_processes(folder: Path, rounds: int) -> list[str]:
    """Whole processes of `glyphnet predict` with one image; the first round fills the disk's cache."""
    commands = {
        f"glyphnet predict conv{suffix}, one image": [
            sys.executable, "-m", "glyphnet", "predict", str(folder / f"conv{suffix}"), str(folder / "digit.png")
        ]
        for suffix in (".safetensors", ".onnx")
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            if turn:
                times[name].append(time.perf_counter() - began)
    return [f"| whole process, cold, n = {rounds} | seconds, median (least to most) |", "|---|---|"] + [
        f"| `{name}` | {statistics.median(took):.2f} ({min(took):.2f} to {max(took):.2f}) |"
        for name, took in times.items()
    ]


if __name__ == "__main__":
    main()
