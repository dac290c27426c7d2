"""Finds the drawing in a picture larger than the training images: the paper first, then the ink on it.

The steps are those of the package's description, in whole numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..dataset import UInt8Array
from . import filters
from .filters import BoolArray, IntArray

FAINTEST = 10  # levels between ink and paper; below it there is nothing but noise
COARSE = 160  # pixels of the longer side, at most, in which drawings are looked for
FINE = 80  # pixels of the longer side of a drawing, at least, that is cut out
BLOCK = 4  # pixels of the reduced picture for which paper has one level
CLEAR = 50  # thousandths of what is around a drawing may be as light as it; then the other polarity is not tried
WIDEST = 5  # strokes are at most so many times narrower than the longer side
LEAST_ROOM = 32  # levels between the paper and the end of the scale
SPECK = 40  # a piece this many times smaller than the main one is dust
ROUNDS = 6  # of taking away what is no stroke
MOST_FAINT = 12  # times as much ink as stands out may be faint
MANY = 60  # pieces of about the same size: texture, not a drawing
SLANTS = 33  # of lines on the paper, within SLOPE of a row or column
SLOPE = 260  # thousandths
CROSSING = 70  # per cent of the picture that a line on the paper crosses
REACH = 5  # per cent of its length that the side of a box is longer than what stands in the box, at either end
RIM = 12  # an open frame lies along the sides of its bounding box, within this part of its size

Box = tuple[int, int, int, int]
"""(top, bottom, left, right) of a drawing, the ends excluded."""


class Found(NamedTuple):
    """A drawing in a picture, cut out with some paper around it."""

    depth: IntArray  # (h, w), distance from the paper towards ink, 0 where the drawing is not
    full: int  # the depth of full ink
    box: Box


class _Coarse(NamedTuple):
    """A drawing in the reduced picture, light on dark."""

    mask: BoolArray  # (h, w), where the drawing is
    depth: IntArray  # (h, w), 0 to 255, how far pixels are above the paper
    level: int  # the lightness of the drawing, less half of its depth
    box: Box  # of ``mask``
    ground: UInt8Array  # (h, w), the paper; (1, 1) where it is even
    room: int  # the usual distance from the paper to the end of the scale
    offset: int  # how far the paper's median is above ``ground``
    ruled: bool  # whether there are lines on the paper
    is_whole: bool  # whether it is one piece


def find_drawing(grey: UInt8Array) -> Found | None:
    """The drawing in a grey picture (h, w), dark on light or light on dark; None if there is none that is plausible.

    It is looked for in a reduced picture, and cut out of the given one.
    """
    factor = -(-max(grey.shape) // COARSE)
    smooth = filters.binomial(filters.reduced(grey, factor))
    light = int(smooth.sum()) >= filters.upper_median(smooth) * smooth.size
    best: tuple[int, bool, _Coarse] | None = None
    for is_light in (light, not light):
        upright = smooth if is_light else 255 - smooth
        found = _light_drawing(upright)
        if found is None:
            continue
        # What lies between strokes looks like ink on them, but paper of its level is all around.
        apart = _as_light_around(upright, found)
        if best is None or apart < best[0]:
            best = apart, is_light, found
        if apart <= CLEAR:
            break
    return None if best is None else _cut_from_picture(grey, factor, *best[1:])


def _as_light_around(upright: IntArray, found: _Coarse) -> int:
    """How many of the pixels around the drawing are as light as it, in thousandths."""
    top, bottom, left, right = found.box
    margin = max(bottom - top, right - left)
    part = upright[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin]
    area = int(np.count_nonzero(found.mask))
    return 1000 * (int(np.count_nonzero(part > found.level)) - area) // max(1, part.size - area)


def _cut_from_picture(grey: UInt8Array, factor: int, light: bool, found: _Coarse) -> Found | None:
    """The drawing at a size where its edges are smooth, without what else is near it."""
    top, bottom, left, right = found.box
    size = max(bottom - top, right - left)
    margin = size // 4 + 3
    place = (slice(max(0, top - margin), bottom + margin), slice(max(0, left - margin), right + margin))
    near = _dilated(found.mask[place], 2)
    if size * factor // FINE == factor:
        depth = found.depth[place] * near
    else:
        depth = _closer_depth(grey, factor, size, light, found, place)
        tall, wide = depth.shape
        depth *= filters.resized(near.view(np.uint8), tall, wide, Image.Resampling.BOX) > 0
    ink = depth > filters.otsu_threshold(depth) // (1 if found.ruled else 2)
    is_same = found.is_whole and np.array_equal(ink, found.mask[place])
    strokes, _ = _strokes(ink, is_whole=is_same)  # what lies close together is parted only here
    if strokes is None:
        return None
    if not is_same:
        depth *= _dilated(strokes.mask, 2)
    full = filters.upper_median(depth[strokes.mask])
    return Found(depth, full, _box(2 * depth >= full))


def _closer_depth(
    grey: UInt8Array, factor: int, size: int, light: bool, found: _Coarse, place: tuple[slice, slice]
) -> IntArray:
    """The depth in a place of the picture reduced by ``factor``, read again in the given one.

    The drawing, of ``size`` in the reduced picture, becomes ``FINE`` pixels large or a little more.
    """
    height, width = found.mask[place].shape
    part = grey[tuple(slice(side.start * factor, side.stop * factor) for side in place)]
    part = part[: height * factor, : width * factor]
    if size * factor >= FINE:
        part = filters.reduced(part, size * factor // FINE)
    else:
        enlarged = -(-FINE // (size * factor))
        part = filters.resized(part, part.shape[0] * enlarged, part.shape[1] * enlarged, Image.Resampling.BICUBIC)
    upright = filters.binomial(part)
    ground = found.ground
    if ground.size > 1:
        tall, wide = part.shape
        ground = filters.resized(ground[place], tall, wide, Image.Resampling.BILINEAR)
    depth = _depth(upright if light else 255 - upright, ground, found.room)
    return (depth - found.offset).clip(0, 255)


def _depth(upright: IntArray, ground: UInt8Array, room: int) -> IntArray:
    """How far pixels are above the paper. Ink takes a share of the light: what lies in the shade counts for more."""
    depth: IntArray = np.maximum(upright - ground, 0)
    light = np.maximum(255 - ground.astype(np.int32), LEAST_ROOM)
    if (light == room).all():  # even paper: the division would change nothing
        return depth
    return depth.astype(np.int32) * room // light


def _background(upright: IntArray) -> UInt8Array:
    """The paper: an opening over two fifths of the longer side, at a quarter of the size; (1, 1) where it is even."""
    height, width = upright.shape
    padded = upright
    if height % BLOCK or width % BLOCK:
        padded = np.pad(upright, ((0, -height % BLOCK), (0, -width % BLOCK)), mode="edge")
    tall, wide = padded.shape
    rows = padded.reshape(tall // BLOCK, BLOCK, wide).min(axis=1)
    blocks = functools.reduce(np.minimum, [rows[:, k::BLOCK] for k in range(BLOCK)])
    # One block wider, so that the darker side of an edge in the light counts on both sides of it.
    ground = filters.opened(blocks, max(blocks.shape) // (2 * WIDEST) + 1, wider=1).clip(0, 255).astype(np.uint8)
    if (ground == ground[0, 0]).all():
        return ground[:1, :1]
    return filters.resized(ground, tall, wide, Image.Resampling.BILINEAR)[:height, :width]


def _light_drawing(upright: IntArray) -> _Coarse | None:
    """The light drawing on darker paper."""
    ground = _background(upright)
    room = max(255 - filters.upper_median(ground), LEAST_ROOM)
    depth = _depth(upright, ground, room)
    counts = filters.histogram(depth)
    offset = int(counts.cumsum().searchsorted(depth.size // 2, side="right"))
    noise = 0 if counts[offset] > depth.size // 2 else filters.upper_median(np.abs(depth - offset))
    if offset or len(counts) > 256:
        depth = (depth - offset).clip(0, 255)
        counts = filters.histogram(depth)
    over_paper = depth
    least = max(FAINTEST, 5 * noise)
    for _ in range(ROUNDS):
        threshold = max(int(filters.threshold_of(counts)), least // 2)
        above = counts[threshold + 1 :]
        if not above.any() or int(above @ np.arange(threshold + 1, 256)) < least * int(above.sum()):
            return None
        mask = depth > threshold
        lines = _lines(mask, _box(mask))
        strokes, gone = _strokes(mask if lines is None else mask & ~lines)
        if strokes is not None:
            weak = depth > max(threshold // 2, least // 2)
            around = _box(weak)
            ruled = lines is not None or _lines(weak, around) is not None
            if not ruled:
                strokes = _with_faint_ink(weak, around, strokes)
            kept, box = strokes.mask, strokes.box
            full = filters.upper_median(depth[kept])
            if full < least or max(box[1] - box[0], box[3] - box[2]) < 6:
                return None
            is_even = ground.size == 1  # then ``upright`` is as far above ``depth`` everywhere
            lightness = full + offset + int(ground[0, 0]) if is_even else filters.upper_median(upright[kept])
            level = lightness - full // 2
            return _Coarse(kept, over_paper, level, box, ground, room, offset, ruled, strokes.is_whole)
        depth = np.where(_dilated(gone if lines is None else gone | lines, 2), 0, depth)
        counts = filters.histogram(depth)
    return None


class _Strokes(NamedTuple):
    """The pieces that make a drawing, bool (h, w), and their box; ``is_whole``: they are one, and there is no other."""

    mask: BoolArray
    box: Box
    is_whole: bool


def _with_faint_ink(weak: BoolArray, box: Box, strokes: _Strokes) -> _Strokes:
    """The strokes and the fainter ink beside them, ``weak`` in its box, unless that is too much."""
    is_whole = strokes.is_whole and _grows_from(strokes.mask[_inside(box)], weak[_inside(box)])
    found, _ = _strokes(weak, box, is_whole=is_whole)
    if found is None or (strokes.mask & ~found.mask).any() or filters.border(found.mask).any():
        return strokes
    is_too_much = np.count_nonzero(found.mask) > MOST_FAINT * np.count_nonzero(strokes.mask)
    return strokes if is_too_much else found


def _grows_from(core: BoolArray, ink: BoolArray) -> bool:
    """Whether ink is one piece as its ``core`` is, since all of it is within a few pixels of that."""
    for _ in range(3):
        core = _dilated(core, 1) & ink
        if np.array_equal(core, ink):
            return True
    return False


def _box(mask: BoolArray) -> Box:
    """The bounding box of what is True in a mask (h, w); all of it where nothing is."""
    rows, columns = (mask.any(axis=axis).tobytes() for axis in (1, 0))
    if b"\1" not in rows:
        return 0, len(rows), 0, len(columns)
    return rows.index(1), rows.rindex(1) + 1, columns.index(1), columns.rindex(1) + 1


def _inside(box: Box) -> tuple[slice, slice]:
    top, bottom, left, right = box
    return slice(top, bottom), slice(left, right)


def _dilated(mask: BoolArray, by: int) -> BoolArray:
    """The mask and what is within ``by`` pixels of it, along rows and columns."""
    return filters.extremes(filters.rimmed(mask, by), 2 * by + 1, np.bitwise_or)


def _strokes(mask: BoolArray, box: Box | None = None, *, is_whole: bool = False) -> tuple[_Strokes | None, BoolArray]:
    """(the drawing in a mask, or None; then what is no stroke).

    Args:
        mask: bool (h, w).
        box: of the mask, where it is known.
        is_whole: whether the mask is known to be one piece.
    """
    from scipy import ndimage

    longest = max(mask.shape)
    box = box or _box(mask)
    inner = _inside(box)
    if not is_whole:
        labelled, count = ndimage.label(mask[inner], filters.EIGHT_NEIGHBOURS)
    if is_whole or count < 2:  # nothing to compare it with
        touching = np.count_nonzero(filters.border(mask))
        if 4 * touching > longest or np.count_nonzero(mask) < 6:
            return None, mask
        return _Strokes(mask, box, is_whole=True), mask
    labels = np.zeros(mask.shape, dtype=labelled.dtype)
    labels[inner] = labelled
    places = ndimage.find_objects(labels)
    boxes = np.array([(p[0].start, p[0].stop, p[1].start, p[1].stop) for p in places], dtype=np.int64)
    areas, contact = (np.bincount(each.ravel(), minlength=count + 1)[1:] for each in (labels, filters.border(labels)))
    pieces = _Pieces(labels, areas, boxes.T)
    good = (4 * contact <= longest) & (areas >= 6)
    apart = good & (contact == 0)
    if apart.any():
        largest = int(pieces.size[apart].max())
        if 20 * largest >= longest:  # a drawing need not touch the border where something does not
            good &= (contact == 0) | (2 * pieces.size <= largest)
    good &= ~_frames(pieces, good)
    if not good.any():
        return None, mask
    for is_no_stroke in (_underlines, _sides, _open_frames):
        good &= ~is_no_stroke(pieces, good)
    main = int(np.where(good, areas, 0).argmax())
    similar = np.count_nonzero(good & (4 * areas >= areas[main]))
    if similar > MANY // 4:
        return None, mask
    good &= SPECK * areas >= areas[main]
    kept = np.concatenate([[False], _near(boxes, main, good)])[labels]
    return _Strokes(kept, _box(kept), is_whole=False), mask


class _Pieces:
    """The pieces of a mask: where each is (from 1), its pixels, and its bounding box, the ends excluded."""

    def __init__(self, labels: npt.NDArray[np.integer], areas: IntArray, boxes: npt.NDArray[np.int64]) -> None:
        self.labels, self.areas = labels, areas
        self.top, self.bottom, self.left, self.right = boxes
        self.tall, self.wide = self.bottom - self.top, self.right - self.left
        self.size = np.maximum(self.tall, self.wide)


def _frames(of: _Pieces, good: BoolArray) -> BoolArray:
    """Pieces that run around another one which is a drawing by its size: boxes, ovals, borders."""
    frames = np.zeros(len(of.size), dtype=bool)
    for one in np.flatnonzero(good & (2 * of.areas <= of.tall * of.wide)):
        inside = (of.top > of.top[one]) & (of.bottom < of.bottom[one])
        inside &= (of.left > of.left[one]) & (of.right < of.right[one])
        frames[one] = (good & inside & (10 * of.size >= 3 * of.size[one])).any()
    return frames


def _underlines(of: _Pieces, good: BoolArray) -> BoolArray:
    """Long thin lying pieces, where another piece above or below is a drawing by its size.

    Below a piece that it spans a line may be twice as long as elsewhere.
    """
    lines = np.zeros(len(of.size), dtype=bool)
    for one in np.flatnonzero(good & (of.wide >= 5 * of.tall)):
        left, right, wide = of.left[one], of.right[one], of.wide[one]
        below = (2 * of.top[one] >= of.top + of.bottom) & (of.left >= left) & (of.right <= right)
        others = good & ((3 * of.tall >= wide) | (below & (6 * of.tall >= wide)))
        others &= (of.left < right) & (of.right > left)
        others[one] = False
        lines[one] = others.any()
    return lines


def _sides(of: _Pieces, good: BoolArray) -> BoolArray:
    """Two long thin standing pieces, level with each other, with another piece between: the sides of a box."""
    sides = np.zeros(len(of.size), dtype=bool)
    thin = good & (of.tall >= 5 * of.wide)
    for one in np.flatnonzero(thin):
        apart = np.maximum(np.abs(of.top - of.top[one]), np.abs(of.bottom - of.bottom[one]))
        for other in np.flatnonzero(thin & (5 * apart <= of.tall[one]) & (of.left > of.right[one])):
            if (good & (of.left >= of.right[one]) & (of.right <= of.left[other])).any():
                sides[[one, other]] = True
    return sides


def _open_frames(of: _Pieces, good: BoolArray) -> BoolArray:
    """Straight pieces that reach past another one, which is a drawing by its size, on two sides: the rest of a box.

    The picture's border, or lines that went before, may have taken the other sides of the box.
    """
    solid = good & (4 * np.minimum(of.tall, of.wide) >= of.size)
    frames = np.zeros(len(of.size), dtype=bool)
    for one in np.flatnonzero(good & (of.wide < 5 * of.tall)):
        top, bottom, left, right, size = (each[one] for each in (of.top, of.bottom, of.left, of.right, of.size))
        thin = of.tall[one] >= 5 * of.wide[one]
        past = (100 * (of.top - top) >= REACH * size) & (100 * (bottom - of.bottom) >= REACH * size)
        if not thin:
            past |= (100 * (of.left - left) >= REACH * size) & (100 * (right - of.right) >= REACH * size)
        if not (solid & past & (5 * of.size >= 2 * size)).any():
            continue
        margin = max(2, int(size) // RIM)
        inner = of.labels[top + margin : bottom - margin, left + margin : right - margin] == one + 1
        frames[one] = thin or 10 * np.count_nonzero(inner) <= of.areas[one]
    return frames


def _near(boxes: npt.NDArray[np.int64], main: int, good: BoolArray) -> BoolArray:
    """Good pieces no further from the main one, or from those near it, than two fifths of its size."""
    top, bottom, left, right = boxes[main]
    reach = 2 * max(bottom - top, right - left)
    for _ in range(2):
        down = np.maximum(boxes[:, 0] - bottom, top - boxes[:, 1])
        across = np.maximum(boxes[:, 2] - right, left - boxes[:, 3])
        near: BoolArray = good & (5 * np.maximum(down, across) <= reach)
        top, left = boxes[near].min(axis=0)[[0, 2]]
        bottom, right = boxes[near].max(axis=0)[[1, 3]]
    return near


def _lines(mask: BoolArray, box: Box) -> BoolArray | None:
    """Pixels of straight thin lines that cross the picture, without what crosses them; None: there are none.

    Args:
        mask: bool (h, w).
        box: its bounding box.
    """
    top, bottom, left, right = box
    across, down = _level_lines(mask, box), _level_lines(mask.T, (left, right, top, bottom))
    if across is None or down is None:
        return across if down is None else down.T
    return across | down.T


def _level_lines(mask: BoolArray, box: Box) -> BoolArray | None:
    """Lines that cross the picture from left to right, at slopes up to SLOPE; None: there are none."""
    height, width = mask.shape
    fewest = CROSSING * width
    thickest = max(3, max(height, width) // 24)
    if 100 * (box[3] - box[2]) < fewest:  # as of most drawings, and there is nothing to count
        return None
    inner = mask[_inside(box)]
    if 100 * np.count_nonzero(inner.any(axis=0)) < fewest or 100 * _count_thin_runs(inner, thickest) < fewest:
        return None
    runs = _thin_runs(mask, thickest)
    coarse = [SLOPE * (2 * k - SLANTS + 1) // (SLANTS - 1) for k in range(SLANTS)]
    step = SLOPE * 2 // (SLANTS - 1)
    lines = None
    for _ in range(8):
        if 100 * runs.shape[1] < fewest:
            break
        votes, slope = _best_slope(runs, coarse, mask.shape, (0, 0))
        if 100 * votes < fewest:
            break
        votes, slope = _best_slope(runs, range(slope - step, slope + step + 1, 2), mask.shape, (votes, slope))
        lines = np.zeros(mask.shape, dtype=np.bool_) if lines is None else lines
        runs = _take_lines(runs, slope, lines, fewest)
    return lines


def _count_thin_runs(mask: BoolArray, thickest: int) -> int:
    """How many vertical runs are at most ``thickest`` long: all but those that shrinking by so many pixels leaves."""
    left = mask
    for step in filters.doubled(thickest + 1):
        left = left[step:] & left[:-step]
    runs, long = (np.count_nonzero(each[:1]) + np.count_nonzero(each[1:] > each[:-1]) for each in (mask, left))
    return int(runs - long)


def _thin_runs(mask: BoolArray, thickest: int) -> IntArray:
    """Vertical runs of the mask that are at most ``thickest`` long, column by column: (3, n), x, top, end."""
    height, width = mask.shape
    flat = np.zeros(width * (height + 1) + 1, dtype=np.bool_)
    flat[1:].reshape(width, height + 1)[:, :height] = mask.T  # a pixel of no ink between two columns
    turns = np.flatnonzero(flat[1:] != flat[:-1])
    starts, ends = turns[::2], turns[1::2]
    thin = ends - starts <= thickest
    starts, ends = starts[thin], ends[thin]
    x = starts // (height + 1)
    return np.stack([x, starts - x * (height + 1), ends - x * (height + 1)]).astype(np.int32)


def _lines_of(runs: IntArray, slope: int, shape: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """(the number of the line of a slope that each run is on, how many runs are on each line or beside it)."""
    height, width = shape
    x, top, end = runs
    offset = width * SLOPE // 1000 + 2
    places = (top + end - (2 * x - width) * slope // 1000) // 2 + offset
    counts = np.bincount(places, minlength=height + 2 * offset)
    votes = np.zeros(len(counts), dtype=np.int32)
    votes[1:-1] = counts[:-2] + counts[1:-1] + counts[2:]
    return places, votes


def _best_slope(
    runs: IntArray, slopes: Iterable[int], shape: tuple[int, ...], best: tuple[int, int]
) -> tuple[int, int]:
    """(runs on the fullest line, its slope), if it is fuller than ``best``."""
    for slope in slopes:
        votes = int(_lines_of(runs, slope, shape)[1].max())
        if votes > best[0]:
            best = votes, slope
    return best


def _take_lines(runs: IntArray, slope: int, lines: BoolArray, fewest: int) -> IntArray:
    """Draw the lines of one slope that cross the picture into ``lines``, and return the runs that lie on none."""
    places, votes = _lines_of(runs, slope, lines.shape)
    long = runs[2] - runs[1]
    near = np.zeros(len(votes), dtype=bool)
    for _ in range(40):
        at = int(votes.argmax())
        if 100 * int(votes[at]) < fewest:
            break
        on = np.abs(places - at) <= 2
        limit = filters.ranked(long[on], 3, 4) + 2
        near[max(0, at - 2) : at + 3] = True
        votes[max(0, at - 4) : at + 5] = 0
        for x, top, end in runs[:, on & (long <= limit)].T.tolist():
            lines[top:end, x] = True
    return np.asarray(runs[:, ~near[places]])
