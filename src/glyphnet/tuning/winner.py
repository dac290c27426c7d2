"""The winner: trained once more by the usual path, into a run folder, and judged on the test images."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from .. import runs, training
from ..data import Splits
from ..data.listing import Progress
from ..errors import SettingsError
from ..evaluation import Evaluation
from ..files import read_input
from .results import TestResult, Trial, Tuning
from .study import Study
from .workers import Workers


def conclude(
    tuning: Tuning,
    study: Study,
    workers: Workers,
    splits: Splits,
    *,
    device: str,
    threads: int | None,
    watchers: Sequence[training.Watcher],
    progress: Progress | None,
    said: Callable[[str], None],
) -> Tuning:
    """Train the winner, unless it is trained already, and tell its accuracy on the test images.

    One process does so; another that comes meanwhile waits for it.

    Args:
        tuning: the search that has ended; it has a best trial.
        splits: the images, where the recipe cannot load them itself.
        The others: as for `tune`.
    """
    if workers.others_are_at("winner"):
        said("Another process is training the winner: waiting for it.")
    with workers.alone("winner"):
        best, recipe = tuning.best, tuning.recipe
        assert best is not None
        assert recipe is not None
        folder = tuning.winner_folder
        found = None if folder is None else _judged_before(runs.RunFolder(folder), recipe)
        if found is not None:
            return replace(tuning, test=found)
        notes = tuning.notes + _looked_before(study.judged, best)
        said(f"Training the winner (trial {best.number}) once more, for its run folder.")
        run = runs.train(
            splits if recipe.data is None else None, recipe=recipe, out=folder, overwrite=True, device=device,
            threads=threads,            watchers=watchers, progress=progress, command=_command(tuning),
        )  # fmt: skip
        if run.ending == "stopped":
            return replace(tuning, ending="stopped", run=run, notes=notes)
        study.remember_judged(best.number)
        test = None if run.evaluation is None else _test_result(run.evaluation)
        return replace(tuning, run=run, test=test, notes=notes)


def _judged_before(folder: runs.RunFolder, recipe: training.Recipe) -> TestResult | None:
    """The figures in a run folder, if a run of this recipe came to its end there."""
    try:
        if not folder.evaluation.is_file() or runs.read_recipe(folder.recipe) != recipe:
            return None
        figures = json.loads(read_input(folder.evaluation))
        accuracy = figures["accuracy"]
        return TestResult(figures["data"], accuracy["value"], accuracy["low"], accuracy["high"], figures["n"])
    except (SettingsError, OSError, ValueError, KeyError, TypeError):
        return None  # not what we wrote: then it is made again


def _test_result(evaluation: Evaluation) -> TestResult:
    interval = evaluation.accuracy_interval
    return TestResult(evaluation.data, evaluation.accuracy, interval.low, interval.high, len(evaluation))


def _looked_before(judged: Sequence[int], best: Trial) -> tuple[str, ...]:
    others = [str(number) for number in judged if number != best.number]
    if not others:
        return ()
    return (
        f"The test images were looked at before, for the winner of then (trial {', '.join(others)}): "
        "who searches on because of what they showed chooses by them.",
    )


def _command(tuning: Tuning) -> str:
    """The command line that trains the winner again."""
    if tuning.folder is None:
        return ""
    return shlex.join(["glyphnet", "train", "--recipe", str(Path(tuning.folder) / "best.yaml")])
