"""The experiment: every width from every start, all in one batched computation, and what became of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from . import points
from .lab import Progress
from .points import SOLVED, Float64Array, Nets, Points, WidthSettings, begin, learn, lowest_median_highest, make_points

GROWTH = (1, 2, 3, 4, 8, 32)
"""Widths of the networks whose boundaries are shown growing."""

_GROWN_LR, _GROWN_EPOCHS = 0.3, 200  # enough for the circles that stand in for XOR there


class XorSettings(WidthSettings):
    """Settings of the lab; ``seeds`` means the same as ``starts``."""

    data: str = Field("xor", description="xor, moons, circles, spirals, pulse, or FILE.csv with x1, x2, label.")
    starts: int | None = Field(
        None, ge=1, le=2000, description="Networks of each width, each from other weights; 50, or 20 if quick."
    )
    noise: float | None = Field(None, ge=0, le=10, description="Spread of the points' noise; for xor 0.01.")

    @model_validator(mode="after")
    def _one_name(self) -> XorSettings:
        if self.starts is not None and self.seeds is not None and self.starts != self.seeds:
            raise ValueError(f"starts (={self.starts}) and seeds (={self.seeds}) mean the same here: give one of them")
        return self

    @property
    def count(self) -> int:
        """Starts of each width."""
        return self.starts or self.seeds or (20 if self.quick else 50)


@dataclass(frozen=True, eq=False)
class Result(points.Result):
    """Adds to all networks of the lab:

    Attributes:
        longer: accuracy of the unsolved ones of each width after as many epochs again: width → float64 (stuck,).
        growing: one network of each of ``GROWTH``, trained on ``grown_on``.
        grown_on: the points for that.
    """

    longer: dict[int, Float64Array]
    growing: Nets
    grown_on: Points

    def best(self, width: int) -> int:
        """The best start of a width: most points right, then lowest loss."""
        own = self.of(width)
        return int(own[np.lexsort((self.log.loss[-1, own], -self.accuracy[own]))[0]])

    def stuck(self, width: int) -> int | None:
        """The first start of a width that has not solved it, or None."""
        own = self.of(width)
        missed = own[self.accuracy[own] < SOLVED]
        return int(missed[0]) if len(missed) else None


def train(settings: XorSettings, progress: Progress) -> Result:
    """Train everything that the page shows.

    Raises:
        SettingsError, BadFileError: see `make_points`.
    """
    data = make_points(settings.data, noise=settings.noise)
    grown_on, grown_lr, grown_epochs = data, settings.lr, settings.epochs
    if settings.data == "xor":  # four corners have no round boundary to grow into
        grown_on, grown_lr, grown_epochs = make_points("circles"), _GROWN_LR, _GROWN_EPOCHS
    total = 2 * settings.epochs + grown_epochs

    def tell(offset: int, what: str) -> Any:
        return lambda epoch: progress(offset + epoch, total, what)

    nets = begin(settings.hidden, settings.count)
    what = f"{len(nets)} networks at once"
    log = learn(nets, data.inputs, data.labels, lr=settings.lr, epochs=settings.epochs, progress=tell(0, what))
    accuracy = log.nets.accuracy(data.inputs, data.labels)
    longer = {}
    missed = np.flatnonzero(accuracy < SOLVED)
    if len(missed):
        on = learn(
            log.nets.take(missed), data.inputs, data.labels, lr=settings.lr, epochs=settings.epochs,
            first=settings.epochs, progress=tell(settings.epochs, "the stuck ones, as long again"),
        )  # fmt: skip
        after = on.nets.accuracy(data.inputs, data.labels)
        longer = {width: after[on.nets.widths == width] for width in settings.hidden}
    growing = learn(
        begin(GROWTH, 1), grown_on.inputs, grown_on.labels, lr=grown_lr, epochs=grown_epochs,
        progress=tell(2 * settings.epochs, "boundaries growing"),
    )  # fmt: skip
    return Result(data, log, accuracy, longer, growing.nets, grown_on)


def measure(settings: XorSettings, result: Result) -> dict[str, Any]:
    """The numbers of the lab, as numbers.json holds them."""
    growing = result.growing.accuracy(result.grown_on.inputs, result.grown_on.labels)
    return {
        "data": result.points.name,
        "points": len(result.points),
        "lr": settings.lr,
        "epochs": settings.epochs,
        "steps": settings.epochs * len(result.points),
        "networks": len(result.nets),
        "solved_from": SOLVED,
        "widths": [_width(result, width) for width in settings.hidden],
        "growing": [
            {"hidden": width, "data": result.grown_on.name, "accuracy": float(accuracy)}
            for width, accuracy in zip(GROWTH, growing, strict=True)
        ],
    }


def _width(result: Result, width: int) -> dict[str, Any]:
    own = result.of(width)
    accuracy, loss = result.accuracy[own], result.log.loss[:, own]
    endings = Counter(round(float(each), 4) for each in accuracy)
    return {
        **result.solved(width),
        "parameters": width * (result.points.inputs.shape[1] + 2) + 1,
        "mean_accuracy": float(accuracy.mean()),
        "endings": [{"accuracy": each, "starts": count} for each, count in sorted(endings.items())],
        "first_loss": float(loss[0].mean()),
        "last_loss": lowest_median_highest(loss[-1]),
        "freed_by_as_long_again": int((result.longer.get(width, np.empty(0)) >= SOLVED).sum()),
    }
