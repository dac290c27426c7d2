"""Which of many images `normalize_picture` would return as they are: its measurements, for whole batches at once.

Nearly all images of a data set of drawings are like its training images. One by one they take most of a millisecond
each; together a twentieth of that.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..dataset import UInt8Array
from ..decode import ImageShape
from .filters import (
    BoolArray,
    IntArray,
    border,
    extents,
    mass_centres,
    softness,
    stroke_lengths,
    threshold_of,
)
from .repair import FAINTEST, FEWEST, FRAME, is_ink, lone_pixels, roughness
from .spec import InkSpec

_AT_ONCE = 512  # images: their intermediate arrays fit into a processor's cache


def already_normal(images: UInt8Array, spec: InkSpec, image_shape: ImageShape) -> BoolArray:
    """Which images `normalize_picture` surely returns as they are, bool (N,).

    An image that is not sure counts as False, so that calling `normalize_picture` for these and keeping the others
    gives the same as calling it for all.

    Args:
        images: uint8 (N, h, w, C).
        spec: how training images look.
        image_shape: (H, W, C) of the model's images.
    """
    sure = np.zeros(len(images), dtype=np.bool_)
    if spec.kind != "ink" or images.shape[1:] != image_shape or image_shape[2] != 1:
        return sure
    for start in range(0, len(images), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        sure[part] = _as_in_training(images[part, :, :, 0].astype(np.int32), spec)
    return sure


def _as_in_training(grey: IntArray, spec: InkSpec) -> BoolArray:
    """The conditions of `repair.small_depth` and of `normalize._in_place` under which neither changes a pixel."""
    assert spec.background is not None
    light = spec.ink > spec.background
    upright = grey if light else -grey
    depth = upright - (spec.background if light else -spec.background)
    flat = depth.reshape(len(depth), -1)
    fine = (flat.min(axis=1) >= 0) & _even_border(grey, upright) & _on_its_background(grey, spec, light)

    counts = _histograms(flat)
    threshold = threshold_of(counts)
    ink = depth > threshold[:, np.newaxis, np.newaxis]
    many = ink.sum(axis=(1, 2))
    above = np.where(np.arange(256) > threshold[:, np.newaxis], counts, 0).cumsum(axis=1)
    full = (above > (many // 2)[:, np.newaxis]).argmax(axis=1)
    fine &= (many > 0) & (full >= max(FAINTEST, spec.noise // 4))
    fine &= (full >= spec.levels[0]) & (full <= spec.levels[1])
    fine &= _little_noise(depth, ink, spec) & (lone_pixels(ink) <= max(spec.specks, 1000 // ink[0].size))
    fine &= softness(depth, np.maximum(full, 1)) <= spec.softness
    fine &= stroke_lengths(depth, full) <= spec.length
    found: BoolArray = fine & _in_its_place(depth, spec)
    return found


def _even_border(grey: IntArray, upright: IntArray) -> BoolArray:
    """No stripes, no slope, no uneven paper: see `repair.above_background`."""
    count, height, width = grey.shape
    fine = np.ones(count, dtype=np.bool_)
    if min(height, width) >= FEWEST:
        framed = np.ones((height, width), dtype=np.bool_)
        framed[FRAME:-FRAME, FRAME:-FRAME] = False
        fine &= _spread(grey[:, framed], 9, 1, 10) < FAINTEST
        fine &= _spread(border(upright), 19, 1, 20) < FAINTEST
    sides = (grey[:, 0], grey[:, -1], grey[..., 0], grey[..., -1])
    top, bottom, left, right = (np.sort(side, axis=1)[:, side.shape[1] // 2] for side in sides)
    found: BoolArray = fine & (np.abs(bottom - top) < FAINTEST) & (np.abs(right - left) < FAINTEST)
    return found


def _spread(values: IntArray, high: int, low: int, of: int) -> IntArray:
    ordered, size = np.sort(values, axis=1), values.shape[1]
    spread: IntArray = ordered[:, min(size - 1, size * high // of)] - ordered[:, min(size - 1, size * low // of)]
    return spread


def _on_its_background(grey: IntArray, spec: InkSpec, light: bool) -> BoolArray:
    """Ink is on the side of the paper where training has it, and most of the paper has exactly its level."""
    flat = grey.reshape(len(grey), -1)
    scaled = flat - flat.min(axis=1, keepdims=True)
    above = (scaled > threshold_of(_histograms(scaled))[:, np.newaxis]).reshape(grey.shape)
    paper = ~above if light else above
    exact = (paper & (grey == spec.background)).sum(axis=(1, 2))
    found: BoolArray = (is_ink(above) == light) & (2 * exact > paper.sum(axis=(1, 2)))
    return found


def _little_noise(depth: IntArray, ink: BoolArray, spec: InkSpec) -> BoolArray:
    """Whether `repair.background_noise` is at most that of training."""
    if min(depth.shape[1:]) < 3:
        return np.ones(len(depth), dtype=np.bool_)
    away, rough = roughness(depth, ink)
    count = away.sum(axis=(1, 2))
    smooth = (away & (rough <= spec.noise)).sum(axis=(1, 2))
    too_few = count < max(64, away[0].size // 10)
    found: BoolArray = too_few | (smooth > count // 2)
    return found


def _in_its_place(depth: IntArray, spec: InkSpec) -> BoolArray:
    """Whether the ink has the size and the place of training."""
    mask = 4 * depth >= abs(spec.ink - spec.background) if spec.background is not None else depth > 0
    there = np.asarray(mask.any(axis=(1, 2)))
    top, bottom, left, right = extents(mask)
    filled = np.maximum((bottom - top) / spec.box[0], (right - left) / spec.box[1])
    centres = np.stack([top + bottom, left + right]) / 2
    if spec.centring == "mass":
        weights = depth.copy()
        weights[~there] = 1  # a centre must exist
        centres = mass_centres(weights)
    near = np.abs(centres - np.array(spec.centre)[:, np.newaxis]) <= spec.drift + 0.5
    found: BoolArray = there & (filled >= 0.9 * spec.sizes[0]) & (filled <= 1.05 * spec.sizes[1]) & near.all(axis=0)
    return found


def _histograms(values: IntArray) -> npt.NDArray[np.int64]:
    """How often each level 0 to 255 occurs in each row of (N, M): int64 (N, 256)."""
    places = np.clip(values, 0, 255) + 256 * np.arange(len(values))[:, np.newaxis]
    return np.bincount(places.ravel(), minlength=256 * len(values)).reshape(-1, 256)
