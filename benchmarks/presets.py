"""Measures the presets: accuracy on test data and seconds of training, over seeds or splits.

    python benchmarks/presets.py [ROW ...] [--runs 10] [--record]

Rows: see ROWS; all unless named. The preset ``best`` takes long and has a script of its own, best.py. MNIST and
Fashion-MNIST are found in $GLYPHNET_DATA or downloaded.

Every run is trained anew by a preset as it is, with another seed (for digits: another division of the images, too), and
judged once on the test images. Seconds are those of the loop, validation after each epoch included, data and start-up
not.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from _results import arguments_parser, mean_and_spread, publish

from glyphnet import Splits, load, preset, train_seeds
from glyphnet.training import Examples, fit, validate


@dataclass(frozen=True)
class Row:
    """One line of the table: what is trained, and what was promised of it.

    Attributes:
        new_split: whether each run divides the images anew.
        networks: how many are trained in each run, with a seed each, and averaged; seconds are those of all.
        label: what the table says of ``changes``, the settings of the preset's recipe that are changed.
    """

    data: str
    preset: str
    goal: str
    new_split: bool = False
    networks: int = 1
    label: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


ROWS = {
    "digits": Row("digits", "balanced", "99.3 % in at most 10 s", new_split=True),
    "digits-fast": Row("digits", "fast", "", new_split=True),
    "mnist-fast": Row("mnist", "fast", "99.0 % in at most 3 s"),
    "fashion-fast": Row("fashion-mnist", "fast", ""),
    "mnist": Row("mnist", "balanced", "99.5 % in about a minute"),
    "fashion": Row("fashion-mnist", "balanced", ""),
}


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS], default=[], metavar="ROW")
    parser.add_argument("--runs", type=int, default=10)
    arguments = parser.parse_args()
    lines = table([ROWS[name] for name in arguments.rows or ROWS], arguments.runs)
    publish("presets", lines, recorded=arguments.record)


def table(rows: Iterable[Row], runs: int) -> list[str]:
    """The lines of the table: each row's runs one after another."""
    lines = [
        "| data | preset | test accuracy, mean ± standard deviation (least to most) | n "
        "| seconds of training, median (most) | goal |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(measure(row, runs))
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def measure(row: Row, runs: int) -> str:
    splits = load(row.data)
    accuracies, seconds = [], []
    for seed in range(runs):
        if row.new_split:
            splits = load(row.data, seed=seed)
        accuracy, took = train_once(splits, row, seed)
        accuracies.append(100 * accuracy)
        seconds.append(took)
        print(
            f"  {row.data} {row.preset} {seed}: {accuracies[-1]:.2f} %, {took:.2f} s",
            file=sys.stderr,
            flush=True,
        )
    unit = "split" if row.new_split else "seed" if row.networks == 1 else "ensemble"
    return (
        f"| {row.data} | {row.preset}{row.label} | {mean_and_spread(accuracies)} % "
        f"({min(accuracies):.2f} to {max(accuracies):.2f}) | {runs} {unit}{'s' * (runs > 1)} "
        f"| {statistics.median(seconds):.2f} ({max(seconds):.2f}) | {row.goal or '–'} |"
    )


def train_once(splits: Splits, row: Row, seed: int) -> tuple[float, float]:
    """Test accuracy and seconds of one training, or of one ensemble."""
    recipe = preset(row.preset, splits.image_shape, len(splits.train), len(splits.classes))
    recipe = recipe.override({**row.changes, "seed": seed * row.networks})
    if row.networks > 1:
        runs = train_seeds(splits, seeds=row.networks, ensemble=True, recipe=recipe)
        print(f"  each by itself: {runs}", file=sys.stderr, flush=True)
        assert runs.ensemble is not None
        return runs.ensemble.evaluation.accuracy, runs.seconds
    train, validation, test = (Examples.of(part.images, part.labels) for _, part in splits)
    result = fit(recipe, train, validation, classes=len(splits.classes))
    _, accuracy = validate(result.network, result.preprocessing, test, recipe)
    return accuracy, result.seconds


if __name__ == "__main__":
    main()
