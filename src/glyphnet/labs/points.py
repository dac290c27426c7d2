"""The playground of small networks: points of two classes, and many tiny networks that learn them at once."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator
from scipy.special import expit
from sklearn.datasets import make_circles, make_moons

from ..errors import BadFileError, SettingsError
from ..evaluation.intervals import wilson
from ..files import open_text
from ..settings import suggestion
from .lab import LabSettings

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Points:
    """Labelled points: ``inputs`` float64 (N, D), ``labels`` float64 (N,), 0 or 1; ``about`` is a sentence."""

    name: str
    inputs: Float64Array
    labels: Float64Array
    about: str
    classes: tuple[str, str] = ("0", "1")

    def __len__(self) -> int:
        return len(self.inputs)


_Drawn = tuple[Float64Array, npt.NDArray[np.integer]]


class PointSet(NamedTuple):
    """A kind of point set: ``make`` takes ``n``, the standard deviation of the normal noise, and a generator."""

    make: Callable[[int, float, np.random.Generator], _Drawn]
    n: int
    noise: float
    about: str


def make_points(name: str, *, noise: float | None = None, seed: int = 0) -> Points:
    """Make the points of a row of ``POINTS``, or read a file if the name ends in ".csv".

    Raises:
        SettingsError: unknown name, or noise given with a file.
        BadFileError: see `read_points`.
    """
    if name.lower().endswith(".csv"):
        if noise is not None:
            raise SettingsError(f"noise={noise} has no effect on the points of a file: leave it out.")
        return read_points(name)
    if name not in POINTS:
        raise SettingsError(f'there are no points "{name}"{suggestion(name, [*POINTS, "FILE.csv"])}')
    row = POINTS[name]
    inputs, labels = row.make(row.n, row.noise if noise is None else noise, np.random.default_rng(seed))
    return Points(name, np.asarray(inputs, np.float64), np.asarray(labels, np.float64), row.about)


def read_points(path: str | os.PathLike[str]) -> Points:
    """Read points from a CSV of ``x1, x2, label``, with or without a header, and standardise each coordinate.

    Coordinates in the hundreds would saturate sigmoids with weights near 1.

    Raises:
        BadFileError: it cannot be read, a row is not two finite numbers and a label, or there are not two labels.
    """
    try:
        with open_text(path, encoding="utf-8-sig", newline="", piped=True) as file:
            rows = [(line, row) for line, row in enumerate(csv.reader(file), start=1) if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadFileError(path, f"cannot be read as a table ({error})", "Give a CSV of x1, x2, label.") from None
    if rows and _numbers(rows[0][1]) is None:
        del rows[0]  # the header
    places, names = [], []
    for line, row in rows:
        numbers = _numbers(row)
        if len(row) != 3 or numbers is None:
            raise BadFileError(
                path, f"line {line} is {','.join(row)!r:.60}", "Write two finite numbers and a label: 0.5,-1.2,yes."
            )
        places.append(numbers)
        names.append(row[2].strip())
    classes = sorted(set(names))
    if len(classes) != 2:
        raise BadFileError(path, f"has {len(classes)} labels ({', '.join(classes):.60})", "Give points of two classes.")
    inputs = np.array(places, np.float64)
    spread = inputs.std(axis=0)
    inputs = (inputs - inputs.mean(axis=0)) / np.where(spread > 0, spread, 1)
    labels = np.array([classes.index(name) for name in names], np.float64)
    about = "Your points, each coordinate standardised to mean 0 and standard deviation 1."
    return Points(Path(path).name, inputs, labels, about, (classes[0], classes[1]))


def _numbers(row: Sequence[str]) -> tuple[float, float] | None:
    """The first two cells as finite numbers, or None."""
    try:
        x1, x2 = float(row[0]), float(row[1])
    except (ValueError, IndexError):
        return None
    return (x1, x2) if math.isfinite(x1) and math.isfinite(x2) else None


def _xor(n: int, noise: float, rng: np.random.Generator) -> _Drawn:
    corners = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], n // 4, axis=0)
    return corners + rng.normal(0, noise, corners.shape), corners.sum(axis=1) % 2


def _moons(n: int, noise: float, rng: np.random.Generator) -> _Drawn:
    inputs, labels = make_moons(n, noise=noise or None, random_state=int(rng.integers(2**31)))
    return inputs, labels


def _circles(n: int, noise: float, rng: np.random.Generator) -> _Drawn:
    inputs, labels = make_circles(n, noise=noise or None, factor=0.4, random_state=int(rng.integers(2**31)))
    return 2 * inputs, labels


def _spirals(n: int, noise: float, rng: np.random.Generator) -> _Drawn:
    labels = np.arange(n) % 2
    along = np.sqrt(rng.uniform(0.05, 1, n))  # uniform along the arm, which is longer outside
    angle = 2.5 * np.pi * along + np.pi * labels
    inputs = 3 * along[:, np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return inputs + rng.normal(0, noise, inputs.shape), labels


def _pulse(n: int, noise: float, rng: np.random.Generator) -> _Drawn:
    inputs = rng.uniform(-3, 3, (n, 2))
    return inputs + rng.normal(0, noise, inputs.shape), (np.abs(inputs[:, 0]) < 1).astype(np.int64)


POINTS: dict[str, PointSet] = {
    "xor": PointSet(_xor, 100, 0.01, "The four corners of a square; opposite corners belong together."),
    "moons": PointSet(_moons, 100, 0.15, "Two half-moons that reach into one another."),
    "circles": PointSet(_circles, 100, 0.1, "A ring around a smaller ring."),
    "spirals": PointSet(_spirals, 200, 0.05, "Two spirals, one wound into the other."),
    "pulse": PointSet(_pulse, 100, 0.0, "A band: class 1 between two upright lines, class 0 on either side."),
}
"""Name → how to make such points. A new kind is a function and a row."""

SOLVED = 0.99
"""Accuracy on the training points from which on a start counts as solved."""

_NEVER = -1000.0
"""Bias of an absent unit. Its sigmoid and every gradient through it are 0, so networks of different widths share
one array without a mask."""


@dataclass(frozen=True, eq=False)
class Nets:
    """B networks in two arrays; the last axis is the network, so that NumPy vectorises over it.

    Attributes:
        inward: float64 (D + 1, H, B): the weight of each input for each hidden unit, the bias last.
        outward: float64 (H + 1, B): the weight of each hidden unit for the output, the bias last.
        widths: int64 (B,): number of units of each network; the others output 0.
        seeds: int64 (B,): of the initial weights and of the order of the points.
    """

    inward: Float64Array
    outward: Float64Array
    widths: Int64Array
    seeds: Int64Array

    def __len__(self) -> int:
        return len(self.widths)

    def take(self, which: npt.ArrayLike) -> Nets:
        """A selection, by number."""
        which = np.asarray(which, np.int64)
        return Nets(self.inward[..., which], self.outward[:, which], self.widths[which], self.seeds[which])

    def hidden(self, inputs: Float64Array) -> Float64Array:
        """Output of each hidden unit: float64 (N, H, B), 0 for absent units."""
        activation: Float64Array = expit(np.tensordot(_with_one(inputs), self.inward, axes=1))
        return activation

    def logits(self, inputs: Float64Array) -> Float64Array:
        """Logits, float64 (N, B): positive means class 1."""
        sums: Float64Array = np.einsum("nhb,hb->nb", self.hidden(inputs), self.outward[:-1]) + self.outward[-1]
        return sums

    def accuracy(self, inputs: Float64Array, labels: Float64Array) -> Float64Array:
        """Accuracy of each network: float64 (B,)."""
        right: Float64Array = ((self.logits(inputs) > 0) == (labels[:, np.newaxis] > 0.5)).mean(axis=0)
        return right


def cross_entropy(logits: Float64Array, labels: Float64Array) -> Float64Array:
    """Binary cross-entropy from logits: never the logarithm of 0."""
    each: Float64Array = np.logaddexp(0, logits) - labels * logits
    return each


def begin(widths: Sequence[int], starts: int, inputs: int = 2) -> Nets:
    """Create networks: ``starts`` of each width, those of the first width first.

    Weights and biases are uniform within ± 1/√(inputs of the layer), as PyTorch initialises ``nn.Linear``. Start s of a
    width does not depend on the others.
    """
    most, count = max(widths), len(widths) * starts
    inward = np.zeros((inputs + 1, most, count))
    inward[-1] = _NEVER
    outward = np.zeros((most + 1, count))
    for place, (width, seed) in enumerate((width, seed) for width in widths for seed in range(starts)):
        rng = np.random.default_rng((seed, width))
        inward[:, :width, place] = rng.uniform(-1, 1, (inputs + 1, width)) / np.sqrt(inputs)
        outward[[*range(width), -1], place] = rng.uniform(-1, 1, width + 1) / np.sqrt(width)
    return Nets(inward, outward, np.repeat(widths, starts), np.tile(np.arange(starts), len(widths)))


def _with_one(inputs: Float64Array) -> Float64Array:
    return np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)


@dataclass(frozen=True, eq=False)
class TrainingLog:
    """The trained networks; by epoch, float64 (E, B), the sum of losses and the share right, each before its step."""

    nets: Nets
    loss: Float64Array
    accuracy: Float64Array


def learn(
    nets: Nets,
    inputs: Float64Array,
    labels: Float64Array,
    *,
    lr: float,
    epochs: int,
    first: int = 0,
    progress: Callable[[int], None] | None = None,
) -> TrainingLog:
    """Train all networks by stochastic gradient descent, one point per step; the given ones are not changed.

    Args:
        nets: the initial networks.
        inputs: float64 (N, D).
        labels: float64 (N,), 0 or 1.
        lr: learning rate.
        epochs: E.
        first: number of the first epoch, to continue an earlier training.
        progress: called with the number of finished epochs.
    """
    state = _State(nets, len(inputs), lr)
    loss, accuracy = np.empty((epochs, len(nets))), np.empty((epochs, len(nets)))
    for epoch in range(epochs):
        order = orders(nets.seeds, first + epoch, len(inputs))
        targets = labels[order]
        logits = state.epoch(inputs[order].transpose(0, 2, 1), targets)
        loss[epoch] = cross_entropy(logits, targets).sum(axis=0)
        accuracy[epoch] = ((logits > 0) == (targets > 0.5)).mean(axis=0)
        if progress:
            progress(epoch + 1)
    return TrainingLog(Nets(state.inward, state.outward, nets.widths, nets.seeds), loss, accuracy)


def orders(seeds: Int64Array, epoch: int, points: int) -> Int64Array:
    """Order of the points in an epoch for each network: int64 (points, B), equal for equal seeds."""
    drawn = np.random.default_rng(epoch).random((int(seeds.max()) + 1, points))
    return drawn.argsort(axis=1)[seeds].T


class _State:
    """The changing weights, and the buffers of a step."""

    def __init__(self, nets: Nets, points: int, lr: float) -> None:
        self.inward, self.outward, self.lr = nets.inward.copy(), nets.outward.copy(), lr
        most = len(self.outward) - 1
        self._inputs = np.ones((points, len(self.inward), 1, len(nets)))  # the last row is 1, for the bias
        self._logits = np.empty((points, len(nets)))
        self._hidden = np.ones((most + 1, len(nets)))  # the last row is 1, for the bias
        self._error = np.empty(len(nets))
        self._back = np.empty((most, len(nets)))
        self._by_input, self._by_unit = np.empty_like(self.inward), np.empty_like(self.outward)

    def epoch(self, inputs: Float64Array, targets: Float64Array) -> Float64Array:
        """One step per row of inputs (N, D, B) and targets (N, B). Returns the logits before each step (N, B)."""
        self._inputs[:, :-1, 0] = inputs
        for point, target, logit in zip(self._inputs, targets, self._logits, strict=True):
            self._step(point, target, logit)
        return self._logits

    def _step(self, point: Float64Array, target: Float64Array, logit: Float64Array) -> None:
        """Forward, backward and update, for every network with a point of its own."""
        inward, outward, hidden, back = self.inward, self.outward, self._hidden, self._back
        by_input, by_unit, error = self._by_input, self._by_unit, self._error
        units = hidden[:-1]

        np.multiply(inward, point, out=by_input)
        np.add.reduce(by_input, axis=0, out=units)
        expit(units, out=units)
        np.multiply(outward, hidden, out=by_unit)
        np.add.reduce(by_unit, axis=0, out=logit)

        expit(logit, out=error)  # δ = lr · (p − y)
        np.subtract(error, target, out=error)
        np.multiply(error, self.lr, out=error)
        np.subtract(1, units, out=back)  # δ · w · a · (1 − a), with w from before the step
        np.multiply(back, units, out=back)
        np.multiply(back, outward[:-1], out=back)
        np.multiply(back, error, out=back)

        np.multiply(hidden, error, out=by_unit)
        np.subtract(outward, by_unit, out=outward)
        np.multiply(point, back, out=by_input)
        np.subtract(inward, by_input, out=inward)


class WidthSettings(LabSettings):
    """Settings of the labs that train networks of several widths from many starts."""

    hidden: tuple[int, ...] = Field((1, 2, 3), min_length=1, max_length=8, description="Numbers of hidden units.")
    lr: float = Field(0.1, gt=0, le=100, description="Learning rate.")
    epochs: int = Field(500, ge=1, le=100_000, description="Passes over the points.")

    @field_validator("hidden")
    @classmethod
    def _widths(cls, hidden: tuple[int, ...]) -> tuple[int, ...]:
        if not all(1 <= width <= 256 for width in hidden):
            raise ValueError("each width must be from 1 to 256")
        return tuple(sorted(set(hidden)))


@dataclass(frozen=True, eq=False)
class Result:
    """All widths and starts of a lab after training; ``accuracy`` is that of each network at the end, float64 (B,)."""

    points: Points
    log: TrainingLog
    accuracy: Float64Array

    def of(self, width: int) -> Int64Array:
        """Numbers of the networks of a width."""
        return np.flatnonzero(self.log.nets.widths == width)

    def solved(self, width: int) -> dict[str, Any]:
        """How many starts of a width have an accuracy of at least ``SOLVED``, with Wilson's interval of the share."""
        own = self.of(width)
        solved = int((self.accuracy[own] >= SOLVED).sum())
        interval = wilson(solved, len(own))
        return {
            "hidden": width,
            "starts": len(own),
            "solved": solved,
            "stuck": len(own) - solved,
            "share": solved / len(own),
            "low": interval.low,
            "high": interval.high,
        }


def lowest_median_highest(values: Float64Array) -> dict[str, float]:
    """Three figures of a distribution, for numbers.json."""
    return {"lowest": float(values.min()), "median": float(np.median(values)), "highest": float(values.max())}
