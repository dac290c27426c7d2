"""The verb: fit several methods on the same data, one after another, and judge them by the same test images."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ..data import Splits, load, look_over
from ..data.listing import Progress
from ..data.settings import DataSettings
from ..errors import DataError, MissingExtraError, SettingsError
from ..evaluation import Evaluation
from ..files import temporary_folder
from ..hardware import hardware
from ..modelfile import library_versions
from .comparison import Comparison, Row
from .handover import hand_over
from .methods import Circumstances, Method, choose
from .trial import Outcome, Ticking, run_trial


@dataclass(frozen=True)
class Standing:
    """How far a comparison is.

    Attributes:
        title: of the method that is running, which is number ``number`` of ``count``.
        phase: "starting", "fitting" or "predicting".
        elapsed: seconds that this phase has taken.
        budget: seconds that it may take; starting up may take any.
    """

    title: str
    number: int
    count: int
    phase: str
    elapsed: float
    budget: float


class Watcher:
    """Told how a comparison goes; a subclass overrides what it wants to know."""

    def running(self, standing: Standing) -> None:
        """Called about ten times a second."""

    def finished(self, row: Row) -> None:
        """Called with each method's result, whatever it is."""


def compare(
    data: str | os.PathLike[str] | DataSettings | Splits = "digits",
    *,
    methods: Sequence[str] | None = None,
    budget: float = 60.0,
    seed: int = 0,
    threads: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    watcher: Watcher | None = None,
) -> Comparison:
    """Fit our presets and classical methods on the same data, and judge each once by the same test images.

    Each is fitted in a process of its own, one at a time. What the budget does not suffice for, what fails and what
    is not installed stays in the table, with the reason; the others go on.

    Our presets learn from the training images and choose their best epoch by the validation images; the classical
    methods, whose settings are fixed, learn from both.

    Args:
        data: what `glyphnet.load` takes, or loaded splits; there must be a test part.
        methods: names out of `METHODS`; None takes all but "best".
        budget: seconds for each fit, and as many again for each one's answers.
        seed: of weights, order, trees and first centres; the division of the data is the data's own.
        threads: how many each may use; None for ``OMP_NUM_THREADS``, or as many as there are cores.
        device: where our presets are trained; the others know the processor only.
        progress: called as ``progress(done, total, what)`` while data are read.
        watcher: told how it goes.

    Raises:
        SettingsError: an unknown method, or a budget or number of threads that is none.
        DataError: the data cannot be used, or have no test part.
    """
    threads = _threads() if threads is None else threads
    if not (budget > 0 and math.isfinite(budget)) or threads < 1:
        raise SettingsError(f"budget (={budget:g} s) must be above 0, and threads (={threads}) 1 or more.")
    chosen = choose(methods)
    splits = data if isinstance(data, Splits) else load(data, progress=progress)
    if not len(splits.test):
        raise DataError(f"{splits.name}: there is no test part to judge by. Divide the data with a test_fraction.")
    given = Circumstances(len(splits.train) + len(splits.validation), seed, threads, device)
    rows = _run_all(chosen, splits, given, budget, watcher or Watcher())
    return Comparison(
        data=f"{splits.name}, test part",
        rows=tuple(sorted(rows, key=_rank)),
        counts={name: len(part) for name, part in splits},
        budget=budget,
        seed=seed,
        threads=threads,
        device=device,
        notes=splits.notes,
        warnings=look_over(splits).warnings,
        provenance={"hardware": hardware(), "versions": _versions()},
    )


def _run_all(
    chosen: Mapping[str, Method], splits: Splits, given: Circumstances, budget: float, watcher: Watcher
) -> list[Row]:
    rows = []
    with temporary_folder() as folder:
        hand_over(splits, folder)
        for number, (key, method) in enumerate(chosen.items(), start=1):

            def ticking(phase: str, elapsed: float, title: str = method.title, number: int = number) -> None:
                watcher.running(Standing(title, number, len(chosen), phase, elapsed, budget))

            row = _row(key, method, _run_one(method, folder, given, budget, ticking), splits)
            rows.append(row)
            watcher.finished(row)
    return rows


def _run_one(method: Method, folder: Path, given: Circumstances, budget: float, ticking: Ticking) -> Outcome:
    ticking("starting", 0.0)
    try:
        contestant = method.make(given)
    except ImportError as error:
        if not method.extra:
            raise
        return Outcome("missing", _first_line(MissingExtraError("it", method.extra)), notes=(str(error),))
    except Exception as error:  # a library that is broken here must not end the others' trials
        return Outcome("failed", _first_line(error))
    return run_trial(contestant, folder, budget=budget, threads=given.threads, ticking=ticking)


def _row(name: str, method: Method, outcome: Outcome, splits: Splits) -> Row:
    evaluation = seconds = None
    if outcome.probabilities is not None and outcome.predict_seconds is not None:
        test = splits.test
        seconds = outcome.predict_seconds / len(test)
        try:
            evaluation = Evaluation(
                labels=test.labels,
                probabilities=outcome.probabilities,
                classes=splits.classes,
                names=test.names,
                images=test.images,
                data=f"{splits.name}, test part",
            )
        except DataError as error:  # NaN, of a method that diverged
            return Row(name, method, "failed", str(error), fit_seconds=outcome.fit_seconds, notes=outcome.notes)
    return Row(
        name=name,
        method=method,
        status=outcome.status,
        reason=outcome.reason,
        evaluation=evaluation,
        fit_seconds=outcome.fit_seconds,
        seconds_per_image=seconds,
        size=outcome.size,
        notes=outcome.notes,
    )


def _rank(row: Row) -> tuple[bool, float, float]:
    if row.evaluation is None:
        return (True, 0.0, 0.0)
    return (False, -row.evaluation.accuracy, row.fit_seconds or 0.0)


def _threads() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _versions() -> dict[str, str]:
    """The versions of everything that computed."""
    found = library_versions()
    for name in ("scikit-learn", "xgboost", "xgboost-cpu"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
