"""Measures what each part of a training is worth: accuracy and seconds with one thing changed at a time.

    python benchmarks/ablations.py [fast] [tables] [uneven] [mlp] [--rows NAME ...] [--runs 10] [--record]

Tables and rows: see BASES in _ablations.py. Each row trains in a process of its own, with the seeds 0, 1, …, on nine
tenths of the training images, and is judged on the rest: the test images choose nothing. The processes take turns, a
training each (A B C A B C …), so that a machine that changes its speed decides nothing. `fast` and `mlp` take
about ten minutes, `uneven` five, `tables` an hour with --runs 5.

A difference of accuracy is the mean over the seeds of the row's minus that of the training as it is, with the 95 %
interval of that mean (Student's t): one that holds 0 shows no difference. Other learning rates were not sought for a
row, but where its title says so or they stand in _ablations.py.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from _ablations import AS_IT_IS, BASES
from _results import arguments_parser, publish
from _turns import Trial, in_turn, script
from scipy import stats

FIRST = next(iter(AS_IT_IS))


@dataclass(eq=False)
class Row:
    """One change, and what its trainings reached: per cent and seconds, a seed each."""

    name: str
    title: str
    trial: Trial
    accuracies: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("bases", nargs="*", choices=[[], *BASES], default=[], metavar="TABLE")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="only these, beside the training as it is")
    parser.add_argument("--runs", type=int, default=10)
    arguments = parser.parse_args()
    lines: list[str] = []
    for name in arguments.bases or BASES:
        lines += [*([""] if lines else []), *measure(name, arguments.rows, arguments.runs)]
    publish("ablations", lines, recorded=arguments.record)


def measure(base: str, wanted: Sequence[str] | None, runs: int) -> list[str]:
    """The table of one training: a line a change."""
    changes = BASES[base].changes
    names = [name for name in changes if wanted is None or name in (FIRST, *wanted)]
    rows: list[Row] = []
    with ExitStack() as processes:
        for name in names:
            command = [script("_ablation_trial.py"), base, name, "--runs", str(runs)]
            trial = processes.enter_context(Trial(f"{base} {name}", command))
            started = [Row(name, changes[name].title, trial)]
            in_turn(started, lambda row: row.trial.ask(go=False))  # waits for it, so that none shares the machine
            rows += started
        for run in range(runs):
            # Each round begins with another: whoever comes first in all of them was seen to be a tenth slower.
            rows = rows[1:] + rows[:1] if run else rows
            in_turn(rows, _turn)
    return table(BASES[base].title, sorted(rows, key=lambda row: names.index(row.name)))


def _turn(row: Row) -> None:
    answer = row.trial.ask()
    row.accuracies.append(answer["accuracy"])
    row.seconds.append(answer["seconds"])
    print(f"  {row.trial.name}: {answer['accuracy']:.2f} %, {answer['seconds']:.2f} s", file=sys.stderr, flush=True)


def table(title: str, rows: Sequence[Row]) -> list[str]:
    lines = [
        f"| {title} | validation accuracy, mean ± standard deviation | difference, points [95 % interval] "
        "| seconds of training, median | as a multiple | n (seeds) |",
        "|---|---|---|---|---|---|",
    ]
    first = rows[0]
    for row in rows:
        difference = "–" if row is first else _difference(row.accuracies, first.accuracies)
        seconds, usual = statistics.median(row.seconds), statistics.median(first.seconds)
        spread = f"{statistics.stdev(row.accuracies):.3f}" if len(row.accuracies) > 1 else "–"
        lines.append(
            f"| {row.title} | {statistics.fmean(row.accuracies):.3f} ± {spread} % | {difference} "
            f"| {seconds:.2f} | {seconds / usual:.2f} | {len(row.accuracies)} |"
        )
    return lines


def _difference(these: Sequence[float], those: Sequence[float]) -> str:
    """The mean of the seeds' differences, with its interval."""
    differences = [one - other for one, other in zip(these, those, strict=True)]
    mean = statistics.fmean(differences)
    if len(differences) < 2:
        return f"{mean:+.3f}"
    half = stats.t.ppf(0.975, len(differences) - 1) * statistics.stdev(differences) / math.sqrt(len(differences))
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


if __name__ == "__main__":
    main()
