"""A tuning in words: the cells of its table, and the lines that go with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from .results import LEAST_TRIALS, Trial, Tuning
from .space import Value

SHOWN = 5  # trials in the table; trials.csv has them all
HEADINGS = ("trial", "validation (95 %)", "log loss", "settings")
_ENDINGS = {
    "trials": "all trials are done",
    "time": "the time is up",
    "repeats": "nothing new was drawn any more",
    "stopped": "stopped",
    "shared": "other processes are still at it",
}


def cells(tuning: Tuning) -> Iterator[tuple[str, ...]]:
    """A tuple for each of the best trials, under `HEADINGS`."""
    for trial in tuning.ranked[:SHOWN]:
        loss = trial.outcome.log_loss
        yield (str(trial.number), accuracy(trial), "" if loss is None else f"{loss:.4f}", settings(trial.settings))


def heading(tuning: Tuning) -> str:
    """How many trials there were, how they ended, and why the search did."""
    counts = Counter(trial.ending for trial in tuning.trials)
    kinds = ", ".join(f"{count} {ending}" for ending, count in counts.most_common())
    images = f"{tuning.counts['validation']:,} validation images"
    return (
        f"{tuning.data}: {_many(len(tuning.trials), 'trial')} ({kinds or 'none ended'}) on {images}; "
        f"{_ENDINGS[tuning.ending]}."
    )


def below(tuning: Tuning) -> Iterator[str]:
    """What stands under the table: the recipe as it was, what mattered, and how sure it all is."""
    base, best = tuning.base_trial, tuning.best
    if base is not None and base is not best:
        yield f"The recipe as it was (trial {base.number}): {accuracy(base)}."
    elif base is not None:
        yield "No trial was better than the recipe as it was."
    yield _mattered(tuning)
    yield (
        f"The best of {_many(len(tuning.trials), 'trial')} was chosen by these figures, so its own is too good: "
        "what it is worth, only other images tell."
    )
    yield from tuning.notes
    if tuning.test is not None:
        yield _test(tuning)


def lines(tuning: Tuning) -> Iterator[str]:
    """The table in plain text, and what stands under it."""
    yield heading(tuning)
    if tuning.best is None:
        return
    table = [HEADINGS, *cells(tuning)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]
    for row in table:
        padded = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        padded[-1] = row[-1]
        yield "  ".join(padded).rstrip()
    yield from below(tuning)


def result(trial: Trial) -> str:
    """One trial's result in a line, without a full stop."""
    said = trial.ending if trial.ending != "finished" else accuracy(trial)
    reason = f": {trial.outcome.reason.rstrip('.')}" if trial.outcome.reason else ""
    return f"trial {trial.number}: {said}{reason} ({settings(trial.settings)})"


def accuracy(trial: Trial) -> str:
    """``97.22 % (95.0–98.5)``."""
    if trial.accuracy is None or trial.interval is None:
        return "unknown"
    interval = trial.interval
    return f"{100 * trial.accuracy:.2f} % ({100 * interval.low:.1f}–{100 * interval.high:.1f})"


def settings(values: Mapping[str, Value]) -> str:
    """``optimizer.lr=0.0123, network.dropout=0.25``."""
    return ", ".join(f"{name}={value(each)}" for name, each in values.items())


def value(each: Value) -> str:
    """A number with three digits; a choice as it was written."""
    return f"{each:.3g}" if isinstance(each, float) else str(each)


def why_unknown(tuning: Tuning) -> str:
    """Why there are no importances, without a full stop."""
    finished = len(tuning.ranked)
    if finished < LEAST_TRIALS:
        return f"{_many(finished, 'trial')} finished, and {LEAST_TRIALS} are needed"
    return "all trials are equally good"


def _mattered(tuning: Tuning) -> str:
    if not tuning.importances:
        return f"What mattered is not known: {why_unknown(tuning)}."
    shares = ", ".join(f"{each.name} {100 * each.share:.0f} %" for each in tuning.importances)
    return f"What told the best trials from the rest: {shares} (PED-ANOVA, {len(tuning.ranked)} finished trials)."


def _test(tuning: Tuning) -> str:
    test = tuning.test
    assert test is not None
    assert tuning.best is not None
    looked = "which chose nothing" if test.data.endswith("test part") else "which chose it"
    return (
        f"The winner (trial {tuning.best.number}), accuracy on {test.data}, {looked}: {100 * test.accuracy:.2f} % "
        f"(95 % interval {100 * test.low:.2f} to {100 * test.high:.2f} %), {test.n:,} images."
    )


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" + "s" * (count != 1)
