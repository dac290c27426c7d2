"""Fit several methods on the same data, each in its own process, and judge them on the test images."""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from ... import units
from ...data import ImageDataset, Splits, load, look_over
from ...data.dataset import share_splits
from ...data.settings import DataSettings
from ...errors import DataError, MissingExtraError, SettingsError
from ...evaluation import Evaluation
from ...evaluation.intervals import SIGNIFICANCE, Paired, holm, paired, plain
from ...files import new_file
from ...locks import temporary_folder
from ...modelfile import library_versions
from ...processes import Child, Message, usable_cores
from ...progress import Progress
from ...training.device import hardware
from ...units import first_line
from .methods import JOB, PROBABILITIES, Estimator, FitContext, Method, choose

_MAIN = f"{__package__}.methods:main"
_TICK = 0.1  # seconds between two looks at the clock


@dataclass(frozen=True)
class FitProgress:
    """The progress of a comparison."""

    title: str  # of the running method
    number: int  # of it, from 1
    count: int  # of all methods
    phase: str  # "starting", "fitting" or "predicting"
    elapsed: float  # seconds in this phase
    budget: float  # seconds allowed for it; starting has no limit


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

    Each is fitted in its own process, one at a time, which is killed when the budget is spent. A method that exceeds
    it, fails or is not installed stays in the table with the reason; the others are fitted all the same.

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
        f"{splits.name}, test part", tuple(sorted(rows, key=_rank)), {name: len(part) for name, part in splits},
        budget, seed, threads, device, splits.notes, look_over(splits).warnings,
        provenance={"hardware": hardware(), "versions": _versions()},
    )  # fmt: skip


def _run_all(
    chosen: Mapping[str, Method], splits: Splits, context: FitContext, budget: float, callback: ComparisonCallback
) -> list[Row]:
    rows = []
    with temporary_folder() as folder:
        share(splits, folder)
        for number, (key, method) in enumerate(chosen.items(), start=1):

            def on_tick(phase: str, elapsed: float, title: str = method.title, number: int = number) -> None:
                callback.running(FitProgress(title, number, len(chosen), phase, elapsed, budget))

            rows.append(_row(key, method, _make_and_fit(method, folder, context, budget, on_tick), splits))
            callback.finished(rows[-1])
    return rows


def _row(name: str, method: Method, fit: Fit, splits: Splits) -> Row:
    evaluation = seconds = None
    if fit.probabilities is not None and fit.predict_seconds is not None:
        test = splits.test
        seconds = fit.predict_seconds / len(test)
        try:
            evaluation = Evaluation(
                test.labels, fit.probabilities, splits.classes, test.names, test.images,
                data=f"{splits.name}, test part", part="test",
            )  # fmt: skip
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
    """The outcome of one fit: see `Row`."""

    status: Status
    reason: str = ""
    probabilities: np.typing.NDArray[np.floating] | None = None  # (N, K) for the test images
    fit_seconds: float | None = None
    predict_seconds: float | None = None  # for all test images together
    size: int | None = None
    notes: tuple[str, ...] = ()


def share(splits: Splits, folder: Path) -> None:
    """Write the splits into a folder for child processes, without file names, which no method may learn from."""

    def nameless(part: ImageDataset) -> ImageDataset:
        return ImageDataset(part.images, part.labels, part.classes, [str(row) for row in range(len(part))])

    train, validation, test = (nameless(part) for _, part in splits)
    share_splits(Splits(splits.name, train, validation, test), folder)


def fit_in_child(estimator: Estimator, data: Path, *, budget: float, threads: int, on_tick: OnTick) -> Fit:
    """Fit an estimator, which is pickled, and let it answer on the test images, in a fresh interpreter.

    Args:
        data: a folder that `share` has filled.
        budget: seconds for the fit, and as many again for the predictions; starting the process does not count.
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
        seconds = last["fit_seconds"], last["predict_seconds"]
        return Fit("finished", "", np.load(job / PROBABILITIES), *seconds, last["bytes"], tuple(last["notes"]))


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


# The results: as values, text and JSON

JSON_FILE, PICTURE_FILE = "comparison.json", "comparison.png"
HEADINGS = ("method", "accuracy (95 %)", "fit", "an image", "size", "against best")
LEFT = (0, len(HEADINGS) - 1)
"""Columns of text; the others are numbers."""

_FIGURES = ("accuracy", "balanced_accuracy", "macro_f1")
_BEST_AND_THIS = {"only_a_right": "only_best_right", "only_b_right": "only_this_right"}

Status = Literal["finished", "out of time", "failed", "missing"]


@dataclass(frozen=True, eq=False)
class Row:
    """One method's result; what is unknown because it did not finish is None."""

    name: str  # its key in `METHODS`
    method: Method
    status: Status  # "missing" where the library is not installed
    reason: str = ""  # why it did not finish, without a full stop
    evaluation: Evaluation | None = field(default=None, repr=False)  # on the test images
    fit_seconds: float | None = None  # wall time
    seconds_per_image: float | None = None  # wall time, when all test images are answered at once
    size: int | None = None  # of the model in bytes: our model file, or the pickled estimator
    notes: tuple[str, ...] = ()  # warnings of the library

    def __str__(self) -> str:
        """The result in one line, without a full stop."""
        if self.evaluation is None:
            return f"{self.method.title}: {self.reason}"
        return f"{self.method.title}: accuracy {accuracy(self)}, fitted in {units.duration(self.fit_seconds or 0.0)}"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several methods, fitted on the same images and judged once by the same test images."""

    data: str  # what the test images are called: "digits, test part"
    rows: tuple[Row, ...]  # the finished ones by accuracy (of equals the faster fit first), then the others
    counts: Mapping[str, int]  # images in train, validation and test
    budget: float  # seconds allowed for each fit
    seed: int
    threads: int  # allowed for each method
    device: str  # where our presets were trained
    notes: tuple[str, ...] = ()  # on the data
    warnings: tuple[str, ...] = ()
    provenance: Mapping[str, object] = field(default_factory=dict, repr=False)  # hardware and versions

    @property
    def best(self) -> Row | None:
        """The most accurate finished method; None if none finished."""
        return next(iter(self.finished), None)

    @property
    def finished(self) -> tuple[Row, ...]:
        """The rows with an evaluation, best first."""
        return tuple(row for row in self.rows if row.evaluation is not None)

    @cached_property
    def against_best(self) -> dict[str, Paired]:
        """By name, for every other finished method: the best (A) against this one (B), image by image."""
        if self.best is None or self.best.evaluation is None:
            return {}
        correct = self.best.evaluation.correct
        return {
            row.name: paired(correct, row.evaluation.correct) for row in self.finished[1:] if row.evaluation is not None
        }

    @cached_property
    def p_values(self) -> dict[str, float]:
        """By name: McNemar's p-value against the best, adjusted for the number of tests by Holm's method."""
        return dict(zip(self.against_best, holm([pair.p_value for pair in self.against_best.values()]), strict=True))

    @property
    def verdict(self) -> str:
        """Which is best and which cannot be told apart from it, in two sentences at most."""
        if self.best is None or self.best.evaluation is None:
            return "No method finished."
        images, title = len(self.best.evaluation), self.best.method.title
        pairs = {row.method.title: self.against_best[row.name] for row in self.finished[1:]}
        ties = [each for each, pair in pairs.items() if pair.only_a == pair.only_b]
        tied = f", level with {units.joined(ties)}" if ties else ""
        first = f"{title} is the most accurate here{tied}."
        others = [row.method.title for row in self.finished[1:] if self.p_values[row.name] >= SIGNIFICANCE]
        if others:
            return f"{first} On {images:,} images it cannot be told apart from {units.joined(others)}."
        if self.p_values:
            return f"{first} It is better than every other method that finished, by McNemar's test."
        return first

    def __str__(self) -> str:
        """The table as plain text, and what a reader must know."""
        rows = [HEADINGS, *cells(self)]
        return "\n".join([self.data, *(units.table(rows, LEFT) if len(rows) > 1 else ()), *below(self)])

    def to_dict(self) -> dict[str, object]:
        """Everything, as comparison.json holds it, in types that JSON knows."""
        return {
            "data": self.data,
            "images": dict(self.counts),
            "best": self.best and self.best.name,
            "verdict": self.verdict,
            "budget_seconds": self.budget,
            "seed": self.seed,
            "threads": self.threads,
            "device": self.device,
            "learns_from": {"presets": "train, epoch chosen by validation", "others": "train and validation"},
            "methods": [_row_to_dict(self, row) for row in self.rows],
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            **self.provenance,
        }


# Text


def cells(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """The cells of each finished method, under `HEADINGS`."""
    for row in comparison.finished:
        p_value = comparison.p_values.get(row.name)
        yield (
            row.method.title,
            accuracy(row),
            units.duration(row.fit_seconds or 0.0),
            units.duration(row.seconds_per_image or 0.0),
            units.size(row.size or 0),
            "best" if p_value is None else _against_best(p_value),
        )


def below(comparison: Comparison) -> Iterator[str]:
    """The lines under the table: what did not finish, the verdict, and how it was measured."""
    for row in comparison.rows:
        if row.evaluation is None:
            yield f"{row}."
        elif row.notes:
            yield f"{row.method.title}: {'; '.join(row.notes)}"
    yield comparison.verdict
    yield ""
    counts = comparison.counts
    yield (
        f"{counts['test']:,} test images, looked at once. Presets learn from {counts['train']:,} images and choose "
        f"their epoch by {counts['validation']:,} more; the other methods, which choose nothing, learn from both."
    )
    yield (
        f"One method at a time, each in {comparison.budget:g} s at most and on up to "
        f"{units.plural(comparison.threads, 'thread')}; seed {comparison.seed}. "
        "Against the best: McNemar's exact test, p-values by Holm's method."
    )


def accuracy(row: Row) -> str:
    """``97.22 % (95.0–98.5)``."""
    assert row.evaluation is not None
    return units.accuracy(row.evaluation.accuracy, row.evaluation.accuracy_interval)


def _against_best(p_value: float) -> str:
    text = units.p_value(p_value).replace(" ", "")
    return f"worse, {text}" if p_value < SIGNIFICANCE else text


# JSON


def _row_to_dict(comparison: Comparison, row: Row) -> dict[str, object]:
    found: dict[str, object] = {
        "method": row.name,
        "title": row.method.title,
        "maker": row.method.maker,
        "settings": row.method.settings,
        "status": row.status,
        "reason": row.reason,
        "notes": list(row.notes),
        "fit_seconds": None if row.fit_seconds is None else round(row.fit_seconds, 4),
        "predict_seconds_per_image": None if row.seconds_per_image is None else round(row.seconds_per_image, 9),
        "model_bytes": row.size,
    }
    if row.evaluation is not None:
        figures = row.evaluation.figures
        names = (*_FIGURES, "log_loss") if row.method.probabilistic else _FIGURES
        found |= {name: plain(figures[name]) for name in names}
    if row.name in comparison.against_best:
        pair = comparison.against_best[row.name].to_dict()
        renamed = {_BEST_AND_THIS.get(name, name): value for name, value in pair.items()}
        found["against_best"] = {**renamed, "p_value_holm": comparison.p_values[row.name]}
    return found
