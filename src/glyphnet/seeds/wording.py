"""Several trainings in words."""

from __future__ import annotations

from ..evaluation.intervals import Repeats
from ..runs import accuracy_sentence
from .results import SeedRun, SeedRuns


def sentences(found: SeedRuns) -> list[str]:
    """The mean and the spread of the accuracies, and how sure the mean is; the ensemble's accuracy."""
    if not found.runs:
        return [f"None of {len(found.seeds)} seeds has come to its end."]
    part = found.runs[0].judged_on.rpartition(", ")[2].removesuffix(" part").capitalize()
    same = f"the same {found.runs[0].n:,} images"
    said = f"{part} accuracy {spread(found.accuracy)}, on {same}"
    if len(found.runs) < len(found.seeds):
        said += f"; {len(found.seeds) - len(found.runs)} of {len(found.seeds)} seeds are missing"
    if found.ensemble is None:
        return [f"{said}."]
    return [f"{said}.", f"{accuracy_sentence(found.ensemble.evaluation)}: their ensemble."]


def spread(figure: Repeats) -> str:
    """``99.19 % ± 0.06 (standard deviation of 10 seeds; 95 % interval of the mean 99.15 to 99.23)``."""
    value, interval = f"{100 * figure.mean:.2f} %", figure.interval(most=1.0)
    if interval is None:
        return f"{value} (one seed)"
    return (
        f"{value} ± {100 * figure.spread:.2f} (standard deviation of {figure.n} seeds; "
        f"95 % interval of the mean {100 * interval.low:.2f} to {100 * interval.high:.2f})"
    )


def result(run: SeedRun) -> str:
    """One training in a line, without a full stop."""
    return f"seed {run.seed}: accuracy {100 * run.accuracy:.2f} %, epoch {run.best_epoch} of {run.epochs} kept"
