"""Measures what passes bring: from how few on a larger preset beats a smaller one, and how many more still gain.

    python benchmarks/passes.py [mnist] [fashion-mnist] [--runs 3] [--record]

That is what ``glyphnet train --time`` goes by (ENOUGH and MOST in runs/preparation.py). Presets are trained for parts
and multiples of their own passes, with a schedule for just so many, and judged on the validation images: the test
images choose nothing. In each round all take a turn. Seconds are those of the loop, without validation.
"""

from __future__ import annotations

import statistics
import sys

from _results import arguments_parser, mean_and_spread, publish

from glyphnet import Splits, load, preset
from glyphnet.training import Examples, Recipe, fit, validate

DATA = ("mnist", "fashion-mnist")

PASSES = {"fast": (1, 2, 4, 8, 16), "balanced": (2, 3, 4, 6)}


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("data", nargs="*", choices=[[], *DATA], default=[], metavar="DATA")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    lines = [
        "| data | preset | passes | of its own | validation accuracy, mean ± standard deviation | seconds | n |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in arguments.data or DATA:
        lines += measure(load(name), arguments.runs)
    publish("passes", lines, recorded=arguments.record)


def measure(splits: Splits, runs: int) -> list[str]:
    """A line for each number of passes, by seconds."""
    own = {name: preset(name, splits.image_shape, len(splits.train), len(splits.classes)) for name in PASSES}
    found: dict[tuple[str, int], list[tuple[float, float]]] = {
        (name, passes): [] for name, numbers in PASSES.items() for passes in numbers
    }
    for seed in range(runs):
        for (name, passes), answers in found.items():
            answers.append(train(splits, own[name].override({"epochs": passes, "seed": seed})))
            print(f"  {splits.name} {name} {passes}: {answers[-1]}", file=sys.stderr, flush=True)
    lines = []
    for (name, passes), answers in found.items():
        accuracies, seconds = zip(*answers, strict=True)
        share = passes / own[name].epochs
        lines.append(
            f"| {splits.name} | {name} | {passes} | {share:.2f} | {mean_and_spread(accuracies)} % "
            f"| {statistics.median(seconds):.1f} | {runs} |"
        )
    return lines


def train(splits: Splits, recipe: Recipe) -> tuple[float, float]:
    """Per cent of the validation images, and seconds."""
    learnt, judged = (Examples.of(part.images, part.labels) for part in (splits.train, splits.validation))
    result = fit(recipe, learnt, classes=len(splits.classes))
    return 100 * validate(result.network, result.preprocessing, judged, recipe)[1], result.seconds


if __name__ == "__main__":
    main()
