"""Measures, once and at training time, what makes training images alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from ..dataset import UInt8Array, evenly_spaced
from . import filters
from .filters import BoolArray, IntArray
from .repair import FEWEST_STRIPED, above_background, background_noise, specks, without_stripes
from .spec import InkSpec

SAMPLE = 2000  # images; every figure taken of them is a median, a mode or a largest value with a margin
QUALITY_SAMPLE = 300  # images whose noise and blur are measured
STRIPED_SAMPLE = 60  # images in which stripes are looked for
MOST_STRIPED = 1  # of them in which some are found: more, and strokes are taken for stripes
LEAST_NOISE = 12  # four times the deviation: JPEG makes as much
EVEN = 16  # levels: backgrounds that differ by less are one
_EVEN_SHARE = 0.6  # of the pixels along the border; drawings that touch it leave more than that
_HALF_TONES = 0.1  # of the ink. Measured: MNIST 0.001, digits 0.007, Fashion-MNIST 0.41
LONGER = 1.25  # strokes longer than any in training by this factor are no drawing but noise or texture
USUAL = (10, 90)  # per cent: strokes of other widths than most training images have are changed
_NEAR_MARGIN = 24  # levels between channels: the noise of JPEG in grey
LOOKED_AT = 500  # images of which `look_at` tells the kind: enough for shares that are far from their limits

Kind = Literal["drawings", "objects", "photographs"]


@dataclass(frozen=True)
class Look:
    """What kind of pictures these are, and the shares that say so.

    Attributes:
        kind: "drawings", strokes on an even background; "objects", evenly lit, on a background that is one level in all
            pictures; "photographs", all others: light and surroundings differ from one to the next.
        even: share of the pixels along the borders that have the level of the background.
        half_tones: share of the subject that is neither background nor full ink and lies on no edge; None in colour,
            and where there is no background.
    """

    kind: Kind
    even: float
    half_tones: float | None = None


def measure_ink(images: UInt8Array) -> InkSpec:
    """What ``images`` have in common, for `normalize_picture`; exact and the same every time.

    Drawings or photographs? Ink has one level and paper another, and greys lie only where one turns into the
    other. So an image in which more than a tenth of what is not background has a middle grey with hardly any
    slope around it is a photograph; so is one in colour, or without an even background.

    Args:
        images: uint8 (N, H, W, C), the training images; up to 2,000, evenly spread, are looked at.
    """
    sample = np.asarray(images[:: max(1, -(-len(images) // SAMPLE))])
    if not len(sample) or _is_coloured(sample):
        return InkSpec(kind="photo")
    grey = sample[..., 0]
    background, even = _ground(sample[..., :1])
    if even < _EVEN_SHARE:
        return InkSpec(kind="photo")
    depth, sign, contrast = _above(grey, background[0])
    if contrast < EVEN:
        return InkSpec(kind="photo")
    kind = "photo" if _half_tones(depth, contrast) > _HALF_TONES else "ink"
    return InkSpec(
        kind=kind,  # type: ignore[arg-type]  # mypy widens the literal
        background=background[0],
        ink=min(255, max(0, background[0] + sign * contrast)),
        **_layout(depth, contrast),
        **(_quality(grey) if kind == "ink" else {}),
    )


def look_at(images: UInt8Array) -> Look:
    """What kind of pictures these are; exact and the same every time.

    Args:
        images: uint8 (N, H, W, C), the training images; up to 500, evenly spread, are looked at.
    """
    sample = np.asarray(images[evenly_spaced(len(images), LOOKED_AT)])
    if not len(sample):
        return Look("photographs", 0.0)
    is_coloured = _is_coloured(sample)
    background, even = _ground(sample if is_coloured else sample[..., :1])
    if even < _EVEN_SHARE:
        return Look("photographs", even)
    if is_coloured:
        return Look("objects", even)
    depth, _, contrast = _above(sample[..., 0], background[0])
    if contrast < EVEN:
        return Look("photographs", even)
    half_tones = _half_tones(depth, contrast)
    return Look("objects" if half_tones > _HALF_TONES else "drawings", even, half_tones)


def _ground(sample: UInt8Array) -> tuple[list[int], float]:
    """The level that is most frequent along the border, by channel, and the share of the border that is about as it."""
    rings = np.stack([filters.border(sample[..., channel]).ravel() for channel in range(sample.shape[3])])
    levels = [int(np.bincount(ring, minlength=256).argmax()) for ring in rings]
    near = np.abs(rings.astype(np.int32) - np.array(levels)[:, np.newaxis]) < EVEN
    return levels, float(near.all(axis=0).mean())


def _above(grey: UInt8Array, background: int) -> tuple[IntArray, int, int]:
    """(how far pixels are from the background, towards ink; 1 for ink that is lighter, -1 for darker; its depth)."""
    depth = grey.astype(np.int32) - background
    sign = -1 if depth.sum(dtype=np.int64) < 0 else 1
    depth *= sign
    contrast = int(np.median(np.percentile(depth.reshape(len(depth), -1), 98, axis=1, method="nearest")))
    return depth, sign, contrast


def _is_coloured(sample: UInt8Array) -> bool:
    if sample.shape[3] == 1:
        return False
    spread = sample.max(axis=3).astype(np.int32) - sample.min(axis=3)
    return bool((spread > _NEAR_MARGIN).mean() > 0.01)


def _half_tones(depth: IntArray, contrast: int) -> float:
    """Share of the subject that is neither background nor full ink and lies on no edge."""
    reach = max(1, round(min(depth.shape[1:]) / 28))  # an edge is wider in larger images
    padded = np.pad(depth, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    lowest, highest = (filters.extremes(padded, 2 * reach + 1, choose) for choose in (np.minimum, np.maximum))
    middle = (5 * depth > contrast) & (5 * depth < 4 * contrast)
    flat = 2 * (highest - lowest) < contrast
    return int(np.count_nonzero(middle & flat)) / max(1, int(np.count_nonzero(4 * depth >= contrast)))


def _layout(depth: IntArray, contrast: int) -> dict[str, Any]:
    """Box, centring, how far single images stray from both, and how wide strokes are."""
    mask = 4 * depth >= contrast
    there = mask.any(axis=(1, 2))
    mask, depth = mask[there], depth[there]
    top, bottom, left, right = filters.extents(mask)
    heights, widths = bottom - top, right - left
    tall = heights > widths
    box = _typical(heights, heights >= widths), _typical(widths, widths >= heights)
    filled = np.maximum(heights / box[0], widths / box[1])
    by_mass = filters.mass_centres(np.maximum(depth, 0))
    by_box = np.stack([top + bottom, left + right]) / 2
    # Squares, as the mean of both directions: one may be filled by every image, and be centred for free.
    mass_spread, box_spread = (float(centres.var(axis=1).sum()) for centres in (by_mass, by_box))
    centring, centres = ("mass", by_mass) if mass_spread <= box_spread else ("box", by_box)
    centre = np.median(centres, axis=1)
    widths_of_strokes = filters.stroke_widths(np.clip(depth, 0, contrast))
    return {
        "box": box,
        "centring": centring,
        "centre": tuple(round(float(value), 2) for value in centre),
        "drift": round(float(np.abs(centres - centre[:, np.newaxis]).max()), 2),
        "sizes": (round(float(filled.min()), 3), round(float(filled.max()), 3)),
        "aspect": round(float(np.exp(np.log(widths[tall] / heights[tall]).mean())), 3) if tall.any() else 1.0,
        "strokes": tuple(round(float(width), 3) for width in np.percentile(widths_of_strokes, USUAL)),
    }


def _quality(grey: UInt8Array) -> dict[str, Any]:
    """How much noise, blur and contrast there is in training: what exceeds it is repaired in a picture."""
    some = grey[:: max(1, -(-len(grey) // QUALITY_SAMPLE))]
    found = [above_background(image.astype(np.int32))[0] for image in some]
    full = np.array([filters.full_ink(depth) for depth in found])
    widths = [float(filters.softness(depth, max(1, level))) for depth, level in zip(found, full, strict=True)]
    lengths = [float(filters.stroke_lengths(depth, level)) for depth, level in zip(found, full, strict=True)]
    return {
        "noise": max(LEAST_NOISE, 5 * max(background_noise(depth) for depth in found) // 4),
        "specks": 2 + max(specks(depth) for depth in found),
        "softness": round(1.05 * max(widths), 3),
        "length": round(LONGER * max(lengths), 3),
        "levels": (int(full.min() * 9 // 10), min(255, int(full.max() * 11 // 10))),
        "stripes": _has_no_stripes(grey),
    }


def _has_no_stripes(grey: UInt8Array) -> bool:
    """Whether strokes are not taken for stripes, in training images as they are or, small ones, enlarged."""
    factor = -(-FEWEST_STRIPED // min(grey.shape[1:]))
    found = 0
    for image in grey[:: max(1, -(-len(grey) // STRIPED_SAMPLE))]:
        picture = Image.fromarray(image).resize(
            (factor * image.shape[1], factor * image.shape[0]), Image.Resampling.BICUBIC
        )
        found += without_stripes(np.asarray(picture, dtype=np.int32))[1] is not None
        if found > MOST_STRIPED:
            return False
    return True


def _typical(sides: IntArray, longest: BoolArray) -> int:
    """The side that images have which are longest in this direction; of all, where few are."""
    if longest.sum() * 50 >= len(sides):
        return int(np.median(sides[longest]))
    return int(sides.max())
