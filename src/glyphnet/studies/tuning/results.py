"""A tuning and its trials: as values, text, JSON and files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from ... import units
from ...evaluation.evaluation import Part
from ...evaluation.intervals import Interval, wilson
from ...runs import Run
from ...training import Recipe
from .space import Space, Value

WRITTEN = ("trials.csv", "importance.json", "best.yaml", "history.png", "slices.png", "importance.png")
"""The files in the folder of a search, besides the study."""

WINNER = "winner"
"""The run folder of the winner in it."""

LEAST_TRIALS = 10
"""Finished trials needed to estimate which settings matter."""

SHOWN = 5  # trials in the table; trials.csv has them all
HEADINGS = ("trial", "validation (95 %)", "log loss", "settings")
LEFT = (len(HEADINGS) - 1,)
"""Columns of text; the others are numbers."""

_COLUMNS = ("trial", "ending", "val_accuracy", "val_log_loss", "best_epoch", "epochs", "seconds")
_OBJECTIVE = "accuracy on validation images; of equals the smaller log loss after temperature scaling"

TrialEnding = Literal[
    "finished", "pruned", "diverged", "impossible", "no memory", "stopped", "out of time", "abandoned"
]
Ending = Literal["trials", "time", "repeats", "stopped", "shared"]
_ENDINGS = {
    "trials": "all trials are done",
    "time": "the time is up",
    "repeats": "the search space is exhausted",
    "stopped": "stopped",
    "shared": "other processes are still running trials",
}


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    A "finished" one is validated; a "pruned" one fell behind the others. The settings cause "diverged", "impossible"
    (they contradict each other) and "no memory"; "stopped", "out of time" and "abandoned" (its process was killed) say
    nothing about the settings.
    """

    ending: TrialEnding
    reason: str = ""  # in words, if there is one
    correct: int | None = None  # validation images: of the best epoch, or of a pruned trial's last one
    log_loss: float | None = None  # on them, after temperature scaling; only of a finished trial
    best_epoch: int = 0  # whose weights were kept, out of epochs
    epochs: int = 0
    seconds: float = 0.0  # of training


def score(correct: float, images: int, loss: float) -> float:
    """The objective, to be maximised: the accuracy. The loss, worth less than half an image, decides between equals."""
    return (correct + 1.0 / (2.0 + loss)) / images


@dataclass(frozen=True)
class Trial:
    """One training of the search."""

    number: int  # from 0, in the order of their starts
    settings: Mapping[str, Value]  # the values drawn for it, by dotted name; choices as written in YAML
    outcome: Outcome
    images: int  # in the validation part, which judged it
    is_base: bool = False  # whether its settings are the recipe's own

    @property
    def ending(self) -> TrialEnding:
        """See `Outcome`."""
        return self.outcome.ending

    @property
    def accuracy(self) -> float | None:
        """The accuracy on the validation images; None if no epoch was finished."""
        return None if self.outcome.correct is None else self.outcome.correct / self.images

    @property
    def interval(self) -> Interval | None:
        """Wilson's 95 % interval of the accuracy; it does not account for the choice among many trials."""
        return None if self.outcome.correct is None else wilson(self.outcome.correct, self.images)

    @property
    def score(self) -> float:
        """The objective; -1 for an unfinished trial."""
        if self.outcome.correct is None or self.outcome.log_loss is None:
            return -1.0
        return score(self.outcome.correct, self.images, self.outcome.log_loss)

    def __str__(self) -> str:
        """The result in one line, without a full stop."""
        result = self.ending if self.ending != "finished" else accuracy(self)
        reason = f": {self.outcome.reason.rstrip('.')}" if self.outcome.reason else ""
        return f"trial {self.number}: {result}{reason} ({_settings(self.settings)})"

    def to_dict(self) -> dict[str, object]:
        """In types that JSON knows; what is unknown is null."""
        interval, outcome = self.interval, self.outcome
        return {
            "trial": self.number,
            "settings": dict(self.settings),
            "ending": self.ending,
            "reason": outcome.reason,
            "val_accuracy": None if self.accuracy is None else round(self.accuracy, 6),
            "low": None if interval is None else round(interval.low, 6),
            "high": None if interval is None else round(interval.high, 6),
            "n": self.images,
            "val_log_loss": None if outcome.log_loss is None else round(outcome.log_loss, 6),
            "best_epoch": outcome.best_epoch or None,
            "epochs": outcome.epochs,
            "seconds": round(outcome.seconds, 3),
        }


@dataclass(frozen=True)
class TestResult:
    """The winner on the images that judge it, which chose nothing if they are the test part."""

    __test__ = False  # not a test for pytest

    data: str  # what they are called: "digits, test part"
    part: Part
    accuracy: float
    low: float  # of Wilson's 95 % interval, as high
    high: float
    n: int


@dataclass(frozen=True, eq=False)
class Tuning:
    """A search, and the training of its winner.

    Attributes:
        counts: images in train, validation and test.
        base: the recipe that the trials started from.
        trials: all ended trials, in the order of their starts.
        importances: by setting, largest first: the share, of all settings, by which its distribution among the best
            trials differs from that among all (PED-ANOVA; Watanabe et al., 2023). Empty below `LEAST_TRIALS` finished
            trials, and if all are equally good.
        ending: "trials" or "time" for the budget that was used up, "repeats" if the space is exhausted, "stopped" on
            request, "shared" if other processes are still running trials.
        seconds: of this search, without the winner's training.
        test: the winner on the test images; None until it is trained.
        run: the winner's training; None until then, and if an earlier command trained it.
    """

    data: str
    counts: Mapping[str, int]
    base: Recipe = field(repr=False)
    space: Space = field(repr=False)
    trials: tuple[Trial, ...] = field(repr=False)
    importances: Mapping[str, float]
    ending: Ending
    seconds: float
    folder: Path | None = None
    storage: Path | None = None
    test: TestResult | None = None
    run: Run | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    @cached_property
    def ranked(self) -> tuple[Trial, ...]:
        """The finished trials, best first; of equals the earlier."""
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
        """The winner's recipe, as in best.yaml; None if no trial finished."""
        return None if self.best is None else self.base.override(self.best.settings)

    @property
    def winner_folder(self) -> Path | None:
        """The run folder of the winner."""
        return None if self.folder is None else self.folder / WINNER

    def __str__(self) -> str:
        """The best trials, what mattered, and the winner on the test images, as plain text."""
        if self.best is None:
            return heading(self)
        return "\n".join([heading(self), *units.table([HEADINGS, *cells(self)], LEFT), *below(self)])

    def to_dict(self) -> dict[str, object]:
        """Everything, in types that JSON knows."""
        return {
            "data": self.data,
            "images": dict(self.counts),
            "ending": self.ending,
            "seconds": round(self.seconds, 3),
            "search": self.space.to_dict(),
            "objective": _OBJECTIVE,
            "folder": self.folder and str(self.folder),
            "storage": self.storage and str(self.storage),
            "best": self.best and self.best.to_dict(),
            "base": self.base_trial and self.base_trial.to_dict(),
            "importance": importance_to_dict(self),
            "test": self.test and asdict(self.test),
            "trials": [trial.to_dict() for trial in self.trials],
            "notes": list(self.notes),
        }


# Text


def heading(tuning: Tuning) -> str:
    """How many trials there were, how they ended, and why the search did."""
    counts = Counter(trial.ending for trial in tuning.trials)
    kinds = ", ".join(f"{count} {ending}" for ending, count in counts.most_common()) or "none ended"
    return (
        f"{tuning.data}: {units.plural(len(tuning.trials), 'trial')} ({kinds}) on "
        f"{units.plural(tuning.counts['validation'], 'validation image')}; {_ENDINGS[tuning.ending]}."
    )


def cells(tuning: Tuning) -> Iterator[tuple[str, ...]]:
    """The cells of each of the best trials, under `HEADINGS`."""
    for trial in tuning.ranked[:SHOWN]:
        loss = trial.outcome.log_loss
        settings = _settings(trial.settings)
        yield (str(trial.number), accuracy(trial), "" if loss is None else f"{loss:.4f}", settings)


def below(tuning: Tuning) -> Iterator[str]:
    """The lines under the table: the recipe unchanged, what mattered, and how sure it all is."""
    base, best = tuning.base_trial, tuning.best
    if base is not None and base is not best:
        yield f"The unchanged recipe (trial {base.number}): {accuracy(base)}."
    elif base is not None:
        yield "No trial was better than the unchanged recipe."
    if tuning.importances:
        shares = ", ".join(f"{name} {units.percent(share, 0)}" for name, share in tuning.importances.items())
        finished = f"{len(tuning.ranked)} finished trials"
        yield f"What distinguished the best trials from the rest: {shares} (PED-ANOVA, {finished})."
    else:
        yield f"Which settings matter is unknown: {_why_unknown(tuning)}."
    yield (
        f"The best of {units.plural(len(tuning.trials), 'trial')} was selected on these scores, so its own score is "
        "optimistic; only other images give its accuracy."
    )
    yield from tuning.notes
    if tuning.test is not None and best is not None:
        test = tuning.test
        role = "which chose nothing" if test.part == "test" else "which chose it"
        yield (
            f"The winner (trial {best.number}), accuracy on {test.data}, {role}: {units.percent(test.accuracy, 2)} "
            f"({units.interval_text(test)}), {test.n:,} images."
        )


def accuracy(trial: Trial) -> str:
    """``97.22 % (95.0–98.5)``."""
    if trial.accuracy is None or trial.interval is None:
        return "unknown"
    return units.accuracy(trial.accuracy, trial.interval)


def _settings(values: Mapping[str, Value]) -> str:
    """``optimizer.lr=0.0123, network.hidden=[64]``: numbers with three digits, choices as written."""
    shown = {name: f"{each:.3g}" if isinstance(each, float) else each for name, each in values.items()}
    return ", ".join(f"{name}={each}" for name, each in shown.items())


def _why_unknown(tuning: Tuning) -> str:
    """Why there are no importances, without a full stop."""
    if len(tuning.ranked) < LEAST_TRIALS:
        return f"{units.plural(len(tuning.ranked), 'trial')} finished, and {LEAST_TRIALS} are needed"
    return "all trials are equally good"


# CSV and JSON


def trials_table(tuning: Tuning) -> Iterator[Sequence[object]]:
    """The rows of trials.csv: each trial's ending, figures and settings; unknown values are empty."""
    names = list(tuning.space.to_dict())
    yield [*_COLUMNS, *names, "reason"]
    for trial in tuning.trials:
        outcome = trial.outcome
        figures = ("" if figure is None else f"{figure:.6f}" for figure in (trial.accuracy, outcome.log_loss))
        settings = (trial.settings.get(name, "") for name in names)
        epochs = (outcome.best_epoch or "", outcome.epochs)
        yield [
            trial.number, trial.ending, *figures, *epochs, f"{outcome.seconds:.3f}", *settings, outcome.reason
        ]  # fmt: skip


def importance_to_dict(tuning: Tuning) -> dict[str, object]:
    """The importance of each setting, or the reason why it is not known, as importance.json holds it."""
    if not tuning.importances:
        return {"method": None, "reason": _why_unknown(tuning)}
    return {
        "method": "PED-ANOVA",
        "finished_trials": len(tuning.ranked),
        "shares": {name: round(share, 6) for name, share in tuning.importances.items()},
    }
