"""Finds images that are there twice: pixel for pixel, or all but.

Exact duplicates have the same hash. For near ones every image gets a signature: its grey values averaged on a
coarse grid, their mean taken away and their length made 1, so that neither brightness nor contrast counts.
Images whose signatures lie close together are candidates, found in a k-d tree instead of by comparing all
with all; the pixels decide: they must correlate almost perfectly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .dataset import Int64Array, UInt8Array

Float32Array = npt.NDArray[np.float32]

CORRELATION = 0.995
"""Near duplicates correlate at least this well. The nearest two of MNIST's digits (both 1) reach 0.99."""

BLANK_RANGE = 8
"""An image whose pixels span at most this many of the 255 grey levels is blank: nothing to compare."""

_GRID = 7  # the signature's averages a side
_DIRECTIONS = 16  # of the signature, those in which images differ most; a distance in these is never too large
_NEIGHBOURS = 8  # candidates an image: bounds the work where very many are alike
_PIECE = 4096  # images looked at in one go: a memory map is never read whole


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Which of N images, counted through all parts, are there more than once.

    Attributes:
        groups: int64 (N,): images with the same number are the same pixel for pixel; numbers count from 0 in
            the order of first appearance.
        near: int64 (M, 2): pairs of *groups* that are near duplicates of each other, the smaller number
        first.
        blank: bool (N,): images with next to nothing on them.
    """

    groups: Int64Array
    near: Int64Array
    blank: npt.NDArray[np.bool_]


def duplicate_groups(images: UInt8Array) -> Int64Array:
    """Number the images of uint8 (N, H, W, C), those with the same pixels alike: int64 (N,)."""
    return number_images([images])


def exact_duplicates(images: UInt8Array) -> Int64Array:
    """Pairs (first, later) of images with the same pixels: int64 (M, 2); each later copy is in one pair."""
    groups = duplicate_groups(images)
    first = np.unique(groups, return_index=True)[1][groups]
    later = np.flatnonzero(first != np.arange(len(groups)))
    return np.stack([first[later], later], axis=1)


def near_duplicates(images: UInt8Array, *, correlation: float = CORRELATION) -> Int64Array:
    """Pairs of images that are nearly, but not exactly, the same: int64 (M, 2), the smaller index first.

    Of several exact copies only the first is compared, and an image with its few nearest candidates only.

    Args:
        images: uint8 (N, H, W, C).
        correlation: how well the pixels of two images must correlate (Pearson).
    """
    found = find_duplicates([images], correlation=correlation)
    first = np.unique(found.groups, return_index=True)[1]
    return first[found.near]


def leaks(a: UInt8Array, b: UInt8Array, *, correlation: float = CORRELATION) -> tuple[Int64Array, Int64Array]:
    """Images that are in both of two parts.

    Returns:
        Pairs (index in ``a``, index in ``b``), int64 (M, 2): exact copies, one pair for each image of ``b``
        that is also in ``a``, and near duplicates.
    """
    found = find_duplicates([a, b], correlation=correlation)
    return cross_pairs(found, np.repeat([0, 1], [len(a), len(b)]), 0, 1, offsets=(0, len(a)))


def find_duplicates(parts: Sequence[UInt8Array], *, correlation: float = CORRELATION) -> Duplicates:
    """Find exact and near duplicates within and between parts, whose images are counted through."""
    groups = number_images(parts)
    first = np.unique(groups, return_index=True)[1]
    signatures, blank = _signatures(parts)
    usable = np.flatnonzero(~blank[first])
    candidates = usable[_candidates(signatures[first[usable]], correlation)]
    near = candidates[_correlate(parts, first[candidates]) >= correlation]
    return Duplicates(groups, near, blank)


def cross_pairs(
    found: Duplicates, part: npt.NDArray[np.integer], a: int, b: int, *, offsets: tuple[int, int] = (0, 0)
) -> tuple[Int64Array, Int64Array]:
    """Of all duplicates those between part ``a`` and part ``b``, as pairs of indices less the ``offsets``.

    Args:
        found: the duplicates of all parts together.
        part: (N,), the part of each image.
    """
    count = int(found.groups.max(initial=-1)) + 1
    first = np.full((2, count), -1, dtype=np.int64)
    for row, which in enumerate((a, b)):
        members = np.flatnonzero(part == which)[::-1]
        first[row, found.groups[members]] = members  # the last write stays: the first member
    copies = np.flatnonzero(part == b)
    copies = copies[first[0, found.groups[copies]] >= 0]
    exact = np.stack([first[0, found.groups[copies]], copies], axis=1)
    both_ways = np.concatenate([found.near, found.near[:, ::-1]])
    near = np.stack([first[0, both_ways[:, 0]], first[1, both_ways[:, 1]]], axis=1)
    near = near[(near >= 0).all(axis=1)]
    return exact - np.array(offsets), np.unique(near, axis=0) - np.array(offsets)


def number_images(parts: Sequence[UInt8Array]) -> Int64Array:
    """Number the images of several parts, counted through, those with the same pixels alike: int64 (N,)."""
    seen: dict[bytes, int] = {}
    numbers = np.empty(sum(map(len, parts)), dtype=np.int64)
    i = 0
    for piece in _pieces(parts):
        content = np.ascontiguousarray(piece).data.cast("B")
        size = len(content) // len(piece)
        for start in range(0, len(content), size):
            digest = hashlib.blake2b(content[start : start + size], digest_size=16).digest()
            numbers[i] = seen.setdefault(digest, len(seen))
            i += 1
    return numbers


def _pieces(parts: Sequence[UInt8Array]) -> Iterator[UInt8Array]:
    for images in parts:
        for start in range(0, len(images), _PIECE):
            yield images[start : start + _PIECE]


def _signatures(parts: Sequence[UInt8Array]) -> tuple[Float32Array, npt.NDArray[np.bool_]]:
    """The signatures of all images, float32 (N, at most 49), and which are blank, whose mean nothing."""
    height, width = parts[0].shape[1:3]
    rows, columns = averaging(height, _GRID), averaging(width, _GRID)
    signatures = np.empty((sum(map(len, parts)), len(rows) * len(columns)), dtype=np.float32)
    blank = np.empty(len(signatures), dtype=np.bool_)
    done = 0
    for piece in _pieces(parts):
        here = slice(done, done + len(piece))
        grey = piece.mean(axis=3, dtype=np.float32) if piece.shape[3] > 1 else piece[..., 0].astype(np.float32)
        coarse = (rows @ grey @ columns.T).reshape(len(piece), -1)
        coarse -= coarse.mean(axis=1, keepdims=True)
        signatures[here] = coarse / np.maximum(np.linalg.norm(coarse, axis=1, keepdims=True), 1e-6)
        blank[here] = np.ptp(piece.reshape(len(piece), -1), axis=1) <= BLANK_RANGE
        done += len(piece)
    return signatures, blank


def averaging(size: int, cells: int) -> Float32Array:
    """A matrix that averages ``size`` pixels into at most so many cells, float32 (cells, size)."""
    cells = min(cells, size)
    matrix = np.zeros((cells, size), dtype=np.float32)
    edges = np.linspace(0, size, cells + 1).round().astype(int)
    for cell, (start, end) in enumerate(pairwise(edges)):
        matrix[cell, start:end] = 1 / (end - start)
    return matrix


def _candidates(signatures: Float32Array, correlation: float) -> Int64Array:
    """Pairs of rows whose signatures lie close together: int64 (M, 2), the smaller first, each pair once."""
    from scipy.spatial import cKDTree

    if len(signatures) < 2:
        return np.empty((0, 2), dtype=np.int64)
    _, directions = np.linalg.eigh(signatures.T @ signatures)
    points = signatures @ directions[:, ::-1][:, :_DIRECTIONS]
    # For vectors of length 1, correlation c is a distance of sqrt(2 - 2c); averaging takes noise away, so
    # that the signatures of near duplicates are at least about as close as their pixels.
    reach = np.sqrt(2 - 2 * correlation)
    count = min(_NEIGHBOURS, len(points))
    _, found = cKDTree(points).query(points, k=count, distance_upper_bound=reach)
    pairs = np.stack([np.repeat(np.arange(len(points)), count), found.ravel()], axis=1)
    pairs = pairs[(pairs[:, 1] < len(points)) & (pairs[:, 0] != pairs[:, 1])]
    pairs.sort(axis=1)
    return np.unique(pairs, axis=0).reshape(-1, 2)


def _correlate(parts: Sequence[UInt8Array], pairs: Int64Array) -> Float32Array:
    """Pearson's correlation of the pixels of each pair, float32 (M,)."""
    ends = np.cumsum([len(images) for images in parts])
    result = np.empty(len(pairs), dtype=np.float32)
    for start in range(0, len(pairs), _PIECE):
        rows = pairs[start : start + _PIECE]
        left, right = _centred(parts, ends, rows[:, 0]), _centred(parts, ends, rows[:, 1])
        result[start : start + _PIECE] = np.einsum("ij,ij->i", left, right)
    return result


def _centred(parts: Sequence[UInt8Array], ends: npt.NDArray[np.integer], rows: Int64Array) -> Float32Array:
    """The images at ``rows``, counted through the parts: mean 0, length 1, float32 (n, H·W·C)."""
    pixels = np.empty((len(rows), int(np.prod(parts[0].shape[1:]))), dtype=np.float32)
    which = np.searchsorted(ends, rows, side="right")
    for number, images in enumerate(parts):
        mine = which == number
        pixels[mine] = images[rows[mine] - (ends[number] - len(images))].reshape(-1, pixels.shape[1])
    pixels -= pixels.mean(axis=1, keepdims=True)
    pixels /= np.maximum(np.linalg.norm(pixels, axis=1, keepdims=True), 1e-6)
    return pixels
