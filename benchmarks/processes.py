"""Times `glyphnet train` with one process and with several on this machine.

    python benchmarks/processes.py [--processes 2] [--rounds 3] [--epochs 3] [--record]

The same recipe and the same steps: each process takes its part of every batch, and gradients are added up between them
(gloo). One process computes with the threads that it chooses; of several each has its share of the cores. Images a
second are those of the median epoch but the first; seconds are those of the whole command, starts, judging and report
included. Medians of rounds in which the two take turns.
"""

from __future__ import annotations

import csv
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _results import arguments_parser, publish

import glyphnet

_PLAIN = ["--network", "mlp", "--set", "optimizer=adam", "--set", "augment={}"]

WORKS = {
    "784–128–10, Adam, batch 32": [*_PLAIN, "--set", "network.hidden=[128]", "--set", "batch_size=32"],
    "784–784–10, Adam, batch 512": [*_PLAIN, "--set", "network.hidden=[784]", "--set", "batch_size=512"],
    "preset fast": ["--preset", "fast"],
    "preset balanced": ["--preset", "balanced"],
}


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    images = len(glyphnet.load("mnist").train)
    lines = [
        f"| MNIST, n = {arguments.rounds} | images/s, 1 process (least to most) | {arguments.processes} processes "
        "| as a multiple | whole command, s: 1 | whole command, s: "
        f"{arguments.processes} |",
        "|---|---|---|---|---|---|",
    ]
    for title, words in WORKS.items():
        rates: dict[int, list[float]] = {1: [], arguments.processes: []}
        wholes: dict[int, list[float]] = {count: [] for count in rates}
        for _ in range(arguments.rounds):
            for count in rates:
                epoch, whole = train([*words, "--set", f"epochs={arguments.epochs}", "--processes", str(count)])
                rates[count].append(images / epoch)
                wholes[count].append(whole)
        one, several = (statistics.median(each) for each in rates.values())
        lines.append(
            "| "
            + " | ".join(
                [title, *map(in_words, rates.values()), f"{several / one:.2f}"]
                + [f"{statistics.median(each):.1f}" for each in wholes.values()]
            )
            + " |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    publish("processes", lines, recorded=arguments.record)


def train(words: list[str]) -> tuple[float, float]:
    """Seconds of the median epoch but the first, and of the whole command."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        began = time.perf_counter()
        command = [sys.executable, "-m", "glyphnet", "train", "mnist", *words, "--out", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        whole = time.perf_counter() - began
        with open(out / "history.csv", encoding="utf-8") as file:
            epochs = [float(row["seconds"]) for row in csv.DictReader(file)]
    return statistics.median(epochs[1:]), whole


def in_words(rates: list[float]) -> str:
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"


if __name__ == "__main__":
    main()
