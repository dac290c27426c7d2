"""Reading learning curves: which epoch was the best, and what the curves say in one sentence."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import BadFileError
from ..evaluation import Interval
from ..files import open_text

History = Sequence[Mapping[str, float | int | None]]
Verdict = Literal["unknown", "still improving", "over-fitting", "converged"]

_RISE = 1.05  # validation loss this much above its lowest, while training loss falls on, is over-fitting
_FALL = 0.97  # validation loss below this share of what it was a fifth of the epochs ago is improvement
_ANNEALED = 0.1  # the learning rate below this share of its highest has run down


@dataclass(frozen=True)
class CurveReading:
    """What the curves say, in a word and in a sentence for the user."""

    best_epoch: int | None  # with the highest validation accuracy (of equals the one with the least loss)
    verdict: Verdict
    sentence: str


def read_curves(history: History, best_epoch: int | None = None) -> CurveReading:
    """Read the history of a training.

    Args:
        history: a row per epoch with ``epoch``, ``loss`` and, where there was validation, ``val_loss`` and
            ``val_accuracy``; ``lr`` tells whether the learning rate had run down. Missing values are None or NaN.
        best_epoch: the epoch whose weights were kept; None: found in the history.
    """
    rows = [row for row in history if _known(row, "val_loss")]
    if not history:
        return CurveReading(best_epoch, "unknown", "There is no history of the training.")
    if not rows:
        return CurveReading(
            best_epoch, "unknown", "There were no validation images, so the curves cannot tell when to stop."
        )
    best = best_epoch or int(_value(max(rows, key=_merit), "epoch"))
    if len(rows) < 3:
        return CurveReading(best, "unknown", "So few epochs give no curve to read.")
    verdict, sentence = _judge(rows)
    return CurveReading(best, verdict, sentence)


def validation_leads(history: History) -> bool:
    """Whether validation ended more accurate than training, which wants an explanation."""
    if not history:
        return False
    last = history[-1]
    return _value(last, "val_accuracy") > _value(last, "accuracy")  # NaN, where one is unknown, compares false


def read_history(path: str | os.PathLike[str]) -> list[dict[str, float | None]]:
    """The rows of a ``history.csv``; what was not measured, an empty cell, is None.

    Raises:
        BadFileError: the file is no such table.
    """
    with open_text(path, newline="") as file:
        try:
            return [{key: float(cell) if cell else None for key, cell in row.items()} for row in csv.DictReader(file)]
        except (ValueError, TypeError, csv.Error) as error:
            raise BadFileError(
                path, f"not a history of a training ({error})", "Delete it, or name a model elsewhere."
            ) from None


def _judge(rows: History) -> tuple[Verdict, str]:
    losses = [_value(row, "val_loss") for row in rows]
    lowest = min(range(len(losses)), key=losses.__getitem__)
    epoch = _value(rows[lowest], "epoch")
    before, last = _value(rows[lowest], "loss"), _value(rows[-1], "loss")
    # NaN compares false: a history without training loss can still be read.
    if lowest < len(rows) - 1 and losses[-1] > _RISE * losses[lowest] and last < before:
        return "over-fitting", (
            f"Over-fitting from epoch {epoch:.0f}: validation loss rises from {losses[lowest]:.3g} "
            f"to {losses[-1]:.3g} while training loss falls on. "
            "More data, augmentation or dropout would help, or stopping there."
        )
    earlier = losses[-1 - max(1, len(rows) // 5)]
    if losses[-1] < _FALL * earlier and lowest >= len(rows) - 2:
        if _annealed(rows):
            return "still improving", (
                "It improved to the end, as the learning rate ran down: a longer schedule may give more."
            )
        return "still improving", "Validation loss was still falling at the end: more epochs may give more."
    return (
        "converged",
        f"Converged: validation loss has hardly moved since epoch {_settled(rows, losses):.0f}.",
    )


def _settled(rows: History, losses: list[float]) -> float:
    """The epoch since which validation loss stayed near where it ended."""
    first = len(rows) - 1
    while first > 0 and losses[first - 1] <= _RISE * losses[-1]:
        first -= 1
    return _value(rows[first], "epoch")


def _annealed(rows: History) -> bool:
    rates = [_value(row, "lr") for row in rows if _known(row, "lr")]
    return bool(rates) and rates[-1] < _ANNEALED * max(rates)


def _merit(row: Mapping[str, float | int | None]) -> tuple[float, float]:
    accuracy = _value(row, "val_accuracy")
    return (0.0 if math.isnan(accuracy) else accuracy, -_value(row, "val_loss"))


def _value(row: Mapping[str, float | int | None], key: str) -> float:
    value = row.get(key)
    return math.nan if value is None else float(value)


def _known(row: Mapping[str, float | int | None], key: str) -> bool:
    return math.isfinite(_value(row, key))


# The scale of the small pictures of intervals

_STEPS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25)


@dataclass(frozen=True)
class Scale:
    """Shares from ``low`` to ``high``, with ``ticks`` at round values."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, share: float) -> float:
        """Where ``share`` lies, in per cent of the scale's length; held within it."""
        return round(100 * min(1.0, max(0.0, (share - self.low) / (self.high - self.low))), 2)

    @property
    def digits(self) -> int:
        """Digits behind the point that tell the ticks apart, in per cent."""
        step = self.ticks[1] - self.ticks[0]
        return next(digits for digits in range(4) if math.isclose(100 * step, round(100 * step, digits)))


def scale_around(*intervals: Interval) -> Scale:
    """A scale within 0 to 1, from one round value to another, on which the intervals are seen well."""
    low = min((each.low for each in intervals), default=0.0)
    high = max((each.high for each in intervals), default=1.0)
    wide = max(high - low, 1e-4)
    margin = 1.5 * wide if len(intervals) == 1 else 0.05 * wide
    step = next((step for step in _STEPS if (wide + 2 * margin) / step <= 5), _STEPS[-1])
    first = max(0, math.floor((low - margin) / step + 1e-9))
    last = min(round(1 / step), math.ceil((high + margin) / step - 1e-9))
    ticks = tuple(round(step * place, 6) for place in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks)
