"""Several trainings as files: seeds.csv, and seeds.json, by which they are gone on with."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

from ..evaluation.intervals import Repeats
from ..files import atomic_write_text
from .folder import SeedsFolder
from .results import SeedRun, SeedRuns

_COLUMNS = ("seed", "accuracy", "log_loss", "best_epoch", "epochs", "ending", "seconds", "folder")


def write(found: SeedRuns) -> None:
    """Write both files, each all or nothing, if there is a folder."""
    if found.folder is None:
        return
    folder = SeedsFolder(found.folder)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([run.to_dict()[name] for name in _COLUMNS] for run in found.runs)
    atomic_write_text(folder.table, text.getvalue())
    atomic_write_text(folder.summary, json.dumps(to_dict(found), ensure_ascii=False, indent=2) + "\n")


def to_dict(found: SeedRuns) -> dict[str, Any]:
    """Everything, in types that JSON knows; what is not known is null."""
    first: SeedRun | None = found.runs[0] if found.runs else None
    return {
        "ending": found.ending,
        "seeds": list(found.seeds),
        "at_once": found.at_once,
        "threads": found.plan.threads,
        "seconds": round(found.seconds, 3),
        "folder": None if found.folder is None else str(found.folder),
        "images": dict(found.images),
        "judged_on": None if first is None else first.judged_on,
        "n": None if first is None else first.n,
        "accuracy": _figure(found.accuracy, most=1.0),
        "log_loss": _figure(found.log_loss),
        "runs": [run.to_dict() for run in found.runs],
        "ensemble_wanted": found.plan.ensemble,
        "ensemble": None if found.ensemble is None else found.ensemble.to_dict(),
        "recipe": found.recipe.model_dump(mode="json"),
    }


def _figure(figure: Repeats, most: float = math.inf) -> dict[str, object] | None:
    """Mean, spread and the ends of the mean's 95 % interval, of so many seeds."""
    if not figure.n:
        return None
    interval = figure.interval(most)
    return {
        "mean": figure.mean,
        "standard_deviation": None if interval is None else figure.spread,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "seeds": figure.n,
    }
