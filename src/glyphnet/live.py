"""Live displays of a training, several seeds, a search and a comparison, on a terminal or in a notebook: see `Bars`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .bars import Bars, Work, say
from .notebook import curves
from .progress import Progress, Reporter
from .studies.comparison.comparing import ComparisonCallback, FitProgress, Row
from .studies.seeds import SeedProgress, SeedRun, SeedsCallback
from .studies.seeds.strategy import in_words
from .studies.tuning import SearchCallback, SearchProgress, Trial
from .studies.tuning.results import accuracy
from .training import Callback, HistoryRow, StepInfo, TrainingState
from .units import clock, percent, plural


class TrainingDisplay(Bars, Callback):
    """Epoch, loss, validation accuracy, images per second and the time left, from the first step to the end."""

    def __init__(self) -> None:
        super().__init__("epoch", "bar", "figures", "speed", "wait", every=5.0, narrow=("epoch", "figures", "wait"))
        self._began: float | None = None  # the first step seen: a resumed training does not start at 0
        self._share_at_start = self._speed = 0.0
        self._left: float | None = None

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Move the bar."""
        now = time.monotonic()
        if self._began is None:
            self._began, self._share_at_start = now, info.share
            self.first_line_after(1.0)
        done, took = info.share - self._share_at_start, now - self._began
        self._speed = info.images_per_second
        self._left = took / done * (1.0 - info.share) if done > 0 and took > 0.5 else None
        if self.is_live:
            self.draw(
                info.share,
                epoch=f"epoch {info.epoch} of {info.epochs}",
                figures=_figures(state.history[-1]).replace(" accuracy", "") if state.history else "",
                speed=f"{self._speed:,.0f} images/s",
                wait="" if self._left is None else f"{clock(self._left)} left",
                picture=lambda: curves(state.history) if state.history else "",
            )
        return False

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Without bars, say a line: after the last epoch, and every few seconds."""
        epoch, epochs = int(row["epoch"] or 0), state.recipe.epochs
        last = epoch == epochs
        left = "" if last or self._left is None else f", {clock(self._left)} left"
        speed = f", {self._speed:,.0f} images/s" if self._speed else ""  # an epoch that fits the head has no steps
        text = f"epoch {epoch} of {epochs}: {_figures(row)}{speed}{left}"
        self.line(text, now=last and not self.is_live)
        return False

    def at_end(self, state: TrainingState) -> None:
        """Remove the bar; another training of the same call may follow."""
        self.close()
        self._began = self._left = None


def _figures(row: HistoryRow) -> str:
    """The epoch's loss, and its accuracy on validation data, or on training data without them."""
    validation = row["val_accuracy"]
    name, share = ("training", row["accuracy"]) if validation is None else ("validation", validation)
    return f"loss {row['loss']:.4f}, {name} accuracy {percent(share or 0.0, 2)}"


@dataclass(frozen=True)
class Live(Reporter, Callback):
    """A reporter that shows all that a training reports, while it runs: ``glyphnet.train("digits", reporter=Live())``.

    A notebook shows a bar with the learning curves, which grow below it; a terminal a bar; everything else lines on
    standard error.
    """

    sentence: Callable[[str], None] | None = say
    progress: Progress | None = field(default_factory=Work)
    training: TrainingDisplay = field(default_factory=TrainingDisplay, repr=False)

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Move the bar."""
        return self.training.after_step(info, state)

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        """Without bars, say a line."""
        return self.training.after_epoch(row, state)

    def at_end(self, state: TrainingState) -> None:
        """Remove the bar."""
        self.training.at_end(state)


class SeedsDisplay(Bars, SeedsCallback):
    """The running seeds, a bar each, and each result as a line."""

    def __init__(self) -> None:
        super().__init__("seed", "epoch", "bar", "validation")
        self._running: dict[int, SeedProgress] = {}
        self._count = self._done = 0

    def began(self, seeds: Sequence[int], at_once: int) -> None:
        """Say how many there are."""
        self._count = len(seeds)
        self.line(f"{plural(self._count, 'training')}{f', {in_words(at_once)}' if seeds else ''}.", now=True)

    def running(self, progress: SeedProgress) -> None:
        """Move the seed's bar."""
        self._running[progress.seed] = progress
        self.draw(
            progress.share,
            key=progress.seed,
            seed=f"seed {progress.seed}",
            epoch=f"epoch {progress.epoch} of {progress.epochs}",
            validation=_validation(progress),
        )
        self.line(f"{self._done} of {self._count} finished; {'; '.join(map(_seed_line, self._running.values()))}")

    def finished(self, run: SeedRun) -> None:
        """Say the result."""
        self._running.pop(run.seed, None)
        self.remove(run.seed)
        self._done += 1
        self.line(f"{run} ({self._done} of {self._count}).", now=True)

    def ended(self) -> None:
        """Remove the bars."""
        self.close()


def _seed_line(progress: SeedProgress) -> str:
    found = ", ".join(filter(None, (f"epoch {progress.epoch} of {progress.epochs}", _validation(progress))))
    return f"seed {progress.seed} in {found}"


def _validation(progress: SeedProgress) -> str:
    return "" if progress.accuracy is None else f"validation {percent(progress.accuracy, 2)}"


class SearchDisplay(Bars, SearchCallback):
    """The running trial and its progress, the share of the budget that is used, and the best trial so far."""

    def __init__(self) -> None:
        super().__init__("trial", "bar", "elapsed", "best")
        self._progress: SearchProgress | None = None
        self._best: int | None = None

    def trial_began(self, progress: SearchProgress) -> None:
        """Name the trial."""
        self._progress, best = progress, progress.best
        self._best = None if best is None else best.number
        of = "" if progress.trials is None else f", {progress.ended} of {progress.trials} done"
        text = "" if best is None else f"best {accuracy(best)}, trial {best.number}"
        self.draw(_used(progress, 0.0), now=True, trial=f"trial {progress.number}{of}", best=text)

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        """Move the bar."""
        if self._progress is not None:
            self.draw(_used(self._progress, info.share))
        return False

    def trial_ended(self, trial: Trial, best: Trial | None) -> None:
        """Say the result of a new best trial, and that of any trial every few seconds."""
        leads = best is not None and best.number == trial.number and self._best != trial.number
        self._best = None if best is None else best.number
        self.line(f"{trial}{', the best so far' if leads else ''}.", now=leads)

    def search_ended(self) -> None:
        """Remove the bar."""
        self.close()


def _used(progress: SearchProgress, share: float) -> float:
    """How much of the budget is used up, in [0, 1]."""
    by_trials = 0.0 if progress.trials is None else (progress.ended + share) / progress.trials
    by_time = 0.0 if progress.seconds is None else progress.elapsed / progress.seconds
    return min(1.0, max(by_trials, by_time))


class ComparisonDisplay(Bars, ComparisonCallback):
    """The running method and its time against the budget; each result as a line."""

    def __init__(self) -> None:
        super().__init__("spinner", "method", "bar", "spent")

    def running(self, progress: FitProgress) -> None:
        """Move the bar; while a process starts, it stands at 0."""
        what = f"{progress.title} ({progress.number} of {progress.count}), {progress.phase}"
        if progress.phase == "starting":
            self.draw(0.0, method=what, spent="")
            return
        spent = f"{progress.elapsed:.0f} of {progress.budget:g} s"
        self.draw(min(1.0, progress.elapsed / progress.budget), method=what, spent=spent)
        self.line(f"{what}, {spent}")

    def finished(self, row: Row) -> None:
        """Say the result."""
        self.line(f"{row}.", now=True)
