"""The experiment: every width from every start, all in one batched computation, and what became of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field, field_validator, model_validator

from ...evaluation.intervals import wilson
from ..lab import LabSettings, Progress
from ..points import Course, Nets, Points, begin, learn, make_points
from ..points.nets import Float64Array, Int64Array

SOLVED = 0.99
"""The accuracy, on the points it learnt, from which on a start has solved them."""

GROWTH = (1, 2, 3, 4, 8, 32)
"""Widths of the networks whose boundaries are shown growing."""

_GROWN_LR, _GROWN_EPOCHS = 0.3, 200  # enough for the circles that stand in for XOR there


class XorSettings(LabSettings):
    """What the lab can be asked."""

    data: str = Field("xor", description="xor, moons, circles, spirals, pulse, or FILE.csv with x1, x2, label.")
    hidden: tuple[int, ...] = Field((1, 2, 3), min_length=1, max_length=8, description="Numbers of hidden units.")
    starts: int | None = Field(
        None, ge=1, le=2000, description="Networks of each width, each from other weights; 50, or 20 if quick."
    )
    noise: float | None = Field(None, ge=0, le=10, description="Spread of the points' noise; for xor 0.01.")
    lr: float = Field(0.1, gt=0, le=100, description="Learning rate.")
    epochs: int = Field(500, ge=1, le=100_000, description="Passes over the points.")

    @field_validator("hidden")
    @classmethod
    def _widths(cls, hidden: tuple[int, ...]) -> tuple[int, ...]:
        if not all(1 <= width <= 256 for width in hidden):
            raise ValueError("each width must be from 1 to 256")
        return tuple(sorted(set(hidden)))

    @model_validator(mode="after")
    def _one_name(self) -> XorSettings:
        if self.starts is not None and self.seeds is not None and self.starts != self.seeds:
            raise ValueError(f"starts (={self.starts}) and seeds (={self.seeds}) mean the same here: give one of them")
        return self

    @property
    def count(self) -> int:
        """Starts of each width."""
        return self.starts or self.seeds or (20 if self.quick else 50)


_SPREAD = {"lowest": np.min, "median": np.median, "highest": np.max}


@dataclass(frozen=True, eq=False)
class Trained:
    """All networks of the lab after their training.

    Attributes:
        points: what they learnt.
        course: of all widths and starts.
        accuracy: float64 (B,), of each network at the end.
        longer: accuracy of the stuck ones of each width after as many epochs again: width → float64 (stuck,).
        growing: one network of each of ``GROWTH``, trained on ``grown_on``.
        grown_on: the points for that.
    """

    points: Points
    course: Course
    accuracy: Float64Array
    longer: dict[int, Float64Array]
    growing: Nets
    grown_on: Points

    @property
    def nets(self) -> Nets:
        """After the training."""
        return self.course.nets

    def of(self, width: int) -> Int64Array:
        """The numbers of the networks of a width."""
        return np.flatnonzero(self.nets.widths == width)

    def best(self, width: int) -> int:
        """The start of a width that ended best: most points right, then lowest loss."""
        own = self.of(width)
        return int(own[np.lexsort((self.course.loss[-1, own], -self.accuracy[own]))[0]])

    def stuck(self, width: int) -> int | None:
        """The first start of a width that has not solved it, or None."""
        own = self.of(width)
        missed = own[self.accuracy[own] < SOLVED]
        return int(missed[0]) if len(missed) else None


def train(settings: XorSettings, progress: Progress) -> Trained:
    """Train everything that the page shows.

    Raises:
        SettingsError, BadFileError: see `make_points`.
    """
    points = make_points(settings.data, noise=settings.noise)
    grown_on, grown_lr, grown_epochs = points, settings.lr, settings.epochs
    if settings.data == "xor":  # four corners have no round boundary to grow into
        grown_on, grown_lr, grown_epochs = make_points("circles"), _GROWN_LR, _GROWN_EPOCHS
    total = 2 * settings.epochs + grown_epochs

    def tell(offset: int, what: str) -> Any:
        return lambda epoch: progress(offset + epoch, total, what)

    nets = begin(settings.hidden, settings.count)
    what = f"{len(nets)} networks at once"
    course = learn(nets, points.inputs, points.labels, lr=settings.lr, epochs=settings.epochs, progress=tell(0, what))
    accuracy = course.nets.accuracy(points.inputs, points.labels)
    longer = {}
    missed = np.flatnonzero(accuracy < SOLVED)
    if len(missed):
        on = learn(
            course.nets.take(missed), points.inputs, points.labels, lr=settings.lr, epochs=settings.epochs,
            first=settings.epochs, progress=tell(settings.epochs, "the stuck ones, as long again"),
        )  # fmt: skip
        after = on.nets.accuracy(points.inputs, points.labels)
        longer = {width: after[on.nets.widths == width] for width in settings.hidden}
    growing = learn(
        begin(GROWTH, 1), grown_on.inputs, grown_on.labels, lr=grown_lr, epochs=grown_epochs,
        progress=tell(2 * settings.epochs, "boundaries growing"),
    )  # fmt: skip
    return Trained(points, course, accuracy, longer, growing.nets, grown_on)


def measure(settings: XorSettings, trained: Trained) -> dict[str, Any]:
    """The numbers of the lab, as numbers.json holds them."""
    points = trained.points
    growing = trained.growing.accuracy(trained.grown_on.inputs, trained.grown_on.labels)
    return {
        "data": points.name,
        "points": len(points),
        "lr": settings.lr,
        "epochs": settings.epochs,
        "steps": settings.epochs * len(points),
        "networks": len(trained.nets),
        "solved_from": SOLVED,
        "widths": [_width(trained, width) for width in settings.hidden],
        "growing": [
            {"hidden": width, "data": trained.grown_on.name, "accuracy": float(accuracy)}
            for width, accuracy in zip(GROWTH, growing, strict=True)
        ],
    }


def _width(trained: Trained, width: int) -> dict[str, Any]:
    own = trained.of(width)
    accuracy = trained.accuracy[own]
    solved = int((accuracy >= SOLVED).sum())
    interval = wilson(solved, len(own))
    endings = Counter(round(float(each), 4) for each in accuracy)
    loss = trained.course.loss[:, own]
    return {
        "hidden": width,
        "parameters": width * (trained.points.inputs.shape[1] + 2) + 1,
        "starts": len(own),
        "solved": solved,
        "share": solved / len(own),
        "low": interval.low,
        "high": interval.high,
        "mean_accuracy": float(accuracy.mean()),
        "endings": [{"accuracy": each, "starts": count} for each, count in sorted(endings.items())],
        "first_loss": float(loss[0].mean()),
        "last_loss": {
            "lowest": float(loss[-1].min()),
            "median": float(np.median(loss[-1])),
            "highest": float(loss[-1].max()),
        },
        "stuck": len(own) - solved,
        "freed_by_as_long_again": int((trained.longer.get(width, np.empty(0)) >= SOLVED).sum()),
    }
