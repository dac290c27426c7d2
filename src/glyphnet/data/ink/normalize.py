"""Make a picture look like the training images. The steps are those of the package's description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..dataset import UInt8Array
from ..decode import ImageShape, fit_image, picture_from_image
from . import filters
from .filters import BoolArray, IntArray
from .find import Found, find_drawing
from .repair import FEWEST, FRAME, Depth, is_ink, lone_pixels, roughness, sharpened, small_depth, without_pieces
from .spec import InkSpec

EVEN = 16  # levels: backgrounds that differ by less are one
FAINTEST = 24  # levels between subject and background; below it there is nothing but noise
RAMP = (30, 70)  # hundredths of full ink between which an edge rises
SMALL = 64  # pixels of the longer side: a picture that small shows its drawing and nothing else
_AT_ONCE = 512  # images looked at together: their intermediate arrays fit into a processor's cache
SMALLEST, LARGEST = 160, 320  # of the longer side while working: enough for smooth edges, few enough to be fast

NoDrawing: TypeAlias = Literal["no_drawing"]


class Normalized(NamedTuple):
    """What the network sees of a picture.

    Attributes:
        pixels: uint8 (H, W, C).
        reason: why the pixels cannot be trusted: "no_drawing" where a drawing was looked for and none was found; or
            None.
        given: uint8 (H, W, C), a small picture of a drawing before anything in it was changed: `_as_given`. None where
            it shows the same as the pixels, and for larger pictures.
    """

    pixels: UInt8Array
    reason: NoDrawing | None = None
    given: UInt8Array | None = None


def normalize_picture(
    picture: Image.Image | UInt8Array, spec: InkSpec | None, image_shape: ImageShape, *, is_seen: bool = False
) -> Normalized:
    """The pixels of a picture as if it were a training image: uint8 (H, W, C) for ``image_shape``.

    Each step measures first: what already is as in training stays as it is. An empty sheet comes back as
    background only, with the reason "no_drawing".

    Args:
        picture: a PIL image of any mode and size, or uint8 (h, w), (h, w, 1), (h, w, 3) or (h, w, 4).
        spec: measured from the training images by `measure_ink`; None resizes the whole picture, `fit_image`.
        image_shape: (H, W, C) of the model's images, C 1 or 3.
        is_seen: the picture is what `picture_from_image` gave.

    Raises:
        BadFileError: the picture cannot be read, or is too large.
    """
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture)
    if spec is None or spec.background is None:
        return Normalized(fit_image(picture, image_shape))
    seen = picture if is_seen else picture_from_image(picture)
    given = None
    if spec.kind == "photo":
        made = _photograph(_grey(seen), spec, image_shape)
        if made is None:
            return Normalized(fit_image(seen, image_shape))
    else:
        made = _drawing(seen, spec, image_shape)
        if made is None:
            empty = np.full(image_shape, spec.background, dtype=np.uint8)
            return Normalized(empty, "no_drawing")
        given = _as_given(seen, made, spec, image_shape) if _is_small(seen, image_shape) else None
    return Normalized(
        _in_channels(made, image_shape), given=None if given is None else _in_channels(given, image_shape)
    )


def _in_channels(grey: UInt8Array, image_shape: ImageShape) -> UInt8Array:
    return np.repeat(grey[..., np.newaxis], image_shape[2], axis=2)


def _drawing(seen: Image.Image, spec: InkSpec, image_shape: ImageShape) -> UInt8Array | None:
    """The drawing in a picture; the plane of colour in which most stands out is looked at first."""
    small = _is_small(seen, image_shape)
    for plane in _planes(seen):
        made = _small_drawing(plane, spec, image_shape) if small else _large_drawing(plane, spec, image_shape)
        if made is not None:
            return made
    return None


def _is_small(seen: Image.Image, image_shape: ImageShape) -> bool:
    return max(seen.size) <= max(SMALL, 2 * max(image_shape[:2]))


def _grey(seen: Image.Image) -> UInt8Array:
    return np.asarray(seen if seen.mode == "L" else seen.convert("L"))


def _planes(seen: Image.Image) -> Iterator[UInt8Array]:
    """The brightness, and differences of colours where they stand out: grey pictures (h, w), made when needed."""
    grey = _grey(seen)
    if seen.mode == "L":
        yield grey
        return

    def plane(channel: int) -> UInt8Array:
        return np.asarray(seen.getchannel(channel))  # all at once, a large picture would fill the memory

    step = max(1, max(grey.shape) // 100)
    some = [plane(channel)[::step, ::step].copy() for channel in range(3)]
    if np.array_equal(some[0], some[1]) and np.array_equal(some[1], some[2]):  # no difference of colours stands out
        yield grey
        return
    own = _contrast(grey[::step, ::step])
    contrast = {(a, b): _contrast(_difference(some[a], some[b])) for a, b in ((0, 1), (2, 1), (0, 2))}
    pairs = [pair for pair in contrast if contrast[pair] >= FAINTEST]
    best = max(pairs, key=contrast.__getitem__, default=None)
    if best is not None and contrast[best] >= 2 * own:
        yield _difference(*map(plane, best))
        pairs.remove(best)
    yield grey
    for pair in pairs:
        yield _difference(*map(plane, pair))


def _difference(one: UInt8Array, other: UInt8Array) -> UInt8Array:
    """128 and half of what one channel is above another."""
    difference = np.subtract(one, other, dtype=np.int16)
    difference >>= 1
    difference += 128
    return difference.astype(np.uint8)


def _contrast(plane: UInt8Array) -> int:
    """The range of the values of a plane, the 500th part at both ends apart."""
    return filters.ranked(plane, 499, 500) - filters.ranked(plane, 1, 500)


# --- pictures near the model's size --------------------------------------------------------------------------


def _small_drawing(grey: UInt8Array, spec: InkSpec, image_shape: ImageShape) -> UInt8Array | None:
    found = small_depth(grey, spec)
    if found is None:
        return None
    made = _in_place(found, spec, image_shape)
    return _drawn(_enlarged(found, spec), spec, image_shape) if made is None else made


def _in_place(found: Depth, spec: InkSpec, image_shape: ImageShape) -> UInt8Array | None:
    """A picture of the model's size whose ink has the size of training, moved if it must be; None if it has not."""
    assert spec.background is not None
    if found.values.shape != image_shape[:2]:
        return None
    contrast = abs(spec.ink - spec.background)
    amount = np.maximum(found.values, 0)
    if found.repaired or not spec.levels[0] <= found.full <= spec.levels[1]:
        amount = np.minimum(amount * contrast // found.full, 255)
    mask = 4 * amount >= contrast
    if not mask.any():
        return None
    top, bottom, left, right = filters.extents(mask)
    filled = max((bottom - top) / spec.box[0], (right - left) / spec.box[1])
    if not 0.9 * spec.sizes[0] <= filled <= 1.05 * spec.sizes[1]:
        return None
    centre = [(top + bottom) / 2, (left + right) / 2]
    if spec.centring == "mass":
        centre = filters.mass_centres(amount).tolist()
    down, across = (
        0 if abs(is_at - wanted) <= spec.drift + 0.5 else int(np.floor(wanted - is_at + 0.5))
        for is_at, wanted in zip(centre, spec.centre, strict=True)
    )
    if down or across:
        if not (top + down >= 0 and bottom + down <= image_shape[0]):
            return None
        if not (left + across >= 0 and right + across <= image_shape[1]):
            return None
        moved = np.zeros_like(amount)
        moved[top + down : bottom + down, left + across : right + across] = amount[top:bottom, left:right]
        amount = moved
    sign = 1 if spec.ink > spec.background else -1
    return np.asarray(np.clip(spec.background + sign * amount, 0, 255).astype(np.uint8))


def _enlarged(found: Depth, spec: InkSpec) -> UInt8Array:
    """The amount of ink, 0 to 255, at the working size, within its bounding box."""
    depth = np.clip(found.values * 255 // found.full, 0, 255)
    mask = 2 * depth >= 255
    # What touches all four sides of a square was stretched to it: its proportions are lost.
    stretched = depth.shape[0] == depth.shape[1] and all(
        side.any() for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    )
    inner = filters.rimmed(depth.astype(np.uint8), 2)
    factor = -(-SMALLEST // max(inner.shape))
    height, width = (side * factor for side in inner.shape)
    large = filters.resized(inner, height, width, Image.Resampling.BICUBIC)
    if stretched:
        large = filters.resized(large, height, max(1, int(width * spec.aspect + 0.5)), Image.Resampling.BICUBIC)
    amount = without_pieces(filters.ramp(large, 255, *RAMP))
    return _cut_out(amount)


def _as_given(seen: Image.Image, made: UInt8Array, spec: InkSpec, image_shape: ImageShape) -> UInt8Array | None:
    """The picture itself, (H, W): resized whole, its paper on the side of training's, moved to the usual centre.

    A smaller picture had to be enlarged, and the size of its subject says nothing of what it is: that becomes the
    usual one. None where the result is what was made. Strokes can be drawn from anything; only the picture itself
    shows what it was.
    """
    assert spec.background is not None
    grey = fit_image(seen, (*image_shape[:2], 1))[..., 0]
    level = filters.upper_median(filters.border(grey.astype(np.int32)))
    if abs(255 - level - spec.background) < abs(level - spec.background):
        grey, level = 255 - grey, 255 - level
    if np.array_equal(grey, made):
        return None
    mask = np.abs(grey.astype(np.int32) - level) >= FAINTEST
    if mask.any():
        top, bottom, left, right = filters.extents(mask)
        part = grey[top:bottom, left:right]
        if max(seen.size) < max(image_shape[:2]):
            part = _in_box(part, spec.box, Image.Resampling.BICUBIC)
        grey = _placed(part, spec, image_shape, around=level)
    return None if np.array_equal(grey, made) else grey


# --- larger pictures -----------------------------------------------------------------------------------------


def _large_drawing(grey: UInt8Array, spec: InkSpec, image_shape: ImageShape) -> UInt8Array | None:
    found = find_drawing(grey)
    if found is None:
        return None
    soft = _blurred(found, spec)
    if soft is not None:
        return _drawn(_enlarged(soft, spec), spec, image_shape)
    top, bottom, left, right = found.box
    return _drawn(filters.ramp(found.depth[top:bottom, left:right], found.full, *RAMP), spec, image_shape)


def _blurred(found: Found, spec: InkSpec) -> Depth | None:
    """The drawing in the model's size and sharpened, if its edges are softer than in training; else None."""
    top, bottom, left, right = found.box
    size = max(bottom - top, right - left)
    margin = size // 4
    part = found.depth[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin]
    if filters.softness(part, found.full) * max(spec.box) <= spec.softness * size:
        return None
    tall, wide = (max(1, 3 * side // 2) for side in spec.box)
    values = _in_box(np.minimum(part, 255).astype(np.uint8), (tall, wide), Image.Resampling.BOX).astype(np.int32)
    values, full = sharpened(values, spec)
    return Depth(values, full, repaired=True)


# --- as in training ------------------------------------------------------------------------------------------


def _drawn(amount: UInt8Array, spec: InkSpec, image_shape: ImageShape) -> UInt8Array:
    """The amount of ink in the size, place, stroke width and levels of training."""
    assert spec.background is not None
    patch = _as_thick_as(amount, spec).astype(np.int32)
    peak = max(1, int(patch.max()))
    patch = (510 * patch + peak) // (2 * peak)
    made = _placed(patch.astype(np.uint8), spec, image_shape, around=0).astype(np.int32)
    return (spec.background + (2 * made * (spec.ink - spec.background) + 255) // 510).astype(np.uint8)


def _as_thick_as(amount: UInt8Array, spec: InkSpec) -> UInt8Array:
    """The ink in the size of the box, with strokes as wide as in training."""
    patch = _in_box(amount, spec.box, Image.Resampling.BOX)
    scale = max(amount.shape) / max(patch.shape)
    width = float(filters.stroke_widths(amount)) / scale
    missing = min(max(width, spec.strokes[0]), spec.strokes[1]) - width
    steps = int(np.floor(missing * scale * (2 / np.pi) + 0.5))
    if not steps:
        return patch
    changed = filters.thicken(filters.rimmed(amount, max(0, steps)), steps)
    return _in_box(_cut_out(changed), spec.box, Image.Resampling.BOX) if (changed >= 128).any() else patch


def _cut_out(amount: UInt8Array) -> UInt8Array:
    """What is at least half full ink, within its bounding box."""
    mask = amount >= 128
    if not mask.any():
        return amount
    top, bottom, left, right = filters.extents(mask)
    return amount[top:bottom, left:right]


def _in_box(grey: UInt8Array, box: tuple[int, int], method: Image.Resampling) -> UInt8Array:
    """Resized so that it fills the box in one direction, its proportions kept."""
    height, width = grey.shape
    tall, wide = box
    if height * wide >= width * tall:
        return filters.resized(grey, tall, max(1, (2 * width * tall + height) // (2 * height)), method)
    return filters.resized(grey, max(1, (2 * height * wide + width) // (2 * width)), wide, method)


def _placed(patch: UInt8Array, spec: InkSpec, image_shape: ImageShape, around: int) -> UInt8Array:
    """The patch (h, w) in the middle of an image (H, W) of level ``around``; its mass is what differs from that."""
    height, width = patch.shape
    middle_y, middle_x = height / 2, width / 2
    mass = np.abs(patch.astype(np.int32) - around)
    if spec.centring == "mass" and mass.any():
        middle_y, middle_x = filters.mass_centres(mass).tolist()
    top = min(max(int(np.floor(spec.centre[0] - middle_y + 0.5)), 0), image_shape[0] - height)
    left = min(max(int(np.floor(spec.centre[1] - middle_x + 0.5)), 0), image_shape[1] - width)
    whole = np.full(image_shape[:2], around, dtype=np.uint8)
    whole[top : top + height, left : left + width] = patch
    return whole


# --- photographs before an even background -------------------------------------------------------------------


def _photograph(grey: UInt8Array, spec: InkSpec, image_shape: ImageShape) -> UInt8Array | None:
    """The subject as training shows it; None if the background is not even."""
    if grey.shape == image_shape[:2]:
        for candidate in (grey, 255 - grey):
            if _has_the_background(candidate, spec):
                return candidate
    longest = max(grey.shape)
    if longest >= SMALLEST:
        return _subject(filters.reduced(grey, -(-longest // LARGEST)), spec, image_shape)
    height, width = (side * -(-SMALLEST // longest) for side in grey.shape)
    return _subject(filters.resized(grey, height, width, Image.Resampling.BICUBIC), spec, image_shape)


def _has_the_background(grey: UInt8Array, spec: InkSpec) -> bool:
    """Whether no more of the border is near the background's opposite than near the background."""
    assert spec.background is not None
    ring = filters.border(grey.astype(np.int32))
    near, opposite = (np.abs(ring - level) < EVEN for level in (spec.background, 255 - spec.background))
    return bool(near.sum() >= opposite.sum())


def _subject(grey: UInt8Array, spec: InkSpec, image_shape: ImageShape) -> UInt8Array | None:
    background = spec.background or 0
    values: IntArray = grey.astype(np.int32)
    ring = filters.border(values)
    level = filters.upper_median(ring)
    if 10 * np.count_nonzero(np.abs(ring - level) < EVEN) < 8 * ring.size:
        return None
    if abs(255 - level - background) < abs(level - background):
        values, level = 255 - values, 255 - level
    mask = without_pieces(np.where(np.abs(values - level) >= FAINTEST, 255, 0)) > 0
    if not mask.any():
        return None
    top, bottom, left, right = filters.extents(mask)
    cut = np.clip(values[top:bottom, left:right] - level + background, 0, 255).astype(np.uint8)
    return _placed(_in_box(cut, spec.box, Image.Resampling.BICUBIC), spec, image_shape, around=background)


# --- batches of pictures that are as in training ----------------------------------------------------------------


def already_normal(images: UInt8Array, spec: InkSpec, image_shape: ImageShape) -> BoolArray:
    """Which images `normalize_picture` surely returns as they are, bool (N,).

    An image that is not sure counts as False, so that calling `normalize_picture` for these and keeping the others
    gives the same as calling it for all. Nearly all images of a data set of drawings are like its training images: one
    by one they take most of a millisecond each, together a twentieth of that.
    """
    sure = np.zeros(len(images), dtype=np.bool_)
    if spec.kind != "ink" or images.shape[1:] != image_shape or image_shape[2] != 1:
        return sure
    for start in range(0, len(images), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        sure[part] = _as_in_training(images[part, :, :, 0].astype(np.int32), spec)
    return sure


def _as_in_training(grey: IntArray, spec: InkSpec) -> BoolArray:
    """The conditions of `small_depth` and of `_in_place` under which neither changes a pixel."""
    assert spec.background is not None
    light = spec.ink > spec.background
    upright = grey if light else -grey
    depth = upright - (spec.background if light else -spec.background)
    flat = depth.reshape(len(depth), -1)
    fine = (flat.min(axis=1) >= 0) & _even_border(grey, upright) & _on_its_background(grey, spec, light)

    counts = _histograms(flat)
    threshold = filters.threshold_of(counts)
    ink = depth > threshold[:, np.newaxis, np.newaxis]
    many = ink.sum(axis=(1, 2))
    above = np.where(np.arange(256) > threshold[:, np.newaxis], counts, 0).cumsum(axis=1)
    full = (above > (many // 2)[:, np.newaxis]).argmax(axis=1)
    fine &= (many > 0) & (full >= max(FAINTEST, spec.noise // 4))
    fine &= (full >= spec.levels[0]) & (full <= spec.levels[1])
    fine &= _little_noise(depth, ink, spec) & (lone_pixels(ink) <= max(spec.specks, 1000 // ink[0].size))
    fine &= filters.softness(depth, np.maximum(full, 1)) <= spec.softness
    fine &= filters.stroke_lengths(depth, full) <= spec.length
    return np.asarray(fine & _in_its_place(depth, spec))


def _even_border(grey: IntArray, upright: IntArray) -> BoolArray:
    """No stripes, no slope, no uneven paper: see `repair.above_background`."""
    count, height, width = grey.shape
    fine = np.ones(count, dtype=np.bool_)
    if min(height, width) >= FEWEST:
        framed = np.ones((height, width), dtype=np.bool_)
        framed[FRAME:-FRAME, FRAME:-FRAME] = False
        fine &= _spread(grey[:, framed], 9, 1, 10) < FAINTEST
        fine &= _spread(filters.border(upright), 19, 1, 20) < FAINTEST
    sides = (grey[:, 0], grey[:, -1], grey[..., 0], grey[..., -1])
    top, bottom, left, right = (np.sort(side, axis=1)[:, side.shape[1] // 2] for side in sides)
    return np.asarray(fine & (np.abs(bottom - top) < FAINTEST) & (np.abs(right - left) < FAINTEST))


def _spread(values: IntArray, high: int, low: int, of: int) -> IntArray:
    ordered, size = np.sort(values, axis=1), values.shape[1]
    return np.asarray(ordered[:, min(size - 1, size * high // of)] - ordered[:, min(size - 1, size * low // of)])


def _on_its_background(grey: IntArray, spec: InkSpec, light: bool) -> BoolArray:
    """Ink is on the side of the paper where training has it, and most of the paper has exactly its level."""
    flat = grey.reshape(len(grey), -1)
    scaled = flat - flat.min(axis=1, keepdims=True)
    above = (scaled > filters.threshold_of(_histograms(scaled))[:, np.newaxis]).reshape(grey.shape)
    paper = ~above if light else above
    exact = (paper & (grey == spec.background)).sum(axis=(1, 2))
    return np.asarray((is_ink(above) == light) & (2 * exact > paper.sum(axis=(1, 2))))


def _little_noise(depth: IntArray, ink: BoolArray, spec: InkSpec) -> BoolArray:
    """Whether `repair.background_noise` is at most that of training."""
    if min(depth.shape[1:]) < 3:
        return np.ones(len(depth), dtype=np.bool_)
    away, rough = roughness(depth, ink)
    count = away.sum(axis=(1, 2))
    smooth = (away & (rough <= spec.noise)).sum(axis=(1, 2))
    too_few = count < max(64, away[0].size // 10)
    return np.asarray(too_few | (smooth > count // 2))


def _in_its_place(depth: IntArray, spec: InkSpec) -> BoolArray:
    """Whether the ink has the size and the place of training."""
    mask = 4 * depth >= abs(spec.ink - spec.background) if spec.background is not None else depth > 0
    there = np.asarray(mask.any(axis=(1, 2)))
    top, bottom, left, right = filters.extents(mask)
    filled = np.maximum((bottom - top) / spec.box[0], (right - left) / spec.box[1])
    centres = np.stack([top + bottom, left + right]) / 2
    if spec.centring == "mass":
        weights = depth.copy()
        weights[~there] = 1  # a centre must exist
        centres = filters.mass_centres(weights)
    near = np.abs(centres - np.array(spec.centre)[:, np.newaxis]) <= spec.drift + 0.5
    return np.asarray(there & (filled >= 0.9 * spec.sizes[0]) & (filled <= 1.05 * spec.sizes[1]) & near.all(axis=0))


def _histograms(values: IntArray) -> npt.NDArray[np.int64]:
    """How often each level 0 to 255 occurs in each row of (N, M): int64 (N, 256)."""
    places = np.clip(values, 0, 255) + 256 * np.arange(len(values))[:, np.newaxis]
    return np.bincount(places.ravel(), minlength=256 * len(values)).reshape(-1, 256)
