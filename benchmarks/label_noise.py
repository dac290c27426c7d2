"""Measures how well `glyphnet data --review` finds wrong labels: 3 % of the training labels are changed.

    python benchmarks/label_noise.py [ROW ...] [--runs 5] [--first-seed 0] [--record]

Rows: see ROWS; all of them unless named. MNIST and Fashion-MNIST are found in $GLYPHNET_DATA or downloaded.

In each run another seed chooses the labels to change, each to one of the other classes with equal probability. In the
rows with "pairs" it also chooses 10,000 images, and each label becomes the class that a cross-validation on the sound
labels most often takes its class for: the hardest kind of error to find. Recall and precision are those of the whole
list of suspects; labels that were wrong before count as our mistakes. Seconds are those of the review as a user gets
it: all trainings, all predictions, test images included, data and start-up not.

How suspects are found was chosen on MNIST with parts of the images hidden and noise added until the networks' accuracy
fell to 94 and to 82 %, with pairs of classes confused, and not on Fashion-MNIST.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from _results import arguments_parser, publish

from glyphnet import Splits, load, review
from glyphnet.evaluation.labels import cross_validated_probabilities
from glyphnet.training import preset

NOISE = 0.03
SAMPLE = 10_000  # images, in the rows with pairs


@dataclass(frozen=True)
class Row:
    """One line of the table: which data, and what was promised of it."""

    data: str
    goal: str
    pairs: bool = False


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
    "mnist-pairs": Row("mnist", "", pairs=True),
    "fashion-pairs": Row("fashion-mnist", "70 % found at a precision of 60 %", pairs=True),
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
        found.append(review_once(splits, seed, pairs=row.pairs))
        print(f"  {row.data} {seed}: {found[-1]}", file=sys.stderr, flush=True)
    took = [each.seconds for each in found]
    images = SAMPLE if row.pairs else len(splits.train)
    name = f"{row.data}, pairs of classes" if row.pairs else row.data
    return (
        f"| {name} | {round(NOISE * images):,} of {images:,} "
        f"| {in_words([each.recall for each in found])} | {in_words([each.precision for each in found])} "
        f"| {statistics.mean(each.suspects for each in found):,.0f} | {len(found)} seeds "
        f"| {statistics.median(took):.1f} ({max(took):.1f}) | {row.goal or '–'} |"
    )


def review_once(splits: Splits, seed: int, *, pairs: bool) -> Outcome:
    """Change labels, let them be found, count."""
    rng = np.random.default_rng(seed)
    if pairs:
        splits = replace(splits, train=splits.train.subset(rng.choice(len(splits.train), SAMPLE, replace=False)))
    labels, classes = splits.train.labels.copy(), len(splits.classes)
    wrong = rng.choice(len(labels), round(NOISE * len(labels)), replace=False)
    if pairs:
        labels[wrong] = most_confused(splits, seed)[labels[wrong]]
    else:
        labels[wrong] = (labels[wrong] + rng.integers(1, classes, len(wrong))) % classes
    noisy = replace(splits, train=replace(splits.train, labels=labels))
    result = review(noisy, seed=seed)
    suspects = result.parts[0].issues.indices
    hits = len(np.intersect1d(suspects, wrong))
    return Outcome(hits / len(wrong), hits / max(len(suspects), 1), len(suspects), result.seconds)


def most_confused(splits: Splits, seed: int) -> npt.NDArray[np.int64]:
    """For each class the one that it is most often taken for by networks that have not seen the image: int64 (K,)."""
    train, classes = splits.train, len(splits.classes)
    recipe = preset("fast", train.image_shape, len(train) * 4 // 5, classes)
    (answers,) = cross_validated_probabilities([train], recipe, folds=5, seed=seed + 1_000)
    taken = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(taken, (train.labels, answers.argmax(axis=1)), 1)
    np.fill_diagonal(taken, -1)
    return taken.argmax(axis=1)


def in_words(shares: Sequence[float]) -> str:
    spread = statistics.stdev(shares) if len(shares) > 1 else float("nan")
    return f"{100 * statistics.mean(shares):.1f} ± {100 * spread:.1f} % ({100 * min(shares):.1f})"


if __name__ == "__main__":
    main()
