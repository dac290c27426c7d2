"""The noun: several methods on the same data, ranked, each with how sure its figures are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..evaluation import Evaluation
from ..evaluation.intervals import SIGNIFICANCE, Paired, holm, paired
from .methods import Method
from .trial import Status


@dataclass(frozen=True, eq=False)
class Row:
    """One method's result.

    Attributes:
        name: its key in `METHODS`.
        method: its row there.
        status: "finished", "out of time", "failed" or "missing".
        reason: why it did not finish, in words without a full stop; empty if it did.
        evaluation: its answers on the test images; None if it did not finish.
        fit_seconds: wall time of the fit; None if it did not come to its end.
        seconds_per_image: wall time of an answer, where all test images are answered at once.
        size: of the model, in bytes: our model file, or the pickled estimator.
        notes: what the library warned of.
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


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several methods, fitted on the same images and judged once by the same test images.

    Attributes:
        data: what the test images are called ("digits, test part").
        rows: one a method: those that finished by accuracy, the best first (of equals the one that was fitted
            faster), then the others in the order in which they were asked for.
        counts: images in train, validation and test.
        budget: seconds that each had for its fit.
        seed: of all that was random.
        threads: that each might use.
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
        """The most accurate of those that finished; None if none did."""
        return next(iter(self.finished), None)

    @property
    def finished(self) -> tuple[Row, ...]:
        """The rows with an evaluation, the best first."""
        return tuple(row for row in self.rows if row.evaluation is not None)

    @cached_property
    def against_best(self) -> dict[str, Paired]:
        """By name, for all that finished but the best: the best (A) against this one (B), image by image."""
        if self.best is None or self.best.evaluation is None:
            return {}
        correct = self.best.evaluation.correct
        return {
            row.name: paired(correct, row.evaluation.correct) for row in self.finished[1:] if row.evaluation is not None
        }

    @cached_property
    def p_values(self) -> dict[str, float]:
        """By name: McNemar's p-value against the best, by Holm's method raised for as many tests as there are."""
        return dict(zip(self.against_best, holm([pair.p_value for pair in self.against_best.values()]), strict=True))

    @property
    def verdict(self) -> str:
        """Which is best and which cannot be told apart from it, in two sentences at most."""
        if self.best is None or self.best.evaluation is None:
            return "No method finished."
        best, title = self.best.evaluation, self.best.method.title
        sentences = [f"{title} is the most accurate here."]
        pairs = {row.method.title: self.against_best[row.name] for row in self.finished[1:]}
        if level := [each for each, pair in pairs.items() if pair.only_a == pair.only_b]:
            sentences = [f"{title} is the most accurate here, level with {_listed(level)}."]
        others = [row.method.title for row in self.finished[1:] if self.p_values[row.name] >= SIGNIFICANCE]
        if others:
            sentences.append(f"On {len(best):,} images it cannot be told apart from {_listed(others)}.")
        elif self.p_values:
            sentences.append("It is better than every other that finished, by McNemar's test.")
        return " ".join(sentences)

    def __str__(self) -> str:
        """The table, as plain text, and what must be known to read it."""
        from .wording import lines

        return "\n".join(lines(self))

    def to_dict(self) -> dict[str, object]:
        """Everything, as comparison.json holds it, in types that JSON knows."""
        from .record import to_dict

        return to_dict(self)

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write comparison.json and comparison.png into a folder, which is made if it is not there.

        Raises:
            OSError: the folder cannot be written.
        """
        from .record import write

        write(self, folder)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
