"""Points of two classes: made from a seed, or read from a table."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.datasets import make_circles, make_moons

from ...errors import BadFileError, SettingsError
from ...files import open_text
from ...settings import suggestion

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Points:
    """Labelled points.

    Attributes:
        name: what they are called.
        inputs: float64 (N, D).
        labels: float64 (N,), 0 or 1.
        about: what they are, in a sentence.
        classes: the names of the two classes.
    """

    name: str
    inputs: Float64Array
    labels: Float64Array
    about: str
    classes: tuple[str, str] = ("0", "1")

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class PointSet:
    """A way to make points.

    Attributes:
        make: from a number of points, noise and generator to inputs (N, 2) and labels (N,).
        n: the number of points.
        noise: standard deviation of the normal noise unless another is asked for.
        about: what they are, in a sentence.
    """

    make: Callable[[int, float, np.random.Generator], tuple[Float64Array, npt.NDArray[np.integer]]]
    n: int
    noise: float
    about: str


def make_points(name: str, *, noise: float | None = None, seed: int = 0) -> Points:
    """The points of a row of ``POINTS``, or of a CSV file.

    Args:
        name: of the row, or a path that ends in ".csv".
        noise: standard deviation of the normal noise; the row's own if None. A file has none of ours.
        seed: of noise and places.

    Raises:
        SettingsError: there is no such row, or noise was asked for with a file.
        BadFileError: see `read_points`.
    """
    if name.lower().endswith(".csv"):
        if noise is not None:
            raise SettingsError(f"noise={noise} has no effect on the points of a file: leave it out.")
        return read_points(name)
    if name not in POINTS:
        raise SettingsError(f'there are no points "{name}"{suggestion(name, [*POINTS, "FILE.csv"])}')
    row = POINTS[name]
    rng = np.random.default_rng(seed)
    inputs, labels = row.make(row.n, row.noise if noise is None else noise, rng)
    return Points(name, np.asarray(inputs, np.float64), np.asarray(labels, np.float64), row.about)


def read_points(path: str | os.PathLike[str]) -> Points:
    """Points from a CSV of ``x1, x2, label``, with or without a header; each coordinate is standardised.

    A network with sigmoids and weights near 1 sees nothing in coordinates of hundreds, hence mean 0, spread 1.

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
    about = "Points of your own, each coordinate brought to mean 0 and standard deviation 1."
    return Points(Path(path).name, inputs, labels, about, (classes[0], classes[1]))


def _numbers(row: Sequence[str]) -> tuple[float, float] | None:
    """The first two cells as finite numbers, or None."""
    try:
        x1, x2 = float(row[0]), float(row[1])
    except (ValueError, IndexError):
        return None
    return (x1, x2) if math.isfinite(x1) and math.isfinite(x2) else None


def _xor(n: int, noise: float, rng: np.random.Generator) -> tuple[Float64Array, npt.NDArray[np.integer]]:
    corners = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], n // 4, axis=0)
    return corners + rng.normal(0, noise, corners.shape), corners.sum(axis=1) % 2


def _moons(n: int, noise: float, rng: np.random.Generator) -> tuple[Float64Array, npt.NDArray[np.integer]]:
    inputs, labels = make_moons(n, noise=noise or None, random_state=int(rng.integers(2**31)))
    return inputs, labels


def _circles(n: int, noise: float, rng: np.random.Generator) -> tuple[Float64Array, npt.NDArray[np.integer]]:
    inputs, labels = make_circles(n, noise=noise or None, factor=0.4, random_state=int(rng.integers(2**31)))
    return 2 * inputs, labels


def _spirals(n: int, noise: float, rng: np.random.Generator) -> tuple[Float64Array, npt.NDArray[np.integer]]:
    labels = np.arange(n) % 2
    along = np.sqrt(rng.uniform(0.05, 1, n))  # evenly along the arm, which is longer outside
    angle = 2.5 * np.pi * along + np.pi * labels
    inputs = 3 * along[:, np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return inputs + rng.normal(0, noise, inputs.shape), labels


def _pulse(n: int, noise: float, rng: np.random.Generator) -> tuple[Float64Array, npt.NDArray[np.integer]]:
    inputs = rng.uniform(-3, 3, (n, 2))
    return inputs + rng.normal(0, noise, inputs.shape), (np.abs(inputs[:, 0]) < 1).astype(np.int64)


POINTS: dict[str, PointSet] = {
    "xor": PointSet(_xor, 100, 0.01, "The four corners of a square; opposite corners belong together."),
    "moons": PointSet(_moons, 100, 0.15, "Two half-moons that reach into one another."),
    "circles": PointSet(_circles, 100, 0.1, "A ring around a smaller ring."),
    "spirals": PointSet(_spirals, 200, 0.05, "Two spirals, one wound into the other."),
    "pulse": PointSet(_pulse, 100, 0.0, "A band: class 1 between two upright lines, class 0 on either side."),
}
"""Name → how such points are made. A new kind is a function and a row."""
