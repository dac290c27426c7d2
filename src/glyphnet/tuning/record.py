"""A tuning as files: trials.csv, importance.json, best.yaml and the pictures."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import asdict
from pathlib import Path

from ..files import atomic_write, atomic_write_text, make_folder
from .picture import pictures
from .results import Trial, Tuning
from .study import WRITTEN
from .wording import why_unknown

TRIALS_FILE, IMPORTANCE_FILE, RECIPE_FILE, *_ = WRITTEN
_COLUMNS = ("trial", "ending", "val_accuracy", "val_log_loss", "best_epoch", "epochs", "seconds")


def write(tuning: Tuning, folder: str | os.PathLike[str]) -> None:
    """Write the files, each all or nothing; the folder is made."""
    target = Path(folder)
    make_folder(target)
    atomic_write_text(target / TRIALS_FILE, _table(tuning))
    atomic_write_text(target / IMPORTANCE_FILE, json.dumps(_importance(tuning), ensure_ascii=False, indent=2) + "\n")
    if tuning.recipe is not None:
        atomic_write_text(target / RECIPE_FILE, tuning.recipe.to_yaml())
    for name, figure in pictures(tuning).items():
        with atomic_write(target / f"{name}.png") as file:
            figure.savefig(file, format="png", metadata={"Software": "GlyphNet"})


def to_dict(tuning: Tuning) -> dict[str, object]:
    """Everything, in types that JSON knows."""
    best = tuning.best
    return {
        "data": tuning.data,
        "images": dict(tuning.counts),
        "ending": tuning.ending,
        "seconds": round(tuning.seconds, 3),
        "search": tuning.space.to_dict(),
        "objective": "accuracy on validation images; of equals the smaller log loss after temperature scaling",
        "folder": None if tuning.folder is None else str(tuning.folder),
        "storage": None if tuning.storage is None else str(tuning.storage),
        "best": None if best is None else _trial(best),
        "base": None if tuning.base_trial is None else _trial(tuning.base_trial),
        "importance": _importance(tuning),
        "test": None if tuning.test is None else asdict(tuning.test),
        "trials": [_trial(trial) for trial in tuning.trials],
        "notes": list(tuning.notes),
    }


def _table(tuning: Tuning) -> str:
    """A line a trial: how it ended, its figures, its settings; what a trial has not is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(tuning.space.to_dict())
    writer.writerow([*_COLUMNS, *names, "reason"])
    for trial in tuning.trials:
        outcome = trial.outcome
        figures = (trial.accuracy, outcome.log_loss)
        writer.writerow(
            [
                trial.number,
                trial.ending,
                *("" if figure is None else f"{figure:.6f}" for figure in figures),
                outcome.best_epoch or "",
                outcome.epochs,
                f"{outcome.seconds:.3f}",
                *(trial.settings.get(name, "") for name in names),
                outcome.reason,
            ]
        )
    return text.getvalue()


def _importance(tuning: Tuning) -> dict[str, object]:
    if not tuning.importances:
        return {"method": None, "reason": why_unknown(tuning)}
    return {
        "method": "PED-ANOVA",
        "finished_trials": len(tuning.ranked),
        "shares": {each.name: round(each.share, 6) for each in tuning.importances},
    }


def _trial(trial: Trial) -> dict[str, object]:
    interval, outcome = trial.interval, trial.outcome
    return {
        "trial": trial.number,
        "settings": dict(trial.settings),
        "ending": trial.ending,
        "reason": outcome.reason,
        "val_accuracy": None if trial.accuracy is None else round(trial.accuracy, 6),
        "low": None if interval is None else round(interval.low, 6),
        "high": None if interval is None else round(interval.high, 6),
        "n": trial.images,
        "val_log_loss": None if outcome.log_loss is None else round(outcome.log_loss, 6),
        "best_epoch": outcome.best_epoch or None,
        "epochs": outcome.epochs,
        "seconds": round(outcome.seconds, 3),
    }
