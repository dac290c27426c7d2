"""Make a picture look like the training images. The steps are those of the package's description."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from ..dataset import UInt8Array
from ..decode import ImageShape, fit_image, picture_from_image
from .measure import EVEN, border, extents, mass_centres
from .paper import ink_depth, middle
from .pen import stroke_widths, thicken
from .placing import at_working_size, placed, size_in_box
from .resampling import resized
from .spec import InkSpec
from .strokes import best_threshold, find_ink

FAINTEST = 24  # levels between ink and paper, or subject and background; below it there is nothing but noise
RAMP = (30, 70)  # hundredths of full ink between which an edge rises


NoDrawing: TypeAlias = Literal["no_drawing"]


class Normalized(NamedTuple):
    """What the network sees of a picture.

    Attributes:
        pixels: uint8 (H, W, C).
        reason: why the pixels cannot be trusted: "no_drawing" where a drawing was looked for and none was found; or
            None.
    """

    pixels: UInt8Array
    reason: NoDrawing | None = None


def normalize_picture(picture: Image.Image | UInt8Array, spec: InkSpec | None, image_shape: ImageShape) -> Normalized:
    """The pixels of a picture as if it were a training image: uint8 (H, W, C) for ``image_shape``.

    A picture that already looks like the training images comes back bit for bit. An empty sheet comes back as
    background only, with the reason "no_drawing".

    Args:
        picture: a PIL image of any mode and size, or uint8 (h, w), (h, w, 1), (h, w, 3) or (h, w, 4).
        spec: measured from the training images by `measure_ink`; None resizes the whole picture, `fit_image`.
        image_shape: (H, W, C) of the model's images, C 1 or 3.

    Raises:
        BadFileError: the picture cannot be read, or is too large.
    """
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture)
    if spec is None or spec.background is None:
        return Normalized(fit_image(picture, image_shape))
    seen = picture_from_image(picture)
    grey = np.asarray(seen.convert("L"))
    made, reason = _unchanged(grey, spec, image_shape), None
    if made is None:
        work = at_working_size(grey)
        if spec.kind == "photo":
            made = _subject(work, spec, image_shape)
        else:
            made, reason = _drawing(work, spec, image_shape)
    if made is None:
        return Normalized(fit_image(seen, image_shape))
    return Normalized(np.repeat(made[..., np.newaxis], image_shape[2], axis=2), reason)


def is_like(grey: UInt8Array, spec: InkSpec) -> bool:
    """Whether a grey picture of the model's size, (H, W), already looks like a training image; step 2."""
    assert spec.background is not None  # asked by `normalize_picture`
    if spec.kind == "photo":
        ring = border(grey[np.newaxis]).astype(np.int32)
        near, opposite = (np.abs(ring - level) < EVEN for level in (spec.background, 255 - spec.background))
        return bool(near.sum() >= opposite.sum())
    contrast = abs(spec.ink - spec.background)
    depth = (grey.astype(np.int32) - spec.background) * (1 if spec.ink > spec.background else -1)
    edge = border(depth[np.newaxis])
    mask = (4 * depth >= contrast)[np.newaxis]
    if 2 * np.count_nonzero(2 * edge < contrast) < edge.size or not mask.any():
        return False
    top, bottom, left, right = extents(mask)[:, 0].tolist()
    filled = max((bottom - top) / spec.box[0], (right - left) / spec.box[1])
    if not 0.9 * spec.sizes[0] <= filled <= 1.05 * spec.sizes[1]:
        return False
    centre = [(top + bottom) / 2, (left + right) / 2]
    if spec.centring == "mass":
        centre = mass_centres(np.maximum(depth, 0)[np.newaxis])[:, 0].tolist()
    return all(abs(is_at - wanted) <= spec.drift + 0.5 for is_at, wanted in zip(centre, spec.centre, strict=True))


def _unchanged(grey: UInt8Array, spec: InkSpec, image_shape: ImageShape) -> UInt8Array | None:
    """The picture, or its negative, if that is like a training image."""
    if grey.shape == image_shape[:2]:
        for candidate in (grey, 255 - grey):
            if is_like(candidate, spec):
                return candidate
    return None


def _drawing(grey: UInt8Array, spec: InkSpec, image_shape: ImageShape) -> Normalized:
    """Steps 4 to 11, as grey pixels (H, W)."""
    background = spec.background or 0
    amount = _amount_of_ink(ink_depth(grey))
    if amount is None:
        return Normalized(np.full(image_shape[:2], background, dtype=np.uint8), "no_drawing")
    patch = _as_thick_as(amount, spec).astype(np.int32)
    peak = max(1, int(patch.max()))
    patch = (510 * patch + peak) // (2 * peak)
    made = placed(patch.astype(np.uint8), spec, image_shape, around=0).astype(np.int32)
    return Normalized((background + (2 * made * (spec.ink - background) + 255) // 510).astype(np.uint8))


def _amount_of_ink(depth: UInt8Array) -> UInt8Array | None:
    """The ink within its bounding box, 0 none to 255 full, or None on an empty sheet; steps 7 to 9."""
    counts = np.bincount(depth.ravel(), minlength=256)
    threshold = best_threshold(counts)
    counts[: threshold + 1] = 0
    pixels, mass = int(counts.sum()), int(counts @ np.arange(256))
    full = (2 * mass + pixels) // (2 * pixels) if pixels else 0
    if full < FAINTEST:
        return None
    above = depth > threshold
    ink = find_ink(above)
    top, bottom, left, right = ink.box
    low, high = RAMP
    rise = (high - low) * full
    amounts = np.clip((510 * (100 * np.arange(256) - low * full) + rise) // (2 * rise), 0, 255).astype(np.uint8)
    # What was left out leaves; the faint edges of what stays do stay.
    kept = np.where(above & ~ink.mask, 0, amounts[depth])[top:bottom, left:right]
    return kept.astype(np.uint8)


def _as_thick_as(amount: UInt8Array, spec: InkSpec) -> UInt8Array:
    """The ink in the size of the box, with strokes as wide as in training; step 10."""
    patch = _in_box(amount, spec.box, Image.Resampling.BOX)
    scale = max(amount.shape) / max(patch.shape)
    width = float(stroke_widths(amount[np.newaxis])[0]) / scale
    missing = min(max(width, spec.strokes[0]), spec.strokes[1]) - width
    steps = int(np.floor(missing * scale * (2 / np.pi) + 0.5))
    if not steps:
        return patch
    changed = thicken(np.pad(amount, max(0, steps)), steps)
    mask = changed >= 128
    if not mask.any():
        return patch
    top, bottom, left, right = extents(mask[np.newaxis])[:, 0]
    return _in_box(changed[top:bottom, left:right], spec.box, Image.Resampling.BOX)


def _subject(grey: UInt8Array, spec: InkSpec, image_shape: ImageShape) -> UInt8Array | None:
    """What stands before an even background, as training shows it; None if the background is not even."""
    background = spec.background or 0
    values = grey.astype(np.int32)
    ring = border(values[np.newaxis])
    level = middle(ring)
    if 10 * np.count_nonzero(np.abs(ring - level) < EVEN) < 8 * ring.size:
        return None
    if abs(255 - level - background) < abs(level - background):
        values, level = 255 - values, 255 - level
    differs = np.abs(values - level) >= FAINTEST
    if not differs.any():
        return None
    top, bottom, left, right = find_ink(differs).box
    cut = np.clip(values[top:bottom, left:right] - level + background, 0, 255).astype(np.uint8)
    return placed(_in_box(cut, spec.box, Image.Resampling.BICUBIC), spec, image_shape, around=background)


def _in_box(grey: UInt8Array, box: tuple[int, int], method: Image.Resampling) -> UInt8Array:
    height, width = grey.shape
    return resized(grey, *size_in_box(height, width, box), method)
