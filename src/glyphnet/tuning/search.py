"""The search: trials one after another, until a budget is used up."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import SettingsError
from .results import Trial
from .study import Study
from .trial import Outcome, TrialRunner
from .watching import Standing, Watcher

DEFAULT_TRIALS = 30
_REPEATS = 20  # settings drawn again, one after another, by which a small space is known to be used up

SearchEnding = Literal["trials", "time", "repeats", "stopped"]


@dataclass(frozen=True)
class Budget:
    """How long to search: whichever comes first.

    Attributes:
        trials: that shall have ended, those of earlier commands and of other processes included; None for any number.
        seconds: of this search; None for any time.

    Raises:
        SettingsError: a budget that is none.
    """

    trials: int | None
    seconds: float | None

    def __post_init__(self) -> None:
        if self.trials is not None and self.trials < 1:
            raise SettingsError(f"trials (={self.trials}) must be 1 or more.")
        if self.seconds is not None and not (self.seconds > 0 and math.isfinite(self.seconds)):
            raise SettingsError(f"seconds (={self.seconds:g}) must be above 0.")

    @classmethod
    def of(cls, trials: int | None, seconds: float | None) -> Budget:
        """The budget given, or `DEFAULT_TRIALS` where none is."""
        return cls(DEFAULT_TRIALS if trials is None and seconds is None else trials, seconds)


def search(
    study: Study, runner: TrialRunner, budget: Budget, began: float, watchers: Sequence[Watcher]
) -> SearchEnding:
    """Run trials until the budget is used up, a watcher asks to stop, or nothing new is drawn.

    Args:
        study: where they are written down.
        runner: trains them.
        budget: see `Budget`.
        began: of `time.monotonic`.
        watchers: told of the trials.

    Returns:
        Why it ended.
    """
    repeats = 0
    best = _best(study.trials())
    while repeats < _REPEATS:
        elapsed = time.monotonic() - began
        if any(watcher.stop_asked() for watcher in watchers):
            return "stopped"
        if budget.seconds is not None and elapsed >= budget.seconds:
            return "time"
        begun = study.begin(budget.trials)
        if begun is None:
            return "trials"
        trial, settings = begun
        outcome = study.outcome_of(settings)
        repeats = 0 if outcome is None else repeats + 1
        if outcome is None:
            standing = Standing(trial.number, len(study.trials()), budget.trials, elapsed, budget.seconds, best)
            for watcher in watchers:
                watcher.trial_began(standing)
            outcome = _run(study, runner, trial, settings)
        ended = study.end(trial, outcome)
        best = _best(study.trials())
        for watcher in watchers:
            watcher.trial_ended(ended, best)
        if outcome.ending == "stopped":
            return "stopped"
    return "repeats"


def _run(study: Study, runner: TrialRunner, trial: object, settings: dict[str, float | int | str]) -> Outcome:
    try:
        return runner.run(trial, settings)  # type: ignore[arg-type]
    except BaseException as error:
        # Its process lives on, so nobody else would see that nobody is at it any more.
        study.end(trial, Outcome("stopped", type(error).__name__))  # type: ignore[arg-type]
        raise


def _best(trials: Sequence[Trial]) -> Trial | None:
    finished = [trial for trial in trials if trial.ending == "finished"]
    return max(finished, key=lambda trial: (trial.score, -trial.number), default=None)
