"""Finds the ink: the level that parts it from paper, what hangs together, and the box around it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]

SPECK = 40  # a piece this many times smaller than the largest is dust
EDGE = 4  # a piece along more than a quarter of the longer side's length of border is the table, not the ink


class Ink(NamedTuple):
    """The ink in a picture.

    Attributes:
        mask: bool (h, w): where it is.
        box: (top, bottom, left, right), the ends excluded.
    """

    mask: BoolArray
    box: tuple[int, int, int, int]


class _Runs(NamedTuple):
    """Runs of ink along rows: where each lies, from start to end, the end excluded."""

    rows: Int64Array
    starts: Int64Array
    ends: Int64Array


def best_threshold(counts: Int64Array) -> int:
    """Otsu's threshold (1979): values above it and the others differ most; ``counts`` int64 (256,)."""
    below = np.cumsum(counts)
    mass = np.cumsum(counts * np.arange(256))
    above = below[-1] - below
    difference = mass[-1] * below - mass * below[-1]  # whole numbers: exact
    with np.errstate(divide="ignore", invalid="ignore"):
        between = difference.astype(np.float64) / below * difference / above
    return int(np.nan_to_num(between, nan=0.0, posinf=0.0).argmax())


def find_ink(mask: BoolArray) -> Ink:
    """What of the mask is ink: neither specks nor the rim of something larger; step 8."""
    runs = _runs(mask)
    pieces = _pieces(runs)
    lengths = runs.ends - runs.starts
    areas = np.bincount(pieces, weights=lengths).astype(np.int64)
    contact = np.bincount(pieces, weights=_contact(runs, mask.shape)).astype(np.int64)
    inner = EDGE * contact <= max(mask.shape)
    if not inner.any():
        inner[:] = True
    kept = inner & (SPECK * areas >= areas[inner].max())
    which = kept[pieces]
    rows, starts, ends = (values[which] for values in runs)
    if not which.all():
        mask = _painted(rows, starts, ends, mask.shape)
    return Ink(mask, (int(rows[0]), int(rows[-1]) + 1, int(starts.min()), int(ends.max())))


def _runs(mask: BoolArray) -> _Runs:
    height, width = mask.shape
    padded = np.zeros((height, width + 1), dtype=np.int8)
    padded[:, :width] = mask
    steps = np.diff(padded.ravel(), prepend=np.int8(0))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    rows = starts // (width + 1)
    return _Runs(rows, starts - rows * (width + 1), ends - rows * (width + 1))


def _pieces(runs: _Runs) -> Int64Array:
    """The number of the piece that each run belongs to; runs that touch, corners included, are of one."""
    rows, starts, ends = (values.tolist() for values in runs)
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    above = 0
    for run, row in enumerate(rows):
        while rows[above] < row - 1 or (rows[above] == row - 1 and ends[above] < starts[run]):
            above += 1
        touching = above
        while rows[touching] == row - 1 and starts[touching] <= ends[run]:
            parent[root(touching)] = root(run)
            touching += 1
    roots = [root(run) for run in range(len(rows))]
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def _contact(runs: _Runs, shape: tuple[int, ...]) -> Int64Array:
    """Border pixels in each run."""
    height, width = shape
    lengths = runs.ends - runs.starts
    sides = (runs.starts == 0).astype(np.int64) + (runs.ends == width)
    return np.where((runs.rows == 0) | (runs.rows == height - 1), lengths, np.minimum(sides, lengths))


def _painted(rows: Int64Array, starts: Int64Array, ends: Int64Array, shape: tuple[int, ...]) -> BoolArray:
    height, width = shape
    steps = np.zeros(height * (width + 1) + 1, dtype=np.int8)
    steps[rows * (width + 1) + starts] += 1
    steps[rows * (width + 1) + ends] -= 1
    filled: BoolArray = steps[:-1].cumsum(dtype=np.int8).reshape(height, width + 1)[:, :width] > 0
    return filled
