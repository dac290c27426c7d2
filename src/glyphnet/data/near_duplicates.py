"""Finds pictures that show the same, though shifted, mirrored, turned a little, enlarged, brightened or compressed.

1. Every picture becomes a vector: its brightness, less the background's, about its centre of mass, blurred, on a
   coarse grid, with mean 0 and length 1, in the directions in which the pictures of this set differ most.
2. The nearest vectors of each picture, and of its mirrored, turned and enlarged versions, are candidates. They are
   searched in the nearest few of many cells (k-means), not among all pictures.
3. The pixels decide: one picture of each pair is moved, turned and enlarged onto the other (Lucas and Kanade 1981, in
   the inverse compositional form of Baker and Matthews 2004), and what then differs is measured.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .dataset import Int64Array, UInt8Array

Float32Array = npt.NDArray[np.float32]
Complex64Array = npt.NDArray[np.complex64]

SEARCH_VERSION = 2
"""Raise it when the search finds other pairs: results in the cache are then not used."""

# What the similarity of pixels, and of their fine detail, may lack in two very similar pictures, at most; and in the
# same picture, at most and whatever other pictures lack.
_SIMILAR = 0.05, 0.3
_SAME, _STRICTEST = (0.015, 0.1), (0.002, 0.01)
# Least evidence, in nats, that the fine detail of very similar pictures agrees by more than chance; and its least
# multiple of what three of four pictures have with the last neighbour kept. 60,000 pictures have e²¹ pairs.
_EVIDENCE, _BEYOND_USUAL = 40, 5
_FULL_DETAIL = 500  # pixels: smaller pictures have less that could differ, and may lack less in proportion
SIDE = 32  # pixels: larger pictures are averaged down to it
GRID = 26  # of the vectors' coarse pictures
_BLUR = 0.7  # cells, or pixels where these are larger: spread of their blur
_DIRECTIONS = 96
_DAMPING = 0.25  # power of their variance
_CUT_OFF = 0.5  # brightness at the border, as a share of that everywhere: from here on pictures continue beyond it
_CELL = 150  # pictures in a cell of the search, about
_PROBES = 3  # cells looked into for each version of a picture
_NEAREST = 6  # neighbours of each picture that are kept
_FARTHEST = 0.7  # distance of the vectors of a pair that is looked at
_FARTHEST_OUTSTANDING = 0.9  # the same for one that is much nearer than others
_MUCH_NEARER = 0.75  # of the distance of the last neighbour kept: such a one is looked at, not only the nearest
_SURELY_NEARER = 0.5  # of that distance: the same picture is so near, unless it lacks next to nothing
_SAMPLED = 500  # pictures that tell how alike different ones are
_STEPS = 6  # of the alignment
_WORTH_BOTH_WAYS = 0.8  # similarity
_PIECE = 2048  # pictures or pairs in one go
_SEED = 7


class _Version(NamedTuple):
    """What is done to a picture, mirrored first, before its neighbours are searched."""

    degrees: float = 0.0  # counter-clockwise where rows count upwards
    scale: float = 1.0
    shift: complex = 0j  # in cells of the grid, x real, y imaginary
    mirrored: bool = False

    @property
    def factor(self) -> complex:
        """What turns and enlarges, as one complex number."""
        return self.scale * cmath.exp(1j * math.radians(self.degrees))


_CHANGES = (
    _Version(), _Version(degrees=-6), _Version(degrees=6), _Version(scale=0.9), _Version(scale=1.1),
    *(_Version(shift=shift) for shift in (1.5, -1.5, 1.5j, -1.5j)),
)  # fmt: skip
VERSIONS = tuple(change._replace(mirrored=mirrored) for mirrored in (False, True) for change in _CHANGES)
_IS_MIRRORED = np.array([version.mirrored for version in VERSIONS])


@dataclass(frozen=True, eq=False)
class NearPairs:
    """Pairs of pictures that show the same."""

    pairs: Int64Array  # (M, 2), rows of the pictures, the smaller first
    similarity: Float32Array  # (M,), correlation of their pixels once one is moved onto the other
    same: npt.NDArray[np.bool_]  # (M,): the same picture; the others are very similar
    mirrored: npt.NDArray[np.bool_]  # (M,): one of the two is mirrored
    degrees: Float32Array  # (M,), by what one is turned to fit the other
    scale: Float32Array  # (M,), by what it is enlarged
    shift: Float32Array  # (M,), by how many pixels it is moved

    def __len__(self) -> int:
        return len(self.pairs)

    def kind(self, number: int) -> str:
        """How the pictures of a pair differ: "mirrored, turned"; "altered" where nothing moved."""
        done = {
            "mirrored": self.mirrored[number],
            "turned": abs(float(self.degrees[number])) >= 2,
            "enlarged": abs(float(self.scale[number]) - 1) >= 0.04,
            "shifted": float(self.shift[number]) >= 0.5,
        }
        return ", ".join(name for name, is_so in done.items() if is_so) or "altered"

    def of(self, chosen: npt.NDArray[Any]) -> NearPairs:
        """Some of the pairs, by a mask or by indices."""
        return NearPairs(*(getattr(self, each.name)[chosen] for each in fields(self)))

    def renumbered(self, rows: Int64Array) -> NearPairs:
        """The same where row i is called ``rows[i]``, sorted by the new rows."""
        found = replace(self, pairs=np.sort(rows[self.pairs], axis=1))
        return found.of(np.lexsort((found.pairs[:, 1], found.pairs[:, 0])))


def near_pairs(images: Callable[[Int64Array], UInt8Array], count: int) -> NearPairs:
    """The pairs among ``count`` pictures that are all different; half a millisecond for a picture of 28 × 28.

    ``images`` returns the pictures at some rows, uint8 (n, H, W, C).
    """
    if count < 2:
        return no_pairs()
    prepared = _prepare(images, count)
    found, others = _search(prepared)
    fits = _align(prepared, found)
    same, alike = _judged(fits, found, min(1.0, prepared.grey[0].size / _FULL_DETAIL))
    # Three of four different pictures stay below what is usual: smooth ones agree in much of their detail.
    evidence = _align(prepared, others).evidence
    usual = float(np.quantile(evidence, 0.75)) if len(evidence) >= 20 else math.inf
    alike |= fits.evidence >= max(_EVIDENCE, _BEYOND_USUAL * usual)
    swapped = found.pairs[:, 0] > found.pairs[:, 1]
    degrees, scale = np.degrees(np.angle(fits.turn)), np.abs(fits.turn) ** np.where(swapped, -1, 1)
    changes = (each.astype(np.float32) for each in (degrees, scale, np.abs(fits.shift)))
    pairs = np.sort(found.pairs, axis=1)
    return NearPairs(pairs, fits.similarity, same, _IS_MIRRORED[found.version], *changes).of(same | alike)


def _judged(fits: _Fits, found: _Candidates, share: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which pairs are the same picture, and which are very similar; ``share``: of the limits, for small pictures."""
    # What similarity and detail lack in the best fits of different pictures: those that do not stand out. In MNIST
    # every one fits some other almost perfectly, as do plain trousers; photographs do not.
    others, chance = ~found.stands_out, [1.0, 1.0]
    if others.sum() >= 50:
        chance = [float(np.quantile(1 - fit[others], 0.005)) for fit in (fits.similarity, fits.detail)]
    limits = [min(max(0.5 * c, least), most) * share for c, least, most in zip(chance, _STRICTEST, _SAME, strict=True)]
    fit = _within(fits, limits)
    same = fit & ((found.nearness <= _SURELY_NEARER) | _within(fits, [least * share for least in _STRICTEST]))
    wider = [min(2 * c, most) * share for c, most in zip(chance, _SIMILAR, strict=True)]
    return same, fit | (_within(fits, wider) & found.stands_out)


def _within(fits: _Fits, may_lack: Sequence[float]) -> npt.NDArray[np.bool_]:
    similarity, detail = may_lack
    return np.asarray((1 - fits.similarity <= similarity) & (1 - fits.detail <= detail))


def no_pairs() -> NearPairs:
    """None at all."""
    none, flags = np.empty(0, dtype=np.float32), np.empty(0, dtype=np.bool_)
    return NearPairs(np.empty((0, 2), dtype=np.int64), none, flags, flags, none, none, none)


class _Prepared(NamedTuple):
    """The pictures as the search sees them."""

    grey: Float32Array  # (N, h, w), brightness less the background's, in [-1, 1]
    centre: Complex64Array  # (N,), centre of mass, from the middle of the picture, in pixels; x real, y imaginary
    are_whole: bool  # whether the content of most pictures ends before their border


def averaging(size: int, cells: int) -> Float32Array:
    """A matrix that averages ``size`` pixels into at most ``cells`` cells, float32 (cells, size)."""
    edges = np.linspace(0, size, min(cells, size) + 1).round().astype(int).tolist()
    matrix = np.zeros((len(edges) - 1, size), dtype=np.float32)
    for cell, (start, end) in enumerate(pairwise(edges)):
        matrix[cell, start:end] = 1 / (end - start)
    return matrix


def _prepare(images: Callable[[Int64Array], UInt8Array], count: int) -> _Prepared:
    """The pictures in grey and small."""
    height, width = images(np.arange(1)).shape[1:3]
    smaller = min(1.0, SIDE / max(height, width))
    rows, columns = (averaging(side, max(2, round(side * smaller))) for side in (height, width))
    grey = np.empty((count, len(rows), len(columns)), dtype=np.float32)
    step = max(1, min(_PIECE, _PIECE * SIDE * SIDE // (height * width)))
    for start in range(0, count, step):
        piece = images(np.arange(start, min(start + step, count)))
        flat = piece.mean(axis=3, dtype=np.float32) if piece.shape[3] > 1 else piece[..., 0].astype(np.float32)
        if smaller < 1:
            flat = rows @ flat @ columns.T
        grey[start : start + step] = flat / 255
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
    background = np.median(border, axis=1)
    grey -= background[:, None, None]
    ink = np.abs(grey)
    # A picture that continues beyond its border has no centre: what enters or leaves at an edge would move it. This is
    # decided once for the whole set, as it must be the same for both of a pair.
    cut_off = np.abs(border - background[:, None]).mean(axis=1) / np.maximum(ink.mean(axis=(1, 2)), 1e-3)
    are_whole = bool(np.median(cut_off) < _CUT_OFF)
    if not are_whole:
        grey -= grey.mean(axis=(1, 2), keepdims=True)
        return _Prepared(grey, np.zeros(count, dtype=np.complex64), are_whole)
    mass = np.maximum(ink.sum(axis=(1, 2)), 1e-3)
    y, x = (np.arange(side, dtype=np.float32) - (side - 1) / 2 for side in grey.shape[1:])
    centre = (ink.sum(axis=1) @ x + 1j * (ink.sum(axis=2) @ y)) / mass
    return _Prepared(grey, centre.astype(np.complex64), are_whole)


def _coarse(prepared: _Prepared, rows: slice) -> Float32Array:
    """Blurred pictures about their centres of mass, on a grid: float32 (n, GRID²)."""
    grey, centre = prepared.grey[rows], prepared.centre[rows]
    weights = []
    step = max(grey.shape[1:]) / GRID
    for side, middle in ((grey.shape[1], centre.imag), (grey.shape[2], centre.real)):
        cells = (np.arange(GRID, dtype=np.float32) - (GRID - 1) / 2) * step
        pixels = np.arange(side, dtype=np.float32) - (side - 1) / 2
        apart = pixels[None, None, :] - (cells[None, :, None] + middle[:, None, None])
        weights.append(np.exp(-0.5 * (apart / (_BLUR * max(step, 1))) ** 2).astype(np.float32))
    blurred: Float32Array = weights[0] @ grey @ weights[1].transpose(0, 2, 1)
    return blurred.reshape(len(grey), -1)


def _turned(version: _Version) -> Float32Array:
    """A matrix to multiply coarse pictures by from the right, that mirrors, then turns and enlarges: (GRID², GRID²)."""
    at = np.arange(GRID) - (GRID - 1) / 2
    y, x = np.meshgrid(at, at, indexing="ij")
    source = ((x + 1j * y).ravel() - version.shift) / version.factor
    if version.mirrored:
        source = -source.conj()
    # The corners count little: other things enter there when a picture is turned.
    window = np.clip((1.1 - np.abs(source) / (GRID / 2)) / 0.4, 0, 1)
    matrix = np.zeros((GRID * GRID, GRID * GRID), dtype=np.float32)
    column, row = source.real + (GRID - 1) / 2, source.imag + (GRID - 1) / 2
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    for down in (0, 1):
        for right in (0, 1):
            i, j = top + down, left + right
            share = (1 - np.abs(row - i)) * (1 - np.abs(column - j)) * window
            inside = (i >= 0) & (i < GRID) & (j >= 0) & (j < GRID)
            matrix[(i * GRID + j)[inside], np.flatnonzero(inside)] += share[inside]
    return matrix


class _Candidates(NamedTuple):
    """Pairs that may be alike."""

    pairs: Int64Array  # (M, 2)
    version: Int64Array  # (M,), the version of the first that found the second
    nearness: Float32Array  # (M,), distance of the two, as a share of that of the last neighbour kept

    @property
    def stands_out(self) -> npt.NDArray[np.bool_]:
        """Whether the second is much nearer to the first than other neighbours: bool (M,)."""
        return self.nearness <= _MUCH_NEARER


def _search(prepared: _Prepared) -> tuple[_Candidates, _Candidates]:
    """The nearest neighbours of each picture among all, in any version; and some that show something else."""
    count = len(prepared.grey)
    pictures = np.concatenate([_coarse(prepared, slice(a, a + _PIECE)) for a in range(0, count, _PIECE)])
    upright = _turned(VERSIONS[0])
    basis = _basis(pictures[:: max(1, count // 20_000)] @ upright)
    vectors = _projected(pictures, upright @ basis)
    rng = np.random.default_rng(_SEED)
    centres = _cells(vectors, rng)
    cell = _nearest_cells(vectors, centres, 1)[:, 0]
    members = np.split(np.argsort(cell, kind="stable"), np.searchsorted(np.sort(cell), np.arange(1, len(centres))))
    found = []
    for number, version in enumerate(VERSIONS):
        if version.shift and prepared.are_whole:
            continue  # their centres do what shifts would
        queries = _projected(pictures, _turned(version) @ basis)
        found.append(_look_into(queries, vectors, _nearest_cells(queries, centres, _PROBES), members, number))
    return _merged(found, count)


def _basis(sample: Float32Array) -> Float32Array:
    """Directions in which the pictures differ most, the first of them damped: float32 (GRID², D)."""
    unit = sample - sample.mean(axis=1, keepdims=True)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-6)
    values, directions = np.linalg.eigh(unit.T @ unit / len(unit))
    kept = slice(-1, -1 - min(_DIRECTIONS, len(sample)), -1)
    damped = np.maximum(values[kept], 1e-6) ** -_DAMPING
    basis = directions[:, kept] * damped
    return np.asarray(basis - basis.mean(axis=0), dtype=np.float32)  # takes each picture's mean away


def _projected(pictures: Float32Array, basis: Float32Array) -> Float32Array:
    vectors = pictures @ basis
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return np.asarray(vectors, dtype=np.float32)


def _cells(vectors: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Centres of the cells, by k-means on a sample: float32 (K, D)."""
    count = max(1, len(vectors) // _CELL)
    sample = vectors[rng.permutation(len(vectors))[: 20 * count]]
    centres = sample[:count].copy()
    for _ in range(6):
        owner = _nearest_cells(sample, centres, 1)[:, 0]
        order = np.argsort(owner, kind="stable")
        filled, starts = np.unique(owner[order], return_index=True)
        centres[filled] = np.add.reduceat(sample[order], starts, axis=0)
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-6)
    return centres


def _nearest_cells(vectors: Float32Array, centres: Float32Array, most: int) -> Int64Array:
    """The ``most`` centres that are nearest to each vector, in no order: int64 (N, most)."""
    most = min(most, len(centres))
    found = []
    for start in range(0, len(vectors), _PIECE):
        alike = vectors[start : start + _PIECE] @ centres.T
        best = alike.argmax(axis=1)[:, None] if most == 1 else np.argpartition(alike, -most, axis=1)[:, -most:]
        found.append(best)
    return np.concatenate(found)


_FOUND = np.dtype([("query", np.int32), ("other", np.int32), ("alike", np.float32), ("version", np.int32)])


def _look_into(
    queries: Float32Array, vectors: Float32Array, near: Int64Array, members: list[Int64Array], version: int
) -> npt.NDArray[np.void]:
    """For each query the most alike few in each of its cells ``near``; rows of `_FOUND`."""
    found = []
    order = np.argsort(near.ravel(), kind="stable")
    starts = np.searchsorted(near.ravel()[order], np.arange(len(members) + 1))
    for number, inside in enumerate(members):
        who = order[starts[number] : starts[number + 1]] // near.shape[1]
        for start in range(0, len(who), _PIECE) if len(inside) else ():
            asking = who[start : start + _PIECE]
            alike = queries[asking] @ vectors[inside].T
            alike[asking[:, None] == inside[None, :]] = -1  # a picture is not its own neighbour
            most = min(_NEAREST, len(inside))
            best = np.argpartition(alike, -most, axis=1)[:, -most:]
            row = np.empty(best.size, dtype=_FOUND)
            row["query"], row["other"] = np.repeat(asking, most), inside[best].ravel()
            row["alike"], row["version"] = np.take_along_axis(alike, best, axis=1).ravel(), version
            found.append(row[row["alike"] > 0.5])
    return np.concatenate(found) if found else np.empty(0, dtype=_FOUND)


def _merged(found: list[npt.NDArray[np.void]], count: int) -> tuple[_Candidates, _Candidates]:
    """The nearest few of each picture over all versions, each pair once with its best version.

    And the last neighbours kept of some pictures: these show something else, if there are few copies of each.
    """
    rows = np.concatenate(found)
    rows = rows[np.lexsort((-rows["alike"], rows["other"], rows["query"]))]
    first = np.ones(len(rows), dtype=np.bool_)
    first[1:] = (rows["query"][1:] != rows["query"][:-1]) | (rows["other"][1:] != rows["other"][:-1])
    rows = rows[first]
    rows = rows[np.lexsort((-rows["alike"], rows["query"]))]
    starts = np.searchsorted(rows["query"], np.arange(count))
    rank = np.arange(len(rows)) - starts[rows["query"]]
    rows, rank = rows[rank < _NEAREST], rank[rank < _NEAREST]
    distance = np.sqrt(np.maximum(2 - 2 * rows["alike"], 0))
    typical = np.full(count, 2, dtype=np.float32)
    typical[rows["query"][rank == _NEAREST - 1]] = distance[rank == _NEAREST - 1]
    nearness = distance / np.maximum(typical[rows["query"]], 1e-6)
    last = np.flatnonzero(rank == _NEAREST - 1)
    others = _candidates(rows[last[:: max(1, len(last) // _SAMPLED)]])
    stands_out = nearness <= _MUCH_NEARER
    likely = (distance <= np.where(stands_out, _FARTHEST_OUTSTANDING, _FARTHEST)) & ((rank == 0) | stands_out)
    return _candidates(rows[likely], nearness[likely]), others


def _candidates(rows: npt.NDArray[np.void], nearness: Float32Array | None = None) -> _Candidates:
    """Each pair once."""
    pairs = np.stack([rows["query"], rows["other"]], axis=1).astype(np.int64)
    _, once = np.unique(np.sort(pairs, axis=1), axis=0, return_index=True)
    near = np.ones(len(rows), dtype=np.float32) if nearness is None else nearness
    return _Candidates(pairs[once], rows["version"][once].astype(np.int64), near[once])


class _Fits(NamedTuple):
    """How well the first picture of each pair, mirrored or not, fits the second once it is moved onto it.

    Attributes:
        evidence: float32 (M,), in nats, that the detail agrees by more than chance: the log-likelihood of that
            correlation against none, for as many pixels as carry the detail. A busy texture has hundreds of them, a far
            ship on the sea a few, and the same correlation says little.
        turn, shift: complex64 (M,): the pixel z of the second shows the pixel turn · z + shift of the first, from the
            middle of the pictures.
    """

    similarity: Float32Array  # (M,), correlation of the pixels that both have
    detail: Float32Array  # (M,), the same without what a blur keeps
    evidence: Float32Array
    turn: Complex64Array
    shift: Complex64Array


def _align(prepared: _Prepared, found: _Candidates) -> _Fits:
    """Move the pictures of each pair onto each other, one way and the other, and take what fits better.

    Both ways, as one of the two may be the other turned, and blurred by that: it cannot be turned back.
    """
    starts = range(0, max(1, len(found.pairs)), _PIECE)
    pieces = [_align_piece(prepared, _Candidates._make(each[a : a + _PIECE] for each in found)) for a in starts]
    return _Fits(*(np.concatenate(parts) for parts in zip(*pieces, strict=True)))


def _align_piece(prepared: _Prepared, found: _Candidates) -> _Fits:
    first, second = found.pairs.T
    mirrored = _IS_MIRRORED[found.version]
    turn = np.array([1 / version.factor for version in VERSIONS], dtype=np.complex64)[found.version]
    steps = [version.shift * max(prepared.grey.shape[1:]) / GRID for version in VERSIONS]
    centre = prepared.centre[first]
    centre = np.where(mirrored, -centre.conj(), centre)
    shift = centre - turn * (prepared.centre[second] + np.array(steps, dtype=np.complex64)[found.version])
    fits = _moved_onto(_mirrored(prepared.grey[first], mirrored), prepared.grey[second], turn, shift)
    again = np.flatnonzero(fits.similarity >= _WORTH_BOTH_WAYS)
    turn, shift, flip = fits.turn[again], fits.shift[again], mirrored[again]
    back = np.where(flip, 1 / turn.conj(), 1 / turn).astype(np.complex64)
    away = np.where(flip, shift.conj() / turn.conj(), -shift / turn).astype(np.complex64)
    other = _moved_onto(_mirrored(prepared.grey[second[again]], flip), prepared.grey[first[again]], back, away)
    better = other.similarity > fits.similarity[again]
    for mine, others in zip(fits[:3], other[:3], strict=True):  # similarity, detail, evidence
        mine[again[better]] = others[better]
    return fits


def _mirrored(pictures: Float32Array, which: npt.NDArray[np.bool_]) -> Float32Array:
    pictures[which] = pictures[which, :, ::-1]
    return pictures


def _moved_onto(moved: Float32Array, fixed: Float32Array, turn: Complex64Array, shift: Complex64Array) -> _Fits:
    """Turn, enlarge and shift pictures, float32 (M, h, w), until they fit others best, from a first guess."""
    height, width = fixed.shape[1:]
    x = np.tile(np.arange(width, dtype=np.float32) - (width - 1) / 2, height)
    y = np.repeat(np.arange(height, dtype=np.float32) - (height - 1) / 2, width)
    at = (x + 1j * y).astype(np.complex64)
    flat = fixed.reshape(len(fixed), height * width)
    slope_y, slope_x = (slope.reshape(flat.shape) for slope in np.gradient(fixed, axis=(1, 2)))
    jacobian = np.stack([slope_x * x + slope_y * y, slope_y * x - slope_x * y, slope_x, slope_y], axis=1)
    hessian = jacobian @ jacobian.transpose(0, 2, 1)
    hessian += 1e-4 * np.trace(hessian, axis1=1, axis2=2)[:, None, None] * np.eye(4, dtype=np.float32)
    hessian += 1e-6 * np.eye(4, dtype=np.float32)
    inverse = np.linalg.inv(hessian)
    spread = flat.std(axis=1)
    for _ in range(_STEPS):
        seen, valid = _sampled(moved, turn[:, None] * at + shift[:, None])
        gain = spread / np.maximum(seen.std(axis=1), 1e-6)
        error = (seen * gain[:, None] - flat) * valid
        step = (inverse @ (jacobian @ error[:, :, None]))[..., 0]
        change = np.clip(step[:, 0], -0.1, 0.1) + 1j * np.clip(step[:, 1], -0.1, 0.1)
        along = np.clip(step[:, 2], -1.5, 1.5) + 1j * np.clip(step[:, 3], -1.5, 1.5)
        turn = (turn / (1 + change)).astype(np.complex64)
        shift = (shift - turn * along).astype(np.complex64)
    seen, valid = _sampled(moved, turn[:, None] * at + shift[:, None])
    fits = _Fits(_correlated(seen, flat, valid), *_correlated_in_detail(seen, fixed, valid), turn, shift)
    # The one picture may have been turned with cubic interpolation: compare with that as well.
    close = np.flatnonzero(fits.similarity >= _WORTH_BOTH_WAYS)
    seen, valid = _sampled(moved[close], turn[close, None] * at + shift[close, None], cubic=True)
    similarity = _correlated(seen, flat[close], valid)
    better = similarity > fits.similarity[close]
    fits.similarity[close[better]] = similarity[better]
    detail, evidence = _correlated_in_detail(seen[better], fixed[close[better]], valid[better])
    fits.detail[close[better]], fits.evidence[close[better]] = detail, evidence
    return fits


def _sampled(pictures: Float32Array, at: Complex64Array, *, cubic: bool = False) -> tuple[Float32Array, Float32Array]:
    """Pictures at points between their pixels, and which points are inside (1, else 0): float32 (M, P).

    Bilinear, or cubic convolution with a = -1/2 (Keys 1981).
    """
    count, height, width = pictures.shape
    column = at.real + np.float32((width - 1) / 2)
    row = at.imag + np.float32((height - 1) / 2)
    valid = (column > -0.5) & (column < width - 0.5) & (row > -0.5) & (row < height - 0.5)
    np.clip(column, 0, width - 1, out=column)
    np.clip(row, 0, height - 1, out=row)
    left = np.minimum(column.astype(np.int32), width - 2)
    top = np.minimum(row.astype(np.int32), height - 2)
    weigh, reach = (_cubic_weights, range(-1, 3)) if cubic else (lambda beyond: [1 - beyond, beyond], range(2))
    across, down = weigh(column - left), weigh(row - top)
    flat = pictures.ravel()
    begin = (np.arange(count, dtype=np.int32) * (height * width))[:, None]
    columns = [np.clip(left + step, 0, width - 1) if cubic else left + step for step in reach]
    seen = np.zeros_like(column)
    for weight_down, step in zip(down, reach, strict=True):
        line = begin + (np.clip(top + step, 0, height - 1) if cubic else top + step) * width
        seen += weight_down * sum(weight * flat[line + where] for weight, where in zip(across, columns, strict=True))
    return seen, valid.astype(np.float32)


def _cubic_weights(t: Float32Array) -> list[Float32Array]:
    """Of the two pixels before a point that is ``t`` beyond the second of them, and of the two after."""
    u = 1 - t
    return [-0.5 * t * u * u, 1 + t * t * (1.5 * t - 2.5), 1 + u * u * (1.5 * u - 2.5), -0.5 * u * t * t]


def _correlated(a: Float32Array, b: Float32Array, valid: Float32Array) -> Float32Array:
    """Pearson's correlation of the valid pixels of each pair, float32 (M,)."""
    weight = np.maximum(valid.sum(axis=1, keepdims=True), 1)
    a = (a - (a * valid).sum(axis=1, keepdims=True) / weight) * valid
    b = (b - (b * valid).sum(axis=1, keepdims=True) / weight) * valid
    product = np.einsum("ij,ij->i", a, b)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray(product / np.maximum(lengths, 1e-6), dtype=np.float32)


def _correlated_in_detail(
    seen: Float32Array, fixed: Float32Array, valid: Float32Array
) -> tuple[Float32Array, Float32Array]:
    """The correlation of the fine detail of each pair, and its evidence, float32 (M,)."""
    fine_seen, fine_fixed = (_fine(each.reshape(fixed.shape)).reshape(seen.shape) for each in (seen, fixed))
    inside = np.pad(valid.reshape(fixed.shape), [(0, 0), (1, 1), (1, 1)])  # a blur looks one pixel further
    inner = inside[:, 1:-1, 1:-1].copy()
    for part in (inside[:, :-2, 1:-1], inside[:, 2:, 1:-1], inside[:, 1:-1, :-2], inside[:, 1:-1, 2:]):
        inner *= part
    weight = inner.reshape(valid.shape)
    detail = _correlated(fine_seen, fine_fixed, weight)
    carrying = np.minimum(_carrying(fine_seen * weight), _carrying(fine_fixed * weight))
    agreement = np.clip(detail, 0, 0.9999)  # opposite detail is no evidence
    return detail, np.asarray(-0.5 * carrying * np.log1p(-(agreement**2)), dtype=np.float32)


def _carrying(fine: Float32Array) -> Float32Array:
    """How many pixels carry the detail of each picture: the participation ratio of its energy, float32 (M,)."""
    energy = fine**2
    return np.asarray(energy.sum(axis=1) ** 2 / np.maximum((energy**2).sum(axis=1), 1e-12), dtype=np.float32)


def _fine(pictures: Float32Array) -> Float32Array:
    """The detail that a blur of about one pixel removes."""
    blurred = pictures
    for axis in (1, 2):
        padded = np.pad(blurred, [(0, 0)] + [(1, 1) if axis == each else (0, 0) for each in (1, 2)], mode="edge")
        before, here, after = (np.take(padded, np.arange(k, k + pictures.shape[axis]), axis=axis) for k in range(3))
        blurred = 0.25 * before + 0.5 * here + 0.25 * after
    return pictures - blurred
