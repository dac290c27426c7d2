"""The experiment: networks of one input learn a square pulse, every width from every start at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field, field_validator
from scipy.special import expit

from ...evaluation.intervals import wilson
from ..lab import LabSettings, Progress
from ..points import Course, Nets, begin, learn
from ..points.nets import Float64Array, Int64Array

SOLVED = 0.99
"""The share of the points on the right side of one half from which on the pulse counts as found."""

STEEPNESS = (1, 3, 10, 40)
"""Weights of the two sigmoids that are subtracted by hand."""

_REACH, _POINTS = 3.0, 61


class PulseSettings(LabSettings):
    """What the lab can be asked; ``seeds`` is the number of starts of each width: 50, or 10 if quick."""

    hidden: tuple[int, ...] = Field(
        (1, 2, 3, 5, 10), min_length=1, max_length=8, description="Numbers of hidden units."
    )
    half_width: float = Field(
        1.0, gt=0.1, lt=2.9, description="The pulse is 1 from minus this to this, out of -3 to 3."
    )
    lr: float = Field(0.3, gt=0, le=100, description="Learning rate.")
    epochs: int = Field(500, ge=1, le=100_000, description="Passes over the points.")

    @field_validator("hidden")
    @classmethod
    def _widths(cls, hidden: tuple[int, ...]) -> tuple[int, ...]:
        if not all(1 <= width <= 256 for width in hidden):
            raise ValueError("each width must be from 1 to 256")
        return tuple(sorted(set(hidden)))

    @property
    def count(self) -> int:
        """Starts of each width."""
        return self.seeds or (10 if self.quick else 50)


@dataclass(frozen=True, eq=False)
class Trained:
    """All networks after their training.

    Attributes:
        inputs: float64 (N, 1).
        labels: float64 (N,).
        course: of all widths and starts.
        accuracy: float64 (B,), at the end.
        error: float64 (B,): root mean square of what each network says less what it should.
    """

    inputs: Float64Array
    labels: Float64Array
    course: Course
    accuracy: Float64Array
    error: Float64Array

    @property
    def nets(self) -> Nets:
        """After the training."""
        return self.course.nets

    def of(self, width: int) -> Int64Array:
        """The numbers of the networks of a width."""
        return np.flatnonzero(self.nets.widths == width)

    def best(self, width: int) -> int:
        """The start of a width with the smallest error."""
        own = self.of(width)
        return int(own[self.error[own].argmin()])

    def worst(self, width: int) -> int:
        """The start of a width with the largest error."""
        own = self.of(width)
        return int(own[self.error[own].argmax()])


def train(settings: PulseSettings, progress: Progress) -> Trained:
    """Train every width from every start."""
    inputs = np.linspace(-_REACH, _REACH, _POINTS)[:, np.newaxis]
    labels = (np.abs(inputs[:, 0]) < settings.half_width).astype(np.float64)
    nets = begin(settings.hidden, settings.count, inputs=1)
    course = learn(
        nets, inputs, labels, lr=settings.lr, epochs=settings.epochs,
        progress=lambda epoch: progress(epoch, settings.epochs, f"{len(nets)} networks at once"),
    )  # fmt: skip
    said = expit(course.nets.logits(inputs))
    error = np.sqrt(((said - labels[:, np.newaxis]) ** 2).mean(axis=0))
    return Trained(inputs, labels, course, course.nets.accuracy(inputs, labels), error)


def by_hand(settings: PulseSettings, steepness: float, inputs: Float64Array) -> Float64Array:
    """One sigmoid that rises at the pulse's left edge, less one that rises at its right edge."""
    difference: Float64Array = expit(steepness * (inputs + settings.half_width)) - expit(
        steepness * (inputs - settings.half_width)
    )
    return difference


def measure(settings: PulseSettings, trained: Trained) -> dict[str, Any]:
    """The numbers of the lab, as numbers.json holds them."""
    inside = float(trained.labels.mean())
    hand = [
        np.sqrt(((by_hand(settings, each, trained.inputs[:, 0]) - trained.labels) ** 2).mean()) for each in STEEPNESS
    ]
    return {
        "points": len(trained.labels),
        "inside": int(trained.labels.sum()),
        "error_of_a_constant": float(np.sqrt(inside * (1 - inside))),
        "lr": settings.lr,
        "epochs": settings.epochs,
        "networks": len(trained.nets),
        "solved_from": SOLVED,
        "by_hand": [{"steepness": steep, "error": float(error)} for steep, error in zip(STEEPNESS, hand, strict=True)],
        "widths": [_width(trained, width) for width in settings.hidden],
    }


def _width(trained: Trained, width: int) -> dict[str, Any]:
    own = trained.of(width)
    solved = int((trained.accuracy[own] >= SOLVED).sum())
    interval = wilson(solved, len(own))
    best = trained.nets.take([trained.best(width)])
    return {
        "hidden": width,
        "starts": len(own),
        "solved": solved,
        "stuck": len(own) - solved,
        "share": solved / len(own),
        "low": interval.low,
        "high": interval.high,
        "error": {
            "lowest": float(trained.error[own].min()),
            "median": float(np.median(trained.error[own])),
            "highest": float(trained.error[own].max()),
        },
        "best_accuracy": float(trained.accuracy[own].max()),
        "best_start": {
            "inward": best.inward[0, :width, 0].tolist(),
            "biases": best.inward[1, :width, 0].tolist(),
            "outward": best.outward[:width, 0].tolist(),
            "bias": float(best.outward[-1, 0]),
        },
    }
