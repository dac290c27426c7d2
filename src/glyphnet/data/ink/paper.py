"""Takes the paper away: from a grey picture, however lit, to how much ink there is at each place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..dataset import UInt8Array
from .resampling import resized

IntArray = npt.NDArray[np.int32]

CELLS = 32  # along the longer side: the grid on which paper is estimated
REACH = 6  # cells: strokes up to 2 · 6 + 1 of 32 wide are told from paper


def ink_depth(grey: UInt8Array) -> UInt8Array:
    """How far each pixel is from the paper around it, towards ink: uint8 (h, w); steps 4 to 6."""
    height, width = grey.shape
    longest = max(height, width)
    down, across = _at_least_one(height, longest), _at_least_one(width, longest)
    grid = resized(grey, down, across, Image.Resampling.BOX).astype(np.int32)
    if not ink_is_light(grid):
        grey, grid = 255 - grey, 255 - grid
    paper = resized(_without_strokes(grid), height, width, Image.Resampling.BILINEAR)
    depth: UInt8Array = np.maximum(grey, paper) - paper
    return depth


def ink_is_light(grid: IntArray) -> bool:
    """Whether what stands out of the paper is lighter than it; paper is what most of the border shows."""
    height, width = grid.shape
    top, bottom, left, right = grid[0], grid[-1], grid[:, 0], grid[:, -1]
    level = middle(np.concatenate([top, bottom, left, right]))
    across = (middle(right) - middle(left)) * ((np.arange(width) + 0.5) / width - 0.5)
    down = (middle(bottom) - middle(top)) * ((np.arange(height) + 0.5) / height - 0.5)
    plane = (level + across) + down[:, np.newaxis]
    stands_out = np.floor(grid - plane + 0.5).astype(np.int64)
    return bool((stands_out**3).sum() > 0)


def middle(values: IntArray) -> int:
    """The upper median: a value that occurs."""
    return int(np.sort(values, axis=None)[values.size // 2])


def _at_least_one(side: int, longest: int) -> int:
    """Cells for a side, as many as are square."""
    cells = min(CELLS, longest)
    return max(1, (2 * side * cells + longest) // (2 * longest))


def _without_strokes(grid: IntArray) -> UInt8Array:
    """Morphological opening: what is lighter than its surroundings and narrower than the window goes.

    The dilation looks beyond the border into a continuation that goes on as the paper does (2·a₀ − aₖ), so that a
    slope of light is kept as it is up to the border.
    """
    eroded = grid
    for axis in (0, 1):
        eroded = np.stack(_window(eroded, axis, goes_on=False)).min(axis=0)
    opened = eroded
    for axis in (0, 1):
        opened = np.stack(_window(opened, axis, goes_on=True)).max(axis=0)
    return np.clip(opened, 0, 255).astype(np.uint8)


def _window(grid: IntArray, axis: int, goes_on: bool) -> list[IntArray]:
    """The grid moved by each step of the window along an axis; beyond the border it stops or goes on evenly."""
    size = grid.shape[axis]
    places = np.arange(-REACH, size + REACH)
    inside = np.clip(places, 0, size - 1)
    padded = grid.take(inside, axis=axis)
    if goes_on:
        mirrored = np.clip(2 * inside - places, 0, size - 1)
        padded = 2 * padded - grid.take(mirrored, axis=axis)
        padded = np.where(_along(places == inside, axis), grid.take(inside, axis=axis), padded)
    return [padded.take(np.arange(start, start + size), axis=axis) for start in range(2 * REACH + 1)]


def _along(values: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.bool_]:
    return values[:, np.newaxis] if axis == 0 else values[np.newaxis]
