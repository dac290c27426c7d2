"""Array operations of the drawing steps, in whole numbers, so that JavaScript gives the same values."""

from __future__ import annotations

import functools
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..dataset import UInt8Array

IntArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]
_Integers = TypeVar("_Integers", UInt8Array, IntArray, npt.NDArray[np.int64])


def resized(grey: UInt8Array, height: int, width: int, method: Image.Resampling) -> UInt8Array:
    """A grey picture (h, w) in another size, rows first.

    Pillow by itself chooses which direction comes first, by rules that change with its versions, and as it rounds in
    between, the last bits depend on it.
    """
    if grey.shape == (height, width):
        return grey
    rows = Image.fromarray(grey).resize((width, grey.shape[0]), method)
    return np.asarray(rows.resize((width, height), method))


def reduced(grey: UInt8Array, factor: int) -> UInt8Array:
    """A grey picture (h, w) reduced by a whole factor; what is left of the last incomplete pixel is cut off."""
    if factor == 1:
        return grey
    height, width = (max(1, side // factor) for side in grey.shape)
    whole = grey[: height * factor, : width * factor]
    if factor == 2 and whole.shape == (2 * height, 2 * width):  # the same in a quarter of the time
        pairs = np.ascontiguousarray(whole).view(np.uint16)
        rows = ((pairs & 255) + (pairs >> 8) + 1) >> 1
        return ((rows[::2] + rows[1::2] + 1) >> 1).astype(np.uint8)
    return resized(whole, height, width, Image.Resampling.BOX)


def rimmed(grey: UInt8Array, by: int) -> UInt8Array:
    """A picture (h, w) with so many pixels of 0 around it. `np.pad` takes three times as long."""
    height, width = grey.shape
    whole = np.zeros((height + 2 * by, width + 2 * by), dtype=grey.dtype)
    whole[by : by + height, by : by + width] = grey
    return whole


def border(grey: _Integers) -> _Integers:
    """The outermost pixels of images (N, H, W): (N, 2·H + 2·W), those of the corners twice."""
    return np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)


def extents(mask: BoolArray) -> IntArray:
    """The bounding box of what is True in each of (N, H, W): int (4, N), top, bottom, left, right."""
    rows, columns = np.asarray(mask.any(axis=2)), np.asarray(mask.any(axis=1))
    top, left = rows.argmax(axis=1), columns.argmax(axis=1)
    bottom = mask.shape[1] - rows[:, ::-1].argmax(axis=1)
    right = mask.shape[2] - columns[:, ::-1].argmax(axis=1)
    return np.stack([top, bottom, left, right]).astype(np.int32)


def mass_centres(weights: IntArray) -> npt.NDArray[np.float64]:
    """The centre of mass of each of (N, H, W), none of them without mass: (2, N), y and x from the corner."""
    height, width = weights.shape[1:]
    total = weights.sum(axis=(1, 2))
    y = weights.sum(axis=2) @ (2 * np.arange(height) + 1)
    x = weights.sum(axis=1) @ (2 * np.arange(width) + 1)
    centres: npt.NDArray[np.float64] = np.stack([y, x]) / (2 * total)
    return centres


def upper_median(values: npt.NDArray[np.integer]) -> int:
    """The upper median: a value that occurs."""
    return ranked(values, 1, 2)


def ranked(values: npt.NDArray[np.integer], share: int, of: int) -> int:
    """The value at place ⌊n·share/of⌋ of the n sorted values."""
    place = min(values.size - 1, values.size * share // of)
    if values.size < 1000:
        return int(np.sort(values, axis=None)[place])
    first = values.flat[0]  # of most pictures: the level of the paper, which more than half of the pixels have
    below = int(np.count_nonzero(values < first))
    if below <= place < below + int(np.count_nonzero(values == first)):
        return int(first)
    least = int(values.min())  # partitioning is slow where many values are equal
    return least + int(np.searchsorted(np.bincount(values.ravel() - least).cumsum(), place, side="right"))


def otsu_threshold(values: npt.NDArray[np.integer]) -> int:
    """Otsu's threshold (1979) of values 0 to 255: those above it and the others differ most."""
    values = values.ravel()
    if 2 * (many := np.count_nonzero(values)) < values.size:  # counting equal values takes long
        counts = np.bincount(values[values > 0], minlength=256)
        counts[0] = values.size - many
    else:
        counts = np.bincount(values, minlength=256)
    below = np.cumsum(counts)
    mass = np.cumsum(counts * np.arange(256))
    above = below[-1] - below
    difference = mass[-1] * below - mass * below[-1]  # whole numbers: exact; 0 where nothing is below or above
    between = difference.astype(np.float64) / np.maximum(below, 1) * difference / np.maximum(above, 1)
    return int(between.argmax())


def full_ink(depth: IntArray) -> int:
    """The depth of full ink: the median above Otsu's threshold."""
    clipped = np.clip(depth, 0, 255)
    threshold = otsu_threshold(clipped)
    ink = clipped[clipped > threshold]
    return upper_median(ink) if ink.size else 0


def binomial(values: IntArray) -> IntArray:
    """Smoothing by 1 2 1 in both directions, edges repeated, rounded: a Gaussian of σ 0.7 pixels."""
    rows = 2 * values
    rows[1:] += values[:-1]
    rows[:-1] += values[1:]
    rows[0] += values[0]
    rows[-1] += values[-1]
    smooth = 2 * rows + 8
    smooth[:, 1:] += rows[:, :-1]
    smooth[:, :-1] += rows[:, 1:]
    smooth[:, 0] += rows[:, 0]
    smooth[:, -1] += rows[:, -1]
    smooth >>= 4
    return smooth


def box_mean(values: IntArray, reach: int) -> IntArray:
    """The mean over (2·reach + 1)² pixels, edges repeated, rounded, halves up."""
    size = 2 * reach + 1
    sums = np.pad(np.pad(values, reach, mode="edge"), ((1, 0), (1, 0))).cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    total = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    mean: IntArray = ((2 * total + size * size) // (2 * size * size)).astype(np.int32)
    return mean


def opened(values: IntArray, reach: int, wider: int = 0) -> IntArray:
    """Morphological opening over a square of 2·reach + 1: what is lighter and narrower than it goes.

    The result is dilated by ``wider`` pixels more. Beyond the border, values continue as they do inside (2·a₀ − aₖ), so
    that a slope is kept up to the border.
    """
    from scipy import ndimage  # slow to import, and most pictures do not need it

    padded = _continued(values, 2 * reach)
    for choose, by in ((ndimage.minimum_filter1d, reach), (ndimage.maximum_filter1d, reach + wider)):
        for axis in (0, 1):
            padded = choose(padded, 2 * by + 1, axis=axis, mode="nearest")
    inner: IntArray = padded[2 * reach : -2 * reach or None, 2 * reach : -2 * reach or None]
    return inner


def _continued(values: IntArray, by: int) -> IntArray:
    for axis in (0, 1):
        inside, mirrored = _places(values.shape[axis], by)
        values = 2 * values.take(inside, axis=axis) - values.take(mirrored, axis=axis)
    return values


@functools.lru_cache(maxsize=64)
def _places(size: int, by: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each place from -by to size + by: the nearest one inside, and its mirror image within; inside, itself."""
    places = np.arange(-by, size + by)
    inside = np.clip(places, 0, size - 1)
    return inside, np.clip(2 * inside - places, 0, size - 1)


def stroke_widths(amounts: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Mean width of the strokes in each of (N, H, W), in pixels: float64 (N,).

    Twice the area over the length of the outline; as grey levels count for both, blurring changes neither. The
    outline is measured along rows and columns, which makes the widths of slanting strokes come out smaller.
    """
    area = amounts.sum(axis=(1, 2), dtype=np.int64)
    widths: npt.NDArray[np.float64] = 2 * area / np.maximum(_outlines(amounts.astype(np.int32)), 1)
    return widths


def _outlines(amounts: _Integers) -> npt.NDArray[np.int64]:
    """The length of the outline in each of (N, H, W): Σ|Δv| along rows and columns, with 0 all around; int64 (N,)."""
    outline: npt.NDArray[np.int64] = np.abs(border(amounts)).sum(axis=1, dtype=np.int64)
    for axis in (1, 2):
        outline += np.abs(np.diff(amounts, axis=axis)).sum(axis=(1, 2), dtype=np.int64)
    return outline


def softness(amounts: npt.NDArray[np.integer], full: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """How wide the edges in each of (N, H, W) are: float64 (N,), 0 for pure black and white.

    4·Σ v·(full − v) / full / Σ|Δv|, v within 0 and ``full``, of all or of each (N,): proportional to the width of a
    blurred edge.
    """
    full = np.reshape(full, -1)
    most = full.astype(np.int32)[:, np.newaxis, np.newaxis]
    inner = np.clip(amounts, 0, most).astype(np.int32)
    edges = (inner * (most - inner)).sum(axis=(1, 2), dtype=np.int64)
    widths: npt.NDArray[np.float64] = 4 * edges / np.maximum(_outlines(inner) * full, 1)
    return widths


def stroke_lengths(amounts: npt.NDArray[np.integer], full: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """How long the strokes in each of (N, H, W) are, in sizes of the drawing: float64 (N,).

    The area of what is at least half of ``full``, over the mean width of strokes (`stroke_widths`) and the longer side
    of its bounding box: about 1 for an I, 3.6 for an 8, and 5 to 13 for noise, which winds everywhere.
    """
    full = np.broadcast_to(np.reshape(full, -1), len(amounts))
    most = full[:, np.newaxis, np.newaxis]
    inner = np.clip(amounts, 0, most).astype(np.int64)
    mask = 2 * inner >= most
    top, bottom, left, right = extents(mask).astype(np.int64)
    size = np.maximum(bottom - top, right - left)
    area = 2 * size * inner.sum(axis=(1, 2))
    lengths: npt.NDArray[np.float64] = mask.sum(axis=(1, 2)) * _outlines(inner) / np.maximum(area, 1)
    return lengths


def ramp(depth: IntArray, full: int, low: int, high: int) -> IntArray:
    """0 up to ``low`` hundredths of full ink, 255 from ``high``, straight between."""
    rise = (high - low) * full
    return np.clip((510 * (100 * depth - low * full) + rise) // (2 * rise), 0, 255).astype(np.int32)


def thicken(amount: UInt8Array, steps: int) -> UInt8Array:
    """Dilate by so many pixels, or erode where ``steps`` is negative: nearly round, by a cross and a square in turn."""
    grow = np.maximum if steps > 0 else np.minimum
    for step in range(abs(steps)):
        padded = rimmed(amount, 1)
        if step % 2:
            rows = grow(grow(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
            amount = grow(grow(rows[:-2], rows[1:-1]), rows[2:])
        else:
            beside = grow(padded[:-2, 1:-1], padded[2:, 1:-1])
            amount = grow(grow(beside, grow(padded[1:-1, :-2], padded[1:-1, 2:])), amount)
    return amount
