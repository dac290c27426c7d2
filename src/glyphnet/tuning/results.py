"""The nouns: a trial, what mattered, and the whole of a tuning."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from ..evaluation.intervals import Interval, wilson
from ..runs import Run
from ..training import Recipe
from .space import Space, Value
from .trial import Outcome, score

Ending = Literal["trials", "time", "repeats", "stopped", "shared"]

LEAST_TRIALS = 10
"""Finished trials below which nothing is said about what mattered."""


@dataclass(frozen=True)
class Trial:
    """One training of the search.

    Attributes:
        number: from 0, in the order in which they began.
        settings: what was drawn for it, by dotted name; choices as they are written in YAML.
        outcome: how it ended.
        images: of the validation part, by which it was judged.
        is_base: whether its settings are the recipe's own.
    """

    number: int
    settings: Mapping[str, Value]
    outcome: Outcome
    images: int
    is_base: bool = False

    @property
    def ending(self) -> str:
        """See `Outcome`."""
        return self.outcome.ending

    @property
    def accuracy(self) -> float | None:
        """The share of validation images named rightly; None if no epoch was finished."""
        return None if self.outcome.correct is None else self.outcome.correct / self.images

    @property
    def interval(self) -> Interval | None:
        """Wilson's 95 % interval of the accuracy; it takes no account of the choice among many trials."""
        return None if self.outcome.correct is None else wilson(self.outcome.correct, self.images)

    @property
    def score(self) -> float:
        """What the search makes large; -1 for a trial that did not finish."""
        if self.outcome.correct is None or self.outcome.log_loss is None:
            return -1.0
        return score(self.outcome.correct, self.images, self.outcome.log_loss)


@dataclass(frozen=True)
class Importance:
    """How much a setting mattered among the trials that finished.

    Attributes:
        name: of the setting.
        share: of all that mattered, in [0, 1]: how differently the setting lies in the best trials and in all of them
            (PED-ANOVA; Watanabe et al., 2023).
    """

    name: str
    share: float


@dataclass(frozen=True)
class TestResult:
    """The winner on the images that nothing was chosen by.

    Attributes:
        data: what they are called ("digits, test part").
        accuracy, low, high: with Wilson's 95 % interval.
        n: images.
    """

    __test__ = False  # it is no test of pytest's

    data: str
    accuracy: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, eq=False)
class Tuning:
    """A search, and the training of its winner.

    Attributes:
        data: name of the data set.
        counts: images in train, validation and test.
        base: the recipe that the trials began from.
        space: what was searched.
        trials: all that have ended, in the order in which they began.
        importances: the largest first; empty below `LEAST_TRIALS` finished trials, and where all are equally good.
        ending: "trials" or "time" for the budget that was used up, "repeats" when nothing new was drawn any more,
            "stopped" from outside, "shared" when other processes are still at it.
        seconds: that this search took, the winner's training left out.
        folder: where everything is written, or None.
        storage: the study's file, or None.
        test: the winner on the test images; None until it is trained.
        run: the winner's training; None until then, and where an earlier command trained it.
        notes: sentences for the reader.
    """

    data: str
    counts: Mapping[str, int]
    base: Recipe = field(repr=False)
    space: Space = field(repr=False)
    trials: tuple[Trial, ...] = field(repr=False)
    importances: tuple[Importance, ...]
    ending: Ending
    seconds: float
    folder: Path | None = None
    storage: Path | None = None
    test: TestResult | None = None
    run: Run | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    @cached_property
    def ranked(self) -> tuple[Trial, ...]:
        """The trials that finished, the best first; of equals the earlier."""
        finished = [trial for trial in self.trials if trial.ending == "finished"]
        return tuple(sorted(finished, key=lambda trial: (-trial.score, trial.number)))

    @property
    def best(self) -> Trial | None:
        """The winner; None if no trial finished."""
        return next(iter(self.ranked), None)

    @property
    def base_trial(self) -> Trial | None:
        """The trial with the recipe's own settings, if it finished."""
        return next((trial for trial in self.ranked if trial.is_base), None)

    @property
    def recipe(self) -> Recipe | None:
        """The winner's recipe, as best.yaml holds it; None if no trial finished."""
        return None if self.best is None else self.base.override(self.best.settings)

    @property
    def winner_folder(self) -> Path | None:
        """The run folder of the winner."""
        return None if self.folder is None else self.folder / "winner"

    def __str__(self) -> str:
        """The best trials, what mattered, and the winner on the test images, as plain text."""
        from .wording import lines

        return "\n".join(lines(self))

    def to_dict(self) -> dict[str, object]:
        """Everything, in types that JSON knows."""
        from .record import to_dict

        return to_dict(self)

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write trials.csv, importance.json, best.yaml and the pictures into a folder, which is made.

        Raises:
            OSError: the folder cannot be written.
        """
        from .record import write

        write(self, folder)
