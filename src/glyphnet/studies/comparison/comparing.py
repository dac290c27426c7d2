"""Fit several methods on the same data, one after another, each in its own process, and judge them on the test images.

A process is killed when its budget is spent.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ...data import ImageDataset, Splits, load, look_over
from ...data.handover import hand_over
from ...data.listing import Progress
from ...data.settings import DataSettings
from ...errors import DataError, MissingExtraError, SettingsError
from ...evaluation import Evaluation
from ...files import new_file
from ...locks import temporary_folder
from ...modelfile import library_versions
from ...processes import Child, Message, usable_cores
from ...training.device import hardware
from ...units import first_line
from .comparison import Comparison, Row, Status
from .methods import Estimator, FitContext, Method, choose
from .worker import JOB, PROBABILITIES

_MAIN = f"{__package__}.worker:main"
_TICK = 0.1  # seconds between two looks at the clock


@dataclass(frozen=True)
class FitProgress:
    """The progress of a comparison.

    Attributes:
        title: of the running method, which is number ``number`` of ``count``.
        phase: "starting", "fitting" or "predicting".
        elapsed: seconds in this phase.
        budget: seconds allowed for it; starting has no limit.
    """

    title: str
    number: int
    count: int
    phase: str
    elapsed: float
    budget: float


class ComparisonCallback:
    """Called during a comparison; a subclass overrides what it needs."""

    def running(self, progress: FitProgress) -> None:
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
    callback: ComparisonCallback | None = None,
) -> Comparison:
    """Fit our presets and classical methods on the same data, and judge each once on the same test images.

    Each is fitted in its own process, one at a time. A method that exceeds the budget, fails or is not installed stays
    in the table with the reason; the others are fitted all the same.

    Our presets learn from the training images and choose their best epoch by the validation images; the classical
    methods, whose settings are fixed, learn from both.

    Args:
        data: what `glyphnet.load` takes, or loaded splits; there must be a test part.
        methods: names out of `METHODS`; None takes all but "best".
        budget: seconds for each fit, and as many again for its predictions.
        seed: of weights, order, trees and first centres; the split of the data has its own seed.
        threads: for each method; None for ``OMP_NUM_THREADS``, or one per core.
        device: where our presets are trained; the others use the CPU.
        progress: called as ``progress(done, total, what)`` while data are read.
        callback: called with the progress and each result.

    Raises:
        SettingsError: an unknown method, or an impossible budget or number of threads.
        DataError: the data cannot be used, or have no test part.
    """
    threads = _threads() if threads is None else threads
    if not (budget > 0 and math.isfinite(budget)) or threads < 1:
        raise SettingsError(f"budget (={budget:g} s) must be above 0, and threads (={threads}) 1 or more.")
    chosen = choose(methods)
    splits = data if isinstance(data, Splits) else load(data, progress=progress)
    if not len(splits.test):
        raise DataError(f"{splits.name}: there is no test part to judge by. Divide the data with a test_fraction.")
    context = FitContext(len(splits.train) + len(splits.validation), seed, threads, device)
    rows = _run_all(chosen, splits, context, budget, callback or ComparisonCallback())
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
    chosen: Mapping[str, Method], splits: Splits, context: FitContext, budget: float, callback: ComparisonCallback
) -> list[Row]:
    rows = []
    with temporary_folder() as folder:
        share(splits, folder)
        for number, (key, method) in enumerate(chosen.items(), start=1):

            def on_tick(phase: str, elapsed: float, title: str = method.title, number: int = number) -> None:
                callback.running(FitProgress(title, number, len(chosen), phase, elapsed, budget))

            row = _row(key, method, _make_and_fit(method, folder, context, budget, on_tick), splits)
            rows.append(row)
            callback.finished(row)
    return rows


def _row(name: str, method: Method, fit: Fit, splits: Splits) -> Row:
    evaluation = seconds = None
    if fit.probabilities is not None and fit.predict_seconds is not None:
        test = splits.test
        seconds = fit.predict_seconds / len(test)
        try:
            evaluation = Evaluation(
                labels=test.labels,
                probabilities=fit.probabilities,
                classes=splits.classes,
                names=test.names,
                images=test.images,
                data=f"{splits.name}, test part",
                part="test",
            )
        except DataError as error:  # NaN, from a method that diverged
            return Row(name, method, "failed", str(error), fit_seconds=fit.fit_seconds, notes=fit.notes)
    return Row(name, method, fit.status, fit.reason, evaluation, fit.fit_seconds, seconds, fit.size, fit.notes)


def _rank(row: Row) -> tuple[bool, float, float]:
    if row.evaluation is None:
        return (True, 0.0, 0.0)
    return (False, -row.evaluation.accuracy, row.fit_seconds or 0.0)


def _threads() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return usable_cores()


def _versions() -> dict[str, str]:
    """The versions of all libraries that computed."""
    found = library_versions()
    for name in ("scikit-learn", "xgboost", "xgboost-cpu"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


# One fit


OnTick: TypeAlias = Callable[[str, float], None]
"""Called about ten times a second with the phase ("starting", "fitting", "predicting") and its seconds so far."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The outcome of one fit.

    Attributes:
        status, reason, fit_seconds, size, notes: see `Row`.
        probabilities: float (N, K) for the test images; None if it did not finish.
        predict_seconds: for all test images together; None if it did not finish.
    """

    status: Status
    reason: str = ""
    probabilities: np.typing.NDArray[np.floating] | None = None
    fit_seconds: float | None = None
    predict_seconds: float | None = None
    size: int | None = None
    notes: tuple[str, ...] = ()


def share(splits: Splits, folder: Path) -> None:
    """Write the splits into a folder for child processes, without file names, which no method may learn from."""

    def nameless(part: ImageDataset) -> ImageDataset:
        return ImageDataset(part.images, part.labels, part.classes, [str(row) for row in range(len(part))])

    train, validation, test = (nameless(part) for _, part in splits)
    hand_over(Splits(splits.name, train, validation, test), folder)


def fit_in_child(estimator: Estimator, data: Path, *, budget: float, threads: int, on_tick: OnTick) -> Fit:
    """Fit an estimator and let it answer on the test images, in a fresh interpreter.

    Args:
        estimator: can be pickled.
        data: a folder that `share` has filled.
        budget: seconds for the fit, and as many again for the predictions; starting the process does not count.
        threads: how many the process may use.
        on_tick: see `OnTick`.
    """
    with temporary_folder(data) as job:
        with new_file(job / JOB) as file:
            pickle.dump(estimator, file)
        messages: queue.Queue[Message] = queue.Queue()
        with Child(_MAIN, [str(data), str(job)], threads=threads, log=job / "log.txt", heard=messages.put) as child:
            last = _follow(messages, budget, on_tick)
            if last["phase"] == "gone":
                return Fit("failed", child.how_it_ended())
        if last.get("late"):
            fit_seconds = last.get("fit_seconds")
            doing = "" if fit_seconds is None else " predicting"
            return Fit("out of time", f"did not finish{doing} in {budget:g} s", fit_seconds=fit_seconds)
        if last["phase"] == "failed":
            return Fit("failed", last["reason"])
        return Fit(
            status="finished",
            probabilities=np.load(job / PROBABILITIES),
            fit_seconds=last["fit_seconds"],
            predict_seconds=last["predict_seconds"],
            size=last["bytes"],
            notes=tuple(last["notes"]),
        )


def _make_and_fit(method: Method, data: Path, context: FitContext, budget: float, on_tick: OnTick) -> Fit:
    on_tick("starting", 0.0)
    try:
        estimator = method.make(context)
    except ImportError as error:
        if not method.extra:
            raise
        return Fit("missing", first_line(MissingExtraError("it", method.extra)), notes=(str(error),))
    except Exception as error:  # a broken library must not end the other fits
        return Fit("failed", first_line(error))
    return fit_in_child(estimator, data, budget=budget, threads=context.threads, on_tick=on_tick)


def _follow(messages: queue.Queue[Message], budget: float, on_tick: OnTick) -> Message:
    """The worker's last message, or its last phase with ``"late": True`` when that phase has used up its budget."""
    message: Message = {"phase": "starting"}
    began = time.monotonic()
    while True:
        elapsed = time.monotonic() - began
        on_tick(message["phase"], elapsed)
        if message["phase"] != "starting" and elapsed >= budget:
            return {**message, "late": True}
        with contextlib.suppress(queue.Empty):
            message, began = messages.get(timeout=_TICK), time.monotonic()
            if message["phase"] not in ("fitting", "predicting"):
                return message
