"""The experiment: networks of one input learn a square pulse, every width from every start at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field
from scipy.special import expit

from . import points
from .lab import Progress
from .points import SOLVED, Float64Array, Points, WidthSettings, begin, learn, lowest_median_highest

STEEPNESS = (1, 3, 10, 40)
"""Weights of the two sigmoids that are subtracted by hand."""

_REACH, _POINTS = 3.0, 61


class PulseSettings(WidthSettings):
    """Settings of the lab; ``seeds`` is the number of starts of each width: 50, or 10 if quick."""

    hidden: tuple[int, ...] = Field(
        (1, 2, 3, 5, 10), min_length=1, max_length=8, description="Numbers of hidden units."
    )
    lr: float = Field(0.3, gt=0, le=100, description="Learning rate.")
    half_width: float = Field(
        1.0, gt=0.1, lt=2.9, description="The pulse is 1 from minus this to this, out of -3 to 3."
    )

    @property
    def count(self) -> int:
        """Starts of each width."""
        return self.seeds or (10 if self.quick else 50)


@dataclass(frozen=True, eq=False)
class Result(points.Result):
    """Adds to all networks of the lab:

    Attributes:
        error: float64 (B,): root mean square difference between each network's output and the pulse.
    """

    error: Float64Array

    @property
    def inputs(self) -> Float64Array:
        """float64 (N, 1)."""
        return self.points.inputs

    @property
    def labels(self) -> Float64Array:
        """float64 (N,), 0 or 1."""
        return self.points.labels

    def best(self, width: int) -> int:
        """The start of a width with the smallest error."""
        own = self.of(width)
        return int(own[self.error[own].argmin()])

    def worst(self, width: int) -> int:
        """The start of a width with the largest error."""
        own = self.of(width)
        return int(own[self.error[own].argmax()])


def train(settings: PulseSettings, progress: Progress) -> Result:
    """Train every width from every start."""
    inputs = np.linspace(-_REACH, _REACH, _POINTS)[:, np.newaxis]
    labels = (np.abs(inputs[:, 0]) < settings.half_width).astype(np.float64)
    nets = begin(settings.hidden, settings.count, inputs=1)
    log = learn(
        nets, inputs, labels, lr=settings.lr, epochs=settings.epochs,
        progress=lambda epoch: progress(epoch, settings.epochs, f"{len(nets)} networks at once"),
    )  # fmt: skip
    outputs = expit(log.nets.logits(inputs))
    error = np.sqrt(((outputs - labels[:, np.newaxis]) ** 2).mean(axis=0))
    pulse = Points("pulse", inputs, labels, "A square pulse.")
    return Result(pulse, log, log.nets.accuracy(inputs, labels), error)


def by_hand(settings: PulseSettings, steepness: float, inputs: Float64Array) -> Float64Array:
    """One sigmoid that rises at the pulse's left edge, less one that rises at its right edge."""
    difference: Float64Array = expit(steepness * (inputs + settings.half_width)) - expit(
        steepness * (inputs - settings.half_width)
    )
    return difference


def measure(settings: PulseSettings, result: Result) -> dict[str, Any]:
    """The numbers of the lab, as numbers.json holds them."""
    inside = float(result.labels.mean())
    hand = [np.sqrt(((by_hand(settings, each, result.inputs[:, 0]) - result.labels) ** 2).mean()) for each in STEEPNESS]
    return {
        "points": len(result.labels),
        "inside": int(result.labels.sum()),
        "error_of_a_constant": float(np.sqrt(inside * (1 - inside))),
        "lr": settings.lr,
        "epochs": settings.epochs,
        "networks": len(result.nets),
        "solved_from": SOLVED,
        "by_hand": [{"steepness": steep, "error": float(error)} for steep, error in zip(STEEPNESS, hand, strict=True)],
        "widths": [_width(result, width) for width in settings.hidden],
    }


def _width(result: Result, width: int) -> dict[str, Any]:
    own = result.of(width)
    best = result.nets.take([result.best(width)])
    return {
        **result.solved(width),
        "error": lowest_median_highest(result.error[own]),
        "best_accuracy": float(result.accuracy[own].max()),
        "best_start": {
            "inward": best.inward[0, :width, 0].tolist(),
            "biases": best.inward[1, :width, 0].tolist(),
            "outward": best.outward[:width, 0].tolist(),
            "bias": float(best.outward[-1, 0]),
        },
    }
