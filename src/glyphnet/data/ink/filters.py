"""Array operations of the drawing steps, in whole numbers, so that JavaScript gives the same values."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..dataset import UInt8Array

IntArray = npt.NDArray[np.signedinteger[Any]]
BoolArray = npt.NDArray[np.bool_]
Levels = npt.NDArray[np.integer[Any]]
EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=np.bool_)
"""For labelling pieces whose corners may touch."""
_Kind = TypeVar("_Kind", bound=np.generic)


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
        rows = pairs & 255
        rows += pairs >> 8
        rows += 1
        rows >>= 1
        made = rows[::2] + rows[1::2]
        made += 1
        made >>= 1
        return made.astype(np.uint8)
    return resized(whole, height, width, Image.Resampling.BOX)


def rimmed(grey: npt.NDArray[_Kind], by: int) -> npt.NDArray[_Kind]:
    """A picture (h, w) with so many pixels of 0 around it. `np.pad` takes three times as long."""
    height, width = grey.shape
    whole = np.zeros((height + 2 * by, width + 2 * by), dtype=grey.dtype)
    whole[by : by + height, by : by + width] = grey
    return whole


def border(images: npt.NDArray[_Kind]) -> npt.NDArray[_Kind]:
    """The outermost pixels of each of (…, H, W): (…, 2·H + 2·W), those of the corners twice."""
    return np.concatenate([images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]], axis=-1)


def extents(mask: BoolArray) -> tuple[Any, Any, Any, Any]:
    """The bounding box of what is True in each of (…, H, W): top, bottom, left, right, int64 (…), ends excluded."""
    rows, columns = np.asarray(mask.any(axis=-1)), np.asarray(mask.any(axis=-2))
    bottom = mask.shape[-2] - rows[..., ::-1].argmax(axis=-1)
    right = mask.shape[-1] - columns[..., ::-1].argmax(axis=-1)
    return rows.argmax(axis=-1), bottom, columns.argmax(axis=-1), right


def mass_centres(weights: Levels) -> npt.NDArray[np.float64]:
    """The centre of mass of each of (…, H, W), none of them without mass: (2, …), y and x from the corner."""
    rows, columns = weights.sum(axis=-1), weights.sum(axis=-2)
    y, x = (sums @ (2 * np.arange(sums.shape[-1]) + 1) for sums in (rows, columns))
    return np.asarray(np.array([y, x]) / (2 * rows.sum(axis=-1)))


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
    return least + int(np.bincount(values.ravel() - least).cumsum().searchsorted(place, side="right"))


def histogram(values: Levels) -> npt.NDArray[np.int64]:
    """How often each level occurs, from 0 to 255 or the highest."""
    values = values.ravel()
    if 2 * (many := np.count_nonzero(values)) < values.size:  # counting equal values takes long
        counts = np.bincount(values[values > 0], minlength=256)
        counts[0] = values.size - many
        return counts
    return np.bincount(values, minlength=256)


def otsu_threshold(values: Levels) -> int:
    """Otsu's threshold (1979) of values 0 to 255: those above it and the others differ most."""
    return int(threshold_of(histogram(values)))


def threshold_of(counts: npt.NDArray[np.int64]) -> Any:
    """`otsu_threshold` of the values that each histogram (…, L) counts: int64 (…)."""
    below = counts.cumsum(axis=-1)
    mass = (counts * np.arange(counts.shape[-1])).cumsum(axis=-1)
    above = below[..., -1:] - below
    difference = mass[..., -1:] * below - mass * below[..., -1:]  # exact; 0 where nothing is below or above
    between = difference.astype(np.float64) / np.maximum(below, 1) * difference / np.maximum(above, 1)
    return between.argmax(axis=-1)


def full_ink(depth: IntArray) -> int:
    """The depth of full ink: the median above Otsu's threshold."""
    clipped = np.clip(depth, 0, 255)
    threshold = otsu_threshold(clipped)
    ink = clipped[clipped > threshold]
    return upper_median(ink) if ink.size else 0


def binomial(values: Levels) -> IntArray:
    """Smoothing by 1 2 1 in both directions, edges repeated, rounded: a Gaussian of σ 0.7 pixels."""
    height, width = values.shape
    padded = np.empty((height + 2, width + 2), dtype=np.promote_types(values.dtype, np.int16))
    padded[1:-1, 1:-1] = values
    padded[0, 1:-1], padded[-1, 1:-1] = values[0], values[-1]
    padded[:, 0], padded[:, -1] = padded[:, 1], padded[:, -2]
    rows = 2 * padded[1:-1]
    rows += padded[:-2]
    rows += padded[2:]
    smooth = 2 * rows[:, 1:-1]
    smooth += rows[:, :-2]
    smooth += rows[:, 2:]
    smooth += 8
    smooth >>= 4
    return smooth


def box_mean(values: IntArray, reach: int) -> IntArray:
    """The mean over (2·reach + 1)² pixels, edges repeated, rounded, halves up."""
    size = 2 * reach + 1
    for axis in (0, 1):
        values = values.take(_places(values.shape[axis], reach, 1)[0], axis=axis)
    sums = values.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    rows = sums[size:-1] - sums[: -size - 1]
    total = rows[:, size:-1] - rows[:, : -size - 1]
    return np.asarray(((2 * total + size * size) // (2 * size * size)).astype(np.int32))


def opened(values: IntArray, reach: int, wider: int = 0) -> IntArray:
    """Morphological opening over a square of 2·reach + 1: what is lighter and narrower than it goes.

    The result is dilated by ``wider`` pixels more. Beyond the border, values continue as they do inside (2·a₀ − aₖ), so
    that a slope is kept up to the border.
    """
    for axis in (0, 1):
        inside, mirrored = _places(values.shape[axis], 2 * reach, wider)
        values = 2 * values.take(inside, axis=axis) - values.take(mirrored, axis=axis)
    return extremes(extremes(values, 2 * reach + 1, np.minimum), 2 * (reach + wider) + 1, np.maximum)


@functools.lru_cache(maxsize=64)
def _places(size: int, by: int, more: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The nearest place inside and its mirror image for each from -by to size + by, ends repeated ``more`` times."""
    places = np.clip(np.arange(-by - more, size + by + more), -by, size + by - 1)
    inside = np.clip(places, 0, size - 1)
    return inside, np.clip(2 * inside - places, 0, size - 1)


def extremes(values: npt.NDArray[_Kind], size: int, choose: np.ufunc) -> npt.NDArray[_Kind]:
    """The least or greatest of each square of ``size`` within (…, h, w): (…, h - size + 1, w - size + 1)."""
    for _ in range(2):  # along columns, then along rows
        for step in doubled(size):
            values = choose(values[..., :-step, :], values[..., step:, :])
        values = values.swapaxes(-1, -2)
    return values


@functools.cache
def doubled(size: int) -> tuple[int, ...]:
    """Steps that make a window of one pixel ``size`` pixels long: each joins two windows that overlap or touch."""
    steps: list[int] = []
    while (reach := 1 + sum(steps)) < size:
        steps.append(min(reach, size - reach))
    return tuple(steps)


def stroke_widths(amounts: Levels) -> Any:
    """Mean width of the strokes in each of (…, H, W), in pixels: float64 (…). Amounts are not negative.

    Twice the area over the length of the outline; as grey levels count for both, blurring changes neither. The
    outline is measured along rows and columns, which makes the widths of slanting strokes come out smaller.
    """
    area = amounts.sum(axis=(-2, -1), dtype=np.int64)
    return 2 * area / np.maximum(_outlines(amounts, area), 1)


def _outlines(amounts: Levels, area: Any) -> Any:
    """The length of the outline in each of (…, H, W): Σ|Δv| along rows and columns, with 0 all around; int64 (…).

    As |a - b| = 2·max(a, b) - a - b, and each pixel has four neighbours: 2·Σmax - 4·``area``, the sum of all pixels.
    """
    down = np.maximum(amounts[..., 1:, :], amounts[..., :-1, :]).sum(axis=(-2, -1), dtype=np.int64)
    across = np.maximum(amounts[..., 1:], amounts[..., :-1]).sum(axis=(-2, -1), dtype=np.int64)
    return 2 * (down + across + border(amounts).sum(axis=-1, dtype=np.int64)) - 4 * area


def softness(amounts: IntArray, full: npt.ArrayLike) -> Any:
    """How wide the edges in each of (…, H, W) are: float64 (…), 0 for pure black and white.

    4·Σ v·(full − v) / full / Σ|Δv|, v within 0 and ``full``, of all or of each (N,): proportional to the width of a
    blurred edge.
    """
    full = np.asarray(full, dtype=np.int32)
    most = full[..., np.newaxis, np.newaxis]
    inner = np.clip(amounts.astype(np.int32), 0, most)
    area = inner.sum(axis=(-2, -1), dtype=np.int64)
    edges = full * area - (inner * inner).sum(axis=(-2, -1), dtype=np.int64)
    return 4 * edges / np.maximum(_outlines(inner, area) * full, 1)


def stroke_lengths(amounts: IntArray, full: npt.ArrayLike) -> Any:
    """How long the strokes in each of (…, H, W) are, in sizes of the drawing: float64 (…).

    The area of what is at least half of ``full``, over the mean width of strokes (`stroke_widths`) and the longer side
    of its bounding box: about 1 for an I, 3.6 for an 8, and 5 to 13 for noise, which winds everywhere.
    """
    most = np.asarray(full)[..., np.newaxis, np.newaxis]
    inner = np.clip(amounts, 0, most)
    mask = 2 * inner >= most
    top, bottom, left, right = extents(mask)
    area = inner.sum(axis=(-2, -1), dtype=np.int64)
    around = 2 * np.maximum(bottom - top, right - left) * area
    return mask.sum(axis=(-2, -1)) * _outlines(inner, area) / np.maximum(around, 1)


def ramp(depth: Levels, full: int, low: int, high: int) -> UInt8Array:
    """0 up to ``low`` hundredths of full ink, 255 from ``high``, straight between. Depths are not negative."""
    rise = (high - low) * full
    levels = np.arange(int(depth.max()) + 1)
    risen = (510 * (100 * levels - low * full) + rise) // (2 * rise)
    return np.clip(risen, 0, 255).astype(np.uint8).take(depth)


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
