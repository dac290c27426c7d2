"""Finds images that occur twice: pixel for pixel, or the same picture, changed.

Exact duplicates have the same hash. The search for near ones takes minutes for a large set; the cache keeps its result
under the hashes of the images, so their order and division do not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from .cache import cache_key, keep_arrays, kept_arrays
from .dataset import Int64Array, UInt8Array
from .near_duplicates import SEARCH_VERSION, SIDE, NearPairs, near_pairs, no_pairs

BLANK_RANGE = 8
"""An image whose pixels span at most this many of the 255 grey levels is blank: nothing to compare."""

SECONDS_PER_PIXEL = 1.2e-6
"""Time of the search for near duplicates, for each pixel of the images as it sees them, on a slow core."""

_PIECE = 4096  # images looked at in one go: a memory map is never read whole
_KEPT = "near-duplicates"


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Which of N images, all parts in one numbering, occur more than once.

    Attributes:
        groups: int64 (N,): images with the same number are the same pixel for pixel; numbers count from 0 in
            the order of first appearance.
        near: pairs of different images that show the same picture, by the first of their *groups*.
    """

    groups: Int64Array
    near: NearPairs
    blank: npt.NDArray[np.bool_]  # (N,): images with next to nothing on them
    searched: bool = True  # for near duplicates


def duplicate_groups(*parts: UInt8Array) -> Int64Array:
    """Number the images of all parts, each uint8 (N, H, W, C), those with the same pixels alike: int64."""
    return _numbered(parts)[0]


def find_duplicates(parts: Sequence[UInt8Array], *, most_seconds: float = float("inf")) -> Duplicates:
    """Find exact and near duplicates within and between parts, each uint8 (N, H, W, C).

    Near ones are searched only if that takes at most ``most_seconds``, or if the cache has the result.
    """
    groups, digests = _numbered(parts)
    ranges = [np.ptp(piece.reshape(len(piece), -1), axis=1) for piece in _pieces(parts)]
    blank = np.concatenate([np.empty(0, dtype=np.uint8), *ranges]) <= BLANK_RANGE
    order = sorted(range(len(digests)), key=digests.__getitem__)  # the same whatever the division
    first = np.unique(groups, return_index=True)[1]
    usable = np.array([number for number in order if not blank[first[number]]], dtype=np.int64)
    shape = list(parts[0].shape[1:])
    key = cache_key(_KEPT, SEARCH_VERSION, shape, hashlib.sha256(b"".join(sorted(digests))).hexdigest())
    kept = kept_arrays(_KEPT, key)
    if kept is not None and set(kept) == {each.name for each in fields(NearPairs)}:
        found = NearPairs(**kept)
    elif search_seconds(len(usable), shape) <= most_seconds:
        found = near_pairs(lambda rows: gathered(parts, first[usable[rows]]), len(usable))
        keep_arrays(_KEPT, key, {each.name: getattr(found, each.name) for each in fields(NearPairs)})
    else:
        return Duplicates(groups, no_pairs(), blank, searched=False)
    return Duplicates(groups, found.renumbered(first[usable]), blank)


def not_searched(count: int) -> Duplicates:
    """For images so many that nothing was searched."""
    return Duplicates(np.arange(count, dtype=np.int64), no_pairs(), np.zeros(count, dtype=np.bool_), searched=False)


def search_seconds(count: int, image_shape: Sequence[int]) -> float:
    """About how long the search for near duplicates takes among ``count`` images of shape (H, W, C)."""
    return count * min(SIDE, image_shape[0]) * min(SIDE, image_shape[1]) * SECONDS_PER_PIXEL


def same_picture_groups(found: Duplicates, *, mirrored: bool) -> Int64Array:
    """Number the images, exact copies and those that show the same picture alike: int64 (N,).

    ``mirrored``: whether an image and its mirror image show the same: true of photographs, but not of drawings.
    """
    chosen = found.near.same & (mirrored | ~found.near.mirrored)
    count = int(found.groups.max(initial=-1)) + 1
    return connected(found.groups[found.near.pairs[chosen]], count)[found.groups]


def connected(edges: Int64Array, count: int) -> Int64Array:
    """Number the connected components of a graph of ``count`` nodes with edges (M, 2): int64 (``count``,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(edges), dtype=np.int8), (edges[:, 0], edges[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1].astype(np.int64))


def cross_pairs(found: Duplicates, part: npt.NDArray[np.integer], a: int, b: int) -> tuple[Int64Array, NearPairs]:
    """Those of the duplicates that are between part ``a`` and part ``b``; ``part`` (N,) is the part of each image.

    Returns:
        Exact copies, one pair (image of a, image of b) for each image of b that is also in a: int64 (M, 2); and the
        near duplicates that have an image, or an exact copy of it, in both.
    """
    count = int(found.groups.max(initial=-1)) + 1
    first = np.full((2, count), -1, dtype=np.int64)
    for row, which in enumerate((a, b)):
        members = np.flatnonzero(part == which)[::-1]
        first[row, found.groups[members]] = members  # the last write stays: the first member
    copies = np.flatnonzero(part == b)
    copies = copies[first[0, found.groups[copies]] >= 0]
    exact = np.stack([first[0, found.groups[copies]], copies], axis=1)
    one, other = found.groups[found.near.pairs].T
    straight = np.stack([first[0, one], first[1, other]], axis=1)
    crossed = np.stack([first[0, other], first[1, one]], axis=1)
    pairs = np.where(straight.min(axis=1, keepdims=True) >= 0, straight, crossed)
    shared = pairs.min(axis=1) >= 0
    return exact, replace(found.near.of(shared), pairs=pairs[shared])


def _numbered(parts: Sequence[UInt8Array]) -> tuple[Int64Array, list[bytes]]:
    """The number of each image, int64 (N,), and the hash of each number."""
    seen: dict[bytes, int] = {}
    numbers = []
    for piece in _pieces(parts):
        content = np.ascontiguousarray(piece).data.cast("B")
        size = len(content) // len(piece)
        for start in range(0, len(content), size):
            digest = hashlib.blake2b(content[start : start + size], digest_size=16).digest()
            numbers.append(seen.setdefault(digest, len(seen)))
    return np.array(numbers, dtype=np.int64), list(seen)


def _pieces(parts: Sequence[UInt8Array]) -> Iterator[UInt8Array]:
    for images in parts:
        for start in range(0, len(images), _PIECE):
            yield images[start : start + _PIECE]


def gathered(parts: Sequence[UInt8Array], rows: Int64Array) -> UInt8Array:
    """The images at ``rows``, counted through the parts: uint8 (n, H, W, C)."""
    ends = np.cumsum([len(images) for images in parts])
    pixels = np.empty((len(rows), *parts[0].shape[1:]), dtype=np.uint8)
    which = np.searchsorted(ends, rows, side="right")
    for number, images in enumerate(parts):
        mine = which == number
        pixels[mine] = images[rows[mine] - (ends[number] - len(images))]
    return pixels
