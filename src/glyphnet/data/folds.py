"""Divides images into folds for cross-validation: stratified, seeded, duplicates and groups kept together."""

from __future__ import annotations

import numpy as np

from ..errors import SettingsError
from .dataset import Int64Array


def stratified_folds(labels: Int64Array, groups: Int64Array, folds: int, rng: np.random.Generator) -> Int64Array:
    """The fold of each image, int64 (N,) in [0, ``folds``): each class in equal shares, whole groups.

    Without duplicates the folds differ by one image of a class at most, and by one image in all. A group whose
    images carry different labels counts as one of its first image's class.

    Args:
        labels: int64 (N,).
        groups: int64 (N,): images with the same number are duplicates, and stay in one fold.
        folds: how many, 2 at least and as many as there are groups at most.
        rng: the same state and data give the same folds.

    Raises:
        SettingsError: there cannot be so many folds.
    """
    _, first, unit, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    if not 2 <= folds <= len(first):
        raise SettingsError(
            f"folds (={folds}) must lie between 2 and the number of different images, {len(first):,} here."
        )
    # The largest groups of a class are dealt out first, so that the small ones even the folds out.
    order = np.lexsort((rng.random(len(first)), -sizes, labels[first]))
    fold = np.empty(len(first), dtype=np.int64)
    fold[order] = np.arange(len(first)) % folds
    return fold[unit.reshape(-1)]


def group_folds(labels: Int64Array, groups: Int64Array, folds: int, rng: np.random.Generator) -> Int64Array:
    """The fold of each image, int64 (N,) in [0, ``folds``): whole groups that may be large and of several classes.

    The largest group comes first; each goes to the fold that has least of its classes so far.

    Args:
        labels, groups, folds, rng: as for `stratified_folds`.

    Raises:
        SettingsError: there are fewer groups than folds.
    """
    _, unit, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    unit = unit.reshape(-1)
    if not 2 <= folds <= len(sizes):
        raise SettingsError(
            f"folds (={folds}) must lie between 2 and the number of groups of pictures, {len(sizes):,} here."
        )
    cells, counts = np.unique(np.stack([unit, labels]), axis=1, return_counts=True)
    starts = np.searchsorted(cells[0], np.arange(len(sizes) + 1))
    per_class = np.maximum(np.bincount(labels), 1)
    inside = np.zeros((folds, len(per_class)))
    fold = np.empty(len(sizes), dtype=np.int64)
    for number in np.lexsort((rng.random(len(sizes)), -sizes)).tolist():
        here = slice(starts[number], starts[number + 1])
        shares = inside[:, cells[1, here]] @ counts[here]
        emptiest = np.lexsort((inside.sum(axis=1), shares))[0]
        inside[emptiest, cells[1, here]] += counts[here] / per_class[cells[1, here]]
        fold[number] = emptiest
    return fold[unit]
