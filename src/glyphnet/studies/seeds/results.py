"""Trainings that differ only in their seed: the plan, the results, and the folder that holds both."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ... import training
from ...classifier import Classifier, load_model
from ...errors import GlyphNetError, RunFolderError, SettingsError
from ...evaluation import Evaluation, accuracy_sentence
from ...evaluation.evaluate import part_of
from ...evaluation.evaluation import Part
from ...evaluation.intervals import Repeats
from ...files import (
    Replacing,
    atomic_write_csv,
    atomic_write_json,
    is_ours,
    read_input,
    remove,
    remove_empty_folder,
    subfolder,
)
from ...locks import refuse_if_in_use
from ...outputs import FileOf
from ...runs import RunFolder
from ...runs.run import SEVERAL
from ...training import HistoryRow, Recipe, StepInfo, TrainingState
from ...units import first_line, percent

_COLUMNS = ("seed", "accuracy", "log_loss", "best_epoch", "epochs", "ending", "seconds", "folder")

Ending = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class Plan:
    """What to train: ``recipe`` with each of ``seeds``, and whether to average the networks."""

    recipe: Recipe  # with the first seed
    seeds: tuple[int, ...]
    ensemble: bool
    threads: int | None = None  # of each training; None in folders of older versions

    def of(self, seed: int) -> Recipe:
        """The recipe of one training."""
        return self.recipe.model_copy(update={"seed": seed})


@dataclass(frozen=True, eq=False)
class SeedRun:
    """One finished training."""

    seed: int
    accuracy: float  # on the test images, or on the validation images where there are no test images
    log_loss: float  # on the same images, after temperature scaling
    n: int  # of these images
    judged_on: str  # their name: "mnist, test part"
    part: Part
    best_epoch: int  # whose weights were kept, out of epochs
    epochs: int
    ending: str  # "finished", "early_stopping" or "converged"
    seconds: float  # wall time of the training
    classifier: Classifier = field(repr=False)
    folder: Path | None  # its run folder; None if nothing was written

    def __str__(self) -> str:
        """The result in one line, without a full stop."""
        return f"seed {self.seed}: accuracy {percent(self.accuracy, 2)}, epoch {self.best_epoch} of {self.epochs} kept"

    def to_dict(self) -> dict[str, object]:
        """In types that JSON knows."""
        row = {name: getattr(self, name) for name in _COLUMNS}
        return {**row, "seconds": round(self.seconds, 3), "folder": self.folder and str(self.folder)}


@dataclass(frozen=True, eq=False)
class Ensemble:
    """The mean of the trained networks, as one."""

    classifier: Classifier  # its temperature and threshold were chosen on the validation images
    evaluation: Evaluation  # on the images that judged the members
    folder: Path | None  # its run folder; None if nothing was written

    def to_dict(self) -> dict[str, object]:
        """In types that JSON knows."""
        interval = self.evaluation.accuracy_interval
        return {
            "accuracy": self.evaluation.accuracy,
            "low": interval.low,
            "high": interval.high,
            "n": len(self.evaluation),
            "log_loss": self.evaluation.log_loss,
            "folder": self.folder and str(self.folder),
        }


@dataclass(frozen=True, eq=False)
class SeedRuns:
    """The results of trainings that differ only in their seed."""

    plan: Plan
    runs: tuple[SeedRun, ...]  # the finished ones, in the order of the seeds
    ensemble: Ensemble | None  # None if it was not requested, or not all trainings are finished
    ending: Ending
    seconds: float  # wall time of this call
    at_once: int  # trainings at the same time
    images: Mapping[str, int]  # in train, validation and test
    folder: Path | None  # None if nothing was written

    @property
    def recipe(self) -> Recipe:
        """What was trained, with the first seed."""
        return self.plan.recipe

    @property
    def seeds(self) -> tuple[int, ...]:
        """The requested seeds."""
        return self.plan.seeds

    @property
    def accuracy(self) -> Repeats:
        """The accuracies, their mean and spread, and the mean's interval. The images are the same for all."""
        return Repeats.of([run.accuracy for run in self.runs])

    @property
    def log_loss(self) -> Repeats:
        """The same of the log losses."""
        return Repeats.of([run.log_loss for run in self.runs])

    def __str__(self) -> str:
        """The result in a sentence or two."""
        return " ".join(sentences(self))

    def to_dict(self) -> dict[str, Any]:
        """Everything, in types that JSON knows; what is unknown is null."""
        first = next(iter(self.runs), None)
        return {
            "seeds": list(self.seeds),  # first: by it `is_ours` recognises the file
            "ending": self.ending,
            "at_once": self.at_once,
            "threads": self.plan.threads,
            "seconds": round(self.seconds, 3),
            "folder": self.folder and str(self.folder),
            "images": dict(self.images),
            **{name: getattr(first, name, None) for name in ("judged_on", "part", "n")},
            "accuracy": _figure(self.accuracy, most=1.0),
            "log_loss": _figure(self.log_loss),
            "runs": [run.to_dict() for run in self.runs],
            "ensemble_wanted": self.plan.ensemble,
            "ensemble": self.ensemble and self.ensemble.to_dict(),
            "recipe": self.recipe.model_dump(mode="json"),
        }

    def write(self) -> None:
        """Write seeds.csv and seeds.json, each all or nothing, if there is a folder."""
        if self.folder is None:
            return
        folder = SeedsFolder(self.folder)
        atomic_write_csv(folder.table, [_COLUMNS, *(run.to_dict().values() for run in self.runs)])
        atomic_write_json(folder.summary, self.to_dict())


def sentences(found: SeedRuns) -> list[str]:
    """The mean and the spread of the accuracies, with the mean's interval; the ensemble's accuracy."""
    if not found.runs:
        return [f"None of {len(found.seeds)} seeds is finished."]
    part = f"{found.runs[0].part} accuracy".strip().capitalize()
    text = f"{part} {spread(found.accuracy)}, on the same {found.runs[0].n:,} images"
    if missing := len(found.seeds) - len(found.runs):
        text += f"; {missing} of {len(found.seeds)} seeds are missing"
    if found.ensemble is None:
        return [f"{text}."]
    return [f"{text}.", f"{accuracy_sentence(found.ensemble.evaluation)}: their ensemble."]


def spread(figure: Repeats) -> str:
    """``99.19 % ± 0.06 (standard deviation of 10 seeds; 95 % interval of the mean 99.15 to 99.23)``."""
    value, interval = percent(figure.mean, 2), figure.interval(most=1.0)
    if interval is None:
        return f"{value} (one seed)"
    return (
        f"{value} ± {100 * figure.spread:.2f} (standard deviation of {figure.n} seeds; "
        f"95 % interval of the mean {100 * interval.low:.2f} to {100 * interval.high:.2f})"
    )


def _figure(figure: Repeats, most: float = math.inf) -> dict[str, object] | None:
    """Mean, spread and the ends of the mean's 95 % interval, with the number of seeds."""
    if not figure.n:
        return None
    interval = figure.interval(most)
    spread, low, high = (None,) * 3 if interval is None else (figure.spread, interval.low, interval.high)
    return {"mean": figure.mean, "standard_deviation": spread, "low": low, "high": high, "seeds": figure.n}


# The folder


@dataclass(frozen=True)
class SeedsFolder:
    """The folder of several trainings: a run folder for each, one for the ensemble, and the tables of all."""

    path: Path
    stays: bool = True  # False for a temporary one, which is removed when the trainings end

    summary = FileOf(SEVERAL)  # everything, for programs; written first, and needed to resume
    table = FileOf("seeds.csv")  # one line per finished training

    @property
    def ensemble(self) -> RunFolder:
        """The run folder of the ensemble."""
        return RunFolder(subfolder(self.path, "ensemble"))

    def of(self, seed: int) -> RunFolder:
        """The run folder of one training."""
        return RunFolder(subfolder(self.path, f"seed-{seed}"))

    def check(self, *, overwrite: bool, inputs: Iterable[str | os.PathLike[str]] = ()) -> None:
        """Check whether trainings may be written into it, as `RunFolder.check` does; nothing is changed."""
        inputs = [*inputs]
        names = [path.name for path in (self.summary, self.table, *RunFolder(self.path).files())]
        Replacing((*inputs,), overwrite=True).check_in(self.path, names)
        refuse_if_in_use(self.path)
        for run in self._runs():
            run.check(overwrite=True, inputs=inputs)
        if not overwrite:
            self.refuse_if_used()

    def refuse_if_used(self) -> None:
        """Raise RunFolderError if it holds runs."""
        RunFolder(self.path).refuse_if_used()
        if self.summary.exists():
            raise RunFolderError(
                f"{self.path}: already contains a multi-seed run. Resume it with --resume {self.path}, "
                "choose another folder with --out, or replace it with --overwrite."
            )

    def clear(self) -> None:
        """Remove its runs and no other file: what GlyphNet did not write stays."""
        RunFolder(self.path).clear()
        for run in self._runs():
            run.clear()
            remove_empty_folder(run.path)
        remove(*filter(is_ours, (self.summary, self.table)))

    def _runs(self) -> list[RunFolder]:
        """The run folders in it."""
        seeds = [path.name for path in self.path.glob("seed-*") if re.fullmatch(r"seed-\d+", path.name)]
        return [RunFolder(subfolder(self.path, name)) for name in (*seeds, "ensemble")]


def is_seeds_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a multi-seed run."""
    return SeedsFolder(Path(path)).summary.is_file()


def read_plan(folder: SeedsFolder) -> Plan:
    """The plan of the trainings in a folder; RunFolderError if there are none, or the file is damaged."""
    try:
        stored = json.loads(read_input(folder.summary))
        seeds = tuple(int(seed) for seed in stored["seeds"])
        threads = stored.get("threads")
        if threads is not None and not (type(threads) is int and 0 < threads < 2**16):
            raise ValueError(f"threads is {threads!r}")
        return Plan(Recipe.parse(stored["recipe"]), seeds, bool(stored["ensemble_wanted"]), threads)
    except FileNotFoundError:
        raise RunFolderError(
            f"{folder.path}: no multi-seed run to resume: it holds no {folder.summary.name}."
        ) from None
    except (SettingsError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(
            f"{folder.summary}: not a file of glyphnet train --seeds ({first_line(error)}). "
            "Start over with --overwrite, or in another folder."
        ) from None


def read_run(folder: RunFolder, recipe: Recipe, *, keep: bool) -> SeedRun | None:
    """The finished run of ``recipe`` in a folder that stays (``keep``) or is temporary; None if there is none."""
    written_last = folder.report if keep else folder.predictions  # a temporary one has no report
    if not written_last.is_file():
        return None
    from ...report import read_history  # templates and pictures: a training can begin without

    try:
        figures = json.loads(read_input(folder.evaluation))
        history = read_history(folder.history)
        classifier = load_model(folder.model)
        if classifier.recipe != recipe.model_dump(mode="json"):
            return None
        metrics = classifier.metrics
        return SeedRun(
            seed=recipe.seed,
            accuracy=metrics["accuracy"],
            log_loss=figures["calibration"]["log_loss"],
            n=metrics["n"],
            judged_on=metrics["judged_on"],
            part=part_of(metrics, metrics["judged_on"]),
            best_epoch=metrics["best_epoch"],
            epochs=len(history),
            ending=metrics["ending"],
            seconds=sum(row["seconds"] or 0.0 for row in history),
            classifier=classifier,
            folder=folder.path if keep else None,
        )
    except (GlyphNetError, OSError, ValueError, KeyError, TypeError):
        return None  # not a file of ours: the seed is trained again


# The progress of several trainings: what callbacks are given

_EVERY = 0.1  # seconds between two reports of a training


@dataclass(frozen=True)
class SeedProgress:
    """The progress of one of the trainings."""

    seed: int
    epoch: int  # the running one, from 1
    epochs: int
    share: float  # of the training that is done, in [0, 1]
    accuracy: float | None  # on validation images after the last finished epoch; None before that, or without any


class SeedsCallback:
    """Called during several trainings; a subclass overrides what it needs."""

    def began(self, seeds: Sequence[int], at_once: int) -> None:
        """Called once, with the seeds still to be trained and the number trained at the same time."""

    def running(self, progress: SeedProgress) -> None:
        """Called several times a second."""

    def finished(self, run: SeedRun) -> None:
        """Called when a training is finished and validated."""

    def stop_requested(self) -> bool:
        """Called several times a second: true stops all trainings, at a step from which they can be resumed."""
        return False

    def ended(self) -> None:
        """Called once, after the last training, however it ended."""


class SeedReporter(training.Callback):
    """Reports the progress of one training ten times a second at most; stops it after a step if requested."""

    def __init__(self, seed: int, report: Callable[[SeedProgress], None], stop_requested: Callable[[], bool]) -> None:
        self._seed, self._report, self._stop_requested = seed, report, stop_requested
        self._reported = 0.0

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Report, if it is time; stop, if requested."""
        now = time.monotonic()
        if now - self._reported >= _EVERY:
            self._reported = now
            accuracy = state.history[-1]["val_accuracy"] if state.history else None
            self._report(SeedProgress(self._seed, info.epoch, info.epochs, info.share, accuracy))
        return self._stop_requested()

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Stop, if requested."""
        return self._stop_requested()
