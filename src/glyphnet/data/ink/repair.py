"""Pictures about as small as the training images: what is unlike them is measured, and only that is repaired."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from . import filters
from .filters import BoolArray, IntArray
from .spec import InkSpec

FAINTEST = 24  # levels between ink and paper; below it there is nothing but noise
FEWEST = 12  # pixels along the shorter side from which unevenness of the paper shows
FEWEST_STRIPED = 24  # pixels along the shorter side from which the frame is the smaller part of a picture
FRAME = 3  # pixels along the border, where stripes are read
RAMP = (25, 70)  # hundredths of full ink between which the edge of a repaired stroke rises
CYCLE = 4096  # stripes have a whole number of cycles on so many pixels
REFINED = 6  # waves whose neighbours are tried: the best of a coarse grid may be another's echo
PHASES = 16  # of stripes, that have one level each
PIECE = 14  # a piece this many times lighter than the heaviest is dust
GAIN = 0.03  # of the variance explained, that an uneven paper must bring
STRENGTHS = (1, 2, 3, 5, 8, 12)  # of sharpening, tried in turn

_Integer = TypeVar("_Integer", bound=np.integer[Any])


class Depth(NamedTuple):
    """How far each pixel is from the paper, towards ink."""

    values: IntArray  # int32 (h, w), 0 paper; ``full`` is full ink
    full: int  # the depth of full ink
    repaired: bool  # whether noise, stripes or blur were taken out


def small_depth(grey: npt.NDArray[np.uint8], spec: InkSpec) -> Depth | None:
    """The depth of the ink in a picture near the model's size; None if nothing is drawn."""
    values = grey.astype(np.int32)
    values, stripes = without_stripes(values) if spec.stripes else (values, None)
    depth, light = above_background(values)
    if stripes is not None:
        depth = _with_headroom(depth, stripes, light)
    noise = background_noise(depth)
    noisy = noise > spec.noise
    if specks(depth) > max(spec.specks, 1000 // depth.size):
        depth = _without_specks(depth)
        noisy = noisy or background_noise(depth) > spec.noise
    if noisy:
        depth = filters.binomial(depth)
    depth = np.maximum(depth, 0)
    full = filters.full_ink(depth)
    if full < max(FAINTEST, noise // 4) or filters.stroke_lengths(depth, full) > spec.length:
        return None
    repaired = noisy or stripes is not None
    if repaired:
        depth = filters.ramp(depth, full, *RAMP).astype(np.int32)
        full = 255
        depth = without_pieces(depth)
    if filters.softness(depth, full) > spec.softness:
        depth, full = sharpened(depth, spec)
        repaired = True
    return Depth(depth, full, repaired)


def background_noise(depth: IntArray) -> int:
    """Four times the deviation of the noise on the paper, in levels (Immerkær 1996, by median); 0 if there is none."""
    height, width = depth.shape
    if min(height, width) < 3:
        return 0
    ink = depth > filters.otsu_threshold(np.clip(depth, 0, 255))
    away, rough = roughness(depth, ink)
    if np.count_nonzero(away) < max(64, away.size // 10):
        return 0
    return filters.upper_median(rough[away])


def roughness(depth: IntArray, ink: BoolArray) -> tuple[BoolArray, IntArray]:
    """For inner pixels of each of (…, H, W): whether no ink is beside them, how unlike their neighbours they are."""
    rows = ink[..., :-2, :] | ink[..., 1:-1, :] | ink[..., 2:, :]
    away = ~(rows[..., :-2] | rows[..., 1:-1] | rows[..., 2:])
    down = depth[..., :-2, :] + depth[..., 2:, :] - 2 * depth[..., 1:-1, :]
    return away, np.abs(down[..., :-2] + down[..., 2:] - 2 * down[..., 1:-1])


def without_pieces(depth: npt.NDArray[_Integer]) -> npt.NDArray[_Integer]:
    """The ink without what is ``PIECE`` times smaller than its largest piece, corners touching."""
    from scipy import ndimage

    ink = depth >= 64
    top, bottom, left, right = filters.extents(ink)
    part = depth[top:bottom, left:right]
    pieces, count = ndimage.label(ink[top:bottom, left:right], filters.EIGHT_NEIGHBOURS)
    if count < 2:
        return depth
    mass = np.bincount(pieces.ravel(), weights=part.ravel())
    mass[0] = 0
    kept = mass * PIECE >= mass.max()
    kept[0] = True
    made = depth.copy()
    made[top:bottom, left:right] *= kept[pieces]
    return made


def sharpened(depth: IntArray, spec: InkSpec) -> tuple[IntArray, int]:
    """Unsharp masking, as much as makes edges as sharp as in training."""
    blurred = filters.box_mean(filters.box_mean(depth, 2), 2)
    made, full = depth, 1
    for strength in STRENGTHS:
        made = np.maximum(depth + strength * (depth - blurred), 0)
        level = filters.full_ink(made * 255 // max(1, int(made.max())))
        full = max(1, level * int(made.max()) // 255)
        if filters.softness(made, full) <= spec.softness:
            break
    return np.minimum(made * 255 // full, 255), 255


def above_background(grey: IntArray) -> tuple[IntArray, bool]:
    """(depth, whether the ink is light).

    Paper is even, a plane, or a surface: whichever parts ink from paper best.
    """
    plain, parted = _split_by_level(grey)
    plane = _tilted_plane(grey)
    if plane.any():
        flat, better = _split_by_level(grey - plane)
        if better > parted + GAIN:
            grey, plain, parted = grey - plane, flat, better
    light = bool(is_ink(plain))
    upright = grey if light else -grey
    paper = upright[~plain if light else plain]
    depth = upright - _level(paper if paper.size else upright)
    ring = filters.border(upright)
    if min(grey.shape) < FEWEST or filters.ranked(ring, 19, 20) - filters.ranked(ring, 1, 20) < FAINTEST:
        return depth, light
    ground = filters.opened(filters.binomial(filters.binomial(upright)), max(2, max(grey.shape) // 5))
    if filters.ranked(ground, 19, 20) - filters.ranked(ground, 1, 20) >= FAINTEST:
        over = upright - ground
        over -= max(0, filters.ranked(over, 1, 3))
        if _split_by_level(np.clip(over, 0, 255))[1] > parted + GAIN:
            return over, light
    return depth, light


def _split_by_level(values: IntArray) -> tuple[BoolArray, float]:
    """The pixels above Otsu's threshold, and the share of the variance that lies between them and the others."""
    low, high = int(values.min()), int(values.max())
    scaled = values - low if high - low <= 255 else (values - low) * 255 // (high - low)
    above = scaled > filters.otsu_threshold(scaled)
    n, total = scaled.size, int(scaled.sum())
    variance = n * int((scaled * scaled).sum(dtype=np.int64)) - total * total
    many, mass = int(np.count_nonzero(above)), int(scaled[above].sum())
    if not variance or not many or many == n:
        return above, 0.0
    difference = float(mass * n - total * many)
    return above, difference / many * difference / (n - many) / variance


def is_ink(above: BoolArray) -> Any:
    """Whether what is True in each of (…, H, W) is ink, and the rest paper: bool (…).

    Paper is what most of the border shows, its corners, and most of the picture: weighed 2 to 1 to 1.
    """
    height, width = above.shape[-2:]
    ring = filters.border(above)
    around, pixels = ring.shape[-1], height * width
    corners = ring[..., [0, width - 1, width, 2 * width - 1]].sum(axis=-1)
    votes = 8 * pixels * ring.sum(axis=-1) + around * pixels * corners + 4 * around * above.sum(axis=(-2, -1))
    return votes < 8 * around * pixels


def _level(paper: IntArray) -> int:
    """The level of even paper: the value that an eighth of it shares, as paper without noise does, or the median."""
    values, counts = np.unique(paper, return_counts=True)
    most = int(counts.argmax())
    return int(values[most]) if 8 * int(counts[most]) >= paper.size else filters.upper_median(paper)


def _tilted_plane(grey: IntArray) -> IntArray:
    """The plane through the medians of opposite sides, where they differ; 0 in the middle."""
    height, width = grey.shape
    down = filters.upper_median(grey[-1]) - filters.upper_median(grey[0])
    across = filters.upper_median(grey[:, -1]) - filters.upper_median(grey[:, 0])
    y, x = 2 * np.arange(height) + 1 - height, 2 * np.arange(width) + 1 - width
    fall = (y * down) // (2 * height) if abs(down) >= FAINTEST else 0 * y
    side = (x * across) // (2 * width) if abs(across) >= FAINTEST else 0 * x
    return np.asarray((fall[:, np.newaxis] + side).astype(np.int32))


def without_stripes(grey: IntArray) -> tuple[IntArray, IntArray | None]:
    """The picture less lines that repeat across it, and these; None without stripes.

    Stripes are read in the frame along the border, where no ink is: one level for each phase of the wave that explains
    the frame best.
    """
    if min(grey.shape) < FEWEST_STRIPED:
        return grey, None
    framed = np.ones(grey.shape, dtype=np.bool_)
    framed[FRAME:-FRAME, FRAME:-FRAME] = False
    frame = grey[framed]
    if filters.ranked(frame, 9, 10) - filters.ranked(frame, 1, 10) < FAINTEST:
        return grey, None
    places: IntArray = np.indices(grey.shape, dtype=np.int32)
    wave = _wave(frame, places[:, framed], grey.shape)
    if wave is None:
        return grey, None
    phase = ((places[0] * wave[0] + places[1] * wave[1]) % CYCLE) * PHASES // CYCLE
    parts = [frame[phase[framed] == k] for k in range(PHASES)]
    profile = np.array([filters.upper_median(part) if part.size else 0 for part in parts], dtype=np.int32)
    left = grey - profile[phase]
    middle = filters.upper_median(frame)
    cycles = ((places[0] * wave[0] + places[1] * wave[1]) // CYCLE)[framed]
    there = profile[phase[framed]] - middle
    if not _is_everywhere(np.abs(frame - middle), np.abs(left[framed]), np.abs(there), cycles - cycles.min()):
        return grey, None
    # Ink is on one side of stripes. Where strokes were taken for stripes, the inner picture lies on both.
    inner = left[FRAME:-FRAME, FRAME:-FRAME]
    far = max(FAINTEST, (int(profile.max()) - int(profile.min())) // 4)
    if 12 * min(np.count_nonzero(inner < -far), np.count_nonzero(inner > far)) > inner.size:
        return grey, None
    return left, profile[phase]


def _is_everywhere(before: IntArray, after: IntArray, there: IntArray, cycles: IntArray) -> bool:
    """Whether a wave explains most of the frame, and its line is there in each of its cycles: strokes end somewhere.

    Ink between two lines says nothing against them: only pixels count where a line is expected.

    Args:
        before: int32 (n,), how far the pixels of the frame are from its usual level.
        after: int32 (n,), how far they still are without the wave.
        there: int32 (n,), how far the wave is from the usual level; from ``FAINTEST`` on it is a line.
        cycles: int32 (n,), which cycle each is in, from 0; those that the picture only touches do not count.
    """
    counted = 30 * np.bincount(cycles) >= len(cycles)
    line = there >= FAINTEST
    wanted, missing = (np.bincount(cycles, weights=np.where(line, each, 0))[counted] for each in (there, after))
    return bool(3 * after.sum() <= before.sum() and (2 * missing <= wanted).all())


def _wave(frame: IntArray, places: IntArray, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Cycles (down, across) on CYCLE pixels of the wave that explains most of the frame; None if that is too little."""
    n, total = frame.size, int(frame.sum())
    spread = n * int((frame.astype(np.int64) ** 2).sum()) - total * total
    slowest, fastest = CYCLE * 5 // (2 * min(shape)), CYCLE * 5 // 11
    step = CYCLE // (2 * max(shape))
    waves = [
        (down, across)
        for down in range(0, fastest, step)
        for across in range(-fastest, fastest, step)
        if slowest**2 <= down**2 + across**2 <= fastest**2
    ]
    while True:
        explained = _explained(frame, places, np.array(waves, dtype=np.int32)) * n - total * total
        order = np.argsort(-explained, kind="stable")[:REFINED]
        best = int(explained[order[0]])
        if step < 4 or 10 * best < 3 * spread:
            return waves[order[0]] if 10 * best >= 6 * spread else None
        step //= 3
        near = [(step * k, step * m) for k in range(-2, 3) for m in range(-2, 3)]
        waves = [(waves[at][0] + down, waves[at][1] + across) for at in order for down, across in near]


def _explained(frame: IntArray, places: IntArray, waves: IntArray) -> npt.NDArray[np.int64]:
    """For each of the waves (M, 2): Σ over phases of (sum of the frame)² / number of its pixels."""
    phase = ((waves @ places) % CYCLE) * PHASES // CYCLE
    phase += PHASES * np.arange(len(waves), dtype=np.int32)[:, np.newaxis]
    size = PHASES * len(waves)
    counts = np.bincount(phase.ravel(), minlength=size)
    sums = np.bincount(phase.ravel(), weights=np.tile(frame, len(waves)), minlength=size).astype(np.int64)
    return np.asarray((sums**2 // np.maximum(counts, 1)).reshape(-1, PHASES).sum(axis=1))


def _with_headroom(depth: IntArray, stripes: IntArray, light: bool) -> IntArray:
    """What stripes left of the ink, as deep as between them; where they left nothing, from the neighbours."""
    room = 255 - stripes if light else stripes
    most = int(room.max())
    made = depth * most // np.maximum(room, 1)
    known = 4 * room >= most
    lined = 2 * stripes >= int(stripes.min()) + int(stripes.max())
    if not light:
        lined = ~lined
    # Lines over the ink hide it whatever room they leave.
    on, off = (np.maximum(made, 0)[where] for where in (lined & known, ~lined & known))
    if on.size and off.size and 5 * int(on.sum()) * off.size < 2 * int(off.sum()) * on.size:
        known &= ~lined
    while not known.all() and known.any():
        padded, there = np.pad(np.where(known, made, 0), 1), np.pad(known.astype(np.int32), 1)
        sums = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        count = there[:-2, 1:-1] + there[2:, 1:-1] + there[1:-1, :-2] + there[1:-1, 2:]
        fill = ~known & (count > 0)
        made = np.where(fill, sums // np.maximum(count, 1), made)
        known = known | fill
    return made


def specks(depth: IntArray) -> int:
    """`lone_pixels` of the ink in a picture."""
    return int(lone_pixels(depth > filters.otsu_threshold(np.clip(depth, 0, 255))))


def lone_pixels(ink: BoolArray) -> Any:
    """How many pixels of each of (…, H, W) have no neighbour, in thousandths of the picture: int64 (…)."""
    height, width = ink.shape[-2:]
    padded = np.pad(ink, [*[(0, 0)] * (ink.ndim - 2), (1, 1), (1, 1)])
    rows = padded[..., :-2, :] | padded[..., 1:-1, :] | padded[..., 2:, :]
    beside = rows[..., :-2] | rows[..., 2:] | padded[..., :-2, 1:-1] | padded[..., 2:, 1:-1]
    return 1000 * (ink & ~beside).sum(axis=(-2, -1)) // (height * width)


def _without_specks(values: IntArray) -> IntArray:
    """Pixels unlike nearly all of their neighbours become these' median."""
    height, width = values.shape
    places = [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]
    for _ in range(2):
        padded = np.pad(values, 1, mode="edge")
        around = np.stack([padded[y : y + height, x : x + width] for y, x in places])
        apart = np.abs(around - values) >= FAINTEST * 2
        values = np.where(apart.sum(axis=0) >= 7, np.sort(around, axis=0)[4], values)
    return values
