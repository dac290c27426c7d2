"""Measures how well `glyphnet data --review` finds wrong labels: 3 % of the training labels are flipped at random.

    python benchmarks/label_noise.py [ROW ...] [--runs 5] [--first-seed 0] [--record]

Rows: see ROWS; all of them unless named. MNIST and Fashion-MNIST are found in $GLYPHNET_DATA or downloaded.

In each run another seed chooses the labels and flips each to one of the other classes, all alike. Recall and precision
are those of the whole list of suspects; labels that were wrong before any was flipped count as our mistakes. Seconds
are those of the review as a user gets it: all trainings, all predictions, test images included, data and start-up not.
How suspects are told was chosen on the seeds 100 to 102, which are none of the default ones.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from _results import arguments_parser, publish

from glyphnet import Splits, load, review

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
    parser = arguments_parser(__doc__)
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS], default=[], metavar="ROW")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.runs)
    lines = [
        "| data | wrong labels | recall, mean ± standard deviation (least) "
        "| precision, mean ± standard deviation (least) | suspects, mean | n | seconds, median (most) | goal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in arguments.rows or list(ROWS):
        lines.append(measure(ROWS[name], seeds))
        print(lines[-1], file=sys.stderr, flush=True)
    publish("label-noise", lines, recorded=arguments.record)


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


if __name__ == "__main__":
    main()
