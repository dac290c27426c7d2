"""Measures how well `glyphnet data --review` finds wrong labels: 3 % of the training labels are flipped at random.

    python benchmarks/label_noise.py [ROW ...] [--runs 5] [--first-seed 0] [--record]

Rows: see ROWS; all of them unless named. MNIST and Fashion-MNIST are found in $GLYPHNET_DATA or downloaded.
``--record`` writes the table into benchmarks/RESULTS.md, between its two marks.

In each run another seed chooses the labels and flips each to one of the other classes, all alike. Recall and precision
are those of the whole list of suspects; labels that were wrong before any was flipped count as our mistakes. Seconds
are those of the review as a user gets it: all trainings, all predictions, test images included, data and start-up not.
How suspects are told was chosen on the seeds 100 to 102, which are none of the default ones.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from glyphnet import Splits, load
from glyphnet.hardware import hardware
from glyphnet.modelfile import library_versions
from glyphnet.runs.review import review

RESULTS = Path(__file__).with_name("RESULTS.md")
BEGIN, END = "<!-- label noise: begin -->", "<!-- label noise: end -->"
HEADING = "## Label errors: how many are found"
NOISE = 0.03


@dataclass(frozen=True)
class Row:
    """One line of the table: which data, and what was promised of it."""

    data: str
    goal: str


@dataclass(frozen=True)
class Outcome:
    """What one review found."""

    recall: float
    precision: float
    suspects: int
    seconds: float


ROWS = {
    "digits": Row("digits", ""),
    "mnist": Row("mnist", "95 % found at a precision of 90 %, 60 s"),
    "fashion": Row("fashion-mnist", "80 % found at a precision of 60 %, 60 s"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS], default=[], metavar="ROW")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    warn_if_busy()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.runs)
    lines = [
        f"{hardware()}; {', '.join(f'{name} {version}' for name, version in library_versions().items())}; "
        f"{torch.get_num_threads()} threads; {datetime.now(UTC).date()}.",
        "",
        f"`python benchmarks/label_noise.py {' '.join([*arguments.rows, f'--runs {arguments.runs}'])}`, "
        f"seeds {seeds[0]} to {seeds[-1]}.",
        "",
        "| data | wrong labels | recall, mean ± standard deviation (least) "
        "| precision, mean ± standard deviation (least) | suspects, mean | n | seconds, median (most) | goal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in arguments.rows or list(ROWS):
        lines.append(measure(ROWS[name], seeds))
        print(lines[-1], flush=True)
    print("\n".join(lines))
    if arguments.record:
        record(lines)


def measure(row: Row, seeds: Sequence[int]) -> str:
    splits = load(row.data, validation_fraction=0.0)
    found = []
    for seed in seeds:
        found.append(review_once(splits, seed))
        print(f"  {row.data} {seed}: {found[-1]}", file=sys.stderr, flush=True)
    took = [each.seconds for each in found]
    return (
        f"| {row.data} | {round(NOISE * len(splits.train)):,} of {len(splits.train):,} "
        f"| {in_words([each.recall for each in found])} | {in_words([each.precision for each in found])} "
        f"| {statistics.mean(each.suspects for each in found):,.0f} | {len(found)} seeds "
        f"| {statistics.median(took):.1f} ({max(took):.1f}) | {row.goal or '–'} |"
    )


def review_once(splits: Splits, seed: int) -> Outcome:
    """Flip labels, let them be found, count."""
    rng = np.random.default_rng(seed)
    labels, classes = splits.train.labels.copy(), len(splits.classes)
    wrong = rng.choice(len(labels), round(NOISE * len(labels)), replace=False)
    labels[wrong] = (labels[wrong] + rng.integers(1, classes, len(wrong))) % classes
    noisy = replace(splits, train=replace(splits.train, labels=labels))
    result = review(noisy, seed=seed)
    suspects = result.parts[0].issues.indices
    hits = len(np.intersect1d(suspects, wrong))
    return Outcome(hits / len(wrong), hits / max(len(suspects), 1), len(suspects), result.seconds)


def in_words(shares: Sequence[float]) -> str:
    spread = statistics.stdev(shares) if len(shares) > 1 else float("nan")
    return f"{100 * statistics.mean(shares):.1f} ± {100 * spread:.1f} % ({100 * min(shares):.1f})"


def warn_if_busy() -> None:
    if os.getloadavg()[0] > 0.5:
        print(f"The machine is busy (load {os.getloadavg()[0]:.1f}): times will be too long.", file=sys.stderr)


def record(lines: Sequence[str]) -> None:
    """Replace what stands between the marks in RESULTS.md; a new section at its end where there are none."""
    text = RESULTS.read_text(encoding="utf-8")
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n{HEADING}\n\n{BEGIN}\n{END}\n"
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    RESULTS.write_text(f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
