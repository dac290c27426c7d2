"""Several methods on the same data, ranked, each with its uncertainty: as values, text, JSON and files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from ... import units
from ...evaluation import Evaluation
from ...evaluation.intervals import SIGNIFICANCE, Figure, Paired, holm, paired
from .methods import Method

JSON_FILE, PICTURE_FILE = "comparison.json", "comparison.png"
HEADINGS = ("method", "accuracy (95 %)", "fit", "an image", "size", "against best")
LEFT = (0, len(HEADINGS) - 1)
"""Columns of text; the others are numbers."""

_FIGURES = ("accuracy", "balanced_accuracy", "macro_f1")
_BEST_AND_THIS = {"only_a_right": "only_best_right", "only_b_right": "only_this_right"}

Status = Literal["finished", "out of time", "failed", "missing"]


@dataclass(frozen=True, eq=False)
class Row:
    """One method's result.

    Attributes:
        name: its key in `METHODS`.
        method: its row there.
        status: "finished", "out of time", "failed", or "missing" where the library is not installed.
        reason: why it did not finish, without a full stop; empty if it did.
        evaluation: its answers on the test images; None if it did not finish.
        fit_seconds: wall time of the fit; None if the fit did not finish.
        seconds_per_image: wall time per image, when all test images are answered at once.
        size: of the model in bytes: our model file, or the pickled estimator.
        notes: warnings of the library.
    """

    name: str
    method: Method
    status: Status
    reason: str = ""
    evaluation: Evaluation | None = field(default=None, repr=False)
    fit_seconds: float | None = None
    seconds_per_image: float | None = None
    size: int | None = None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The result in one line, without a full stop."""
        if self.evaluation is None:
            return f"{self.method.title}: {self.reason}"
        return f"{self.method.title}: accuracy {accuracy(self)}, fitted in {units.duration(self.fit_seconds or 0.0)}"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several methods, fitted on the same images and judged once by the same test images.

    Attributes:
        data: what the test images are called ("digits, test part").
        rows: one per method: the finished ones by accuracy, best first (ties: the faster fit first), then the others
            in the order in which they were requested.
        counts: images in train, validation and test.
        budget: seconds allowed for each fit.
        seed: of everything random.
        threads: allowed for each method.
        device: where our presets were trained.
        notes, warnings: sentences on the data.
        provenance: hardware and versions, as plain values.
    """

    data: str
    rows: tuple[Row, ...]
    counts: Mapping[str, int]
    budget: float
    seed: int
    threads: int
    device: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    provenance: Mapping[str, object] = field(default_factory=dict, repr=False)

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
            "best": None if self.best is None else self.best.name,
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


def figure_to_dict(figure: Figure) -> dict[str, object]:
    """A figure with the ends of its interval and the number of images."""
    interval = figure.interval
    ends = {} if interval is None else {"low": round(interval.low, 6), "high": round(interval.high, 6)}
    return {"value": round(figure.value, 6), **ends, "n": figure.n}


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
        found |= {name: figure_to_dict(figures[name]) for name in names}
    if row.name in comparison.against_best:
        pair = comparison.against_best[row.name].to_dict()
        renamed = {_BEST_AND_THIS.get(name, name): value for name, value in pair.items()}
        found["against_best"] = {**renamed, "p_value_holm": comparison.p_values[row.name]}
    return found
