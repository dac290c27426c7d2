"""Divides images into training, validation and test: stratified, seeded, duplicates and groups kept together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..errors import SettingsError
from .dataset import Int64Array
from .groups import joined
from .listing import TEST, TRAIN, VALIDATION

Parts = npt.NDArray[np.int8]


def check_fractions(validation_fraction: float, test_fraction: float) -> None:
    """Raise SettingsError that names all fractions outside [0, 1)."""
    wrong = [
        f"{name} (={value!r}) must be a number from 0 up to, but not including, 1"
        for name, value in (("validation_fraction", validation_fraction), ("test_fraction", test_fraction))
        if not 0 <= value < 1  # NaN as well
    ]
    if wrong:
        raise SettingsError("; ".join(wrong) + ".")


def divide(
    labels: Int64Array,
    groups: Int64Array,
    parts: Parts,
    *,
    together: Int64Array | None = None,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> Parts:
    """Divide images into parts, as far as the data do not say them.

    A given test or validation part stays as it is. Otherwise test takes ``test_fraction`` of the training images, then
    validation takes ``validation_fraction`` of the rest. The same seed and data give the same division.

    Args:
        labels: int64 (N,), in [0, K).
        groups: int64 (N,): images with the same number are duplicates, and stay in one part.
        parts: int8 (N,): 0 train, 1 validation, 2 test, as given with the data; what is returned has the same form.
        together: int64 (N,): images with the same number belong together, and stay in one part as well.

    Raises:
        SettingsError: a fraction lies outside [0, 1).
    """
    check_fractions(validation_fraction, test_fraction)
    result = parts.copy()
    for part, fraction in ((TEST, test_fraction), (VALIDATION, validation_fraction)):
        if fraction > 0 and not np.any(parts == part):
            pool = np.flatnonzero(result == TRAIN)
            # A generator for each part: a given one does not change how the other is drawn.
            rng = np.random.default_rng((seed, part))
            if together is None:
                held = hold_out(labels[pool], groups[pool], fraction, rng)
            else:
                held = hold_out_groups(labels[pool], joined(groups[pool], together[pool]), fraction, rng)
            result[pool[held]] = part
    return result


def hold_out(
    labels: Int64Array, groups: Int64Array, fraction: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Which images to hold out, bool (N,): about ``fraction`` of each class, whole groups, no whole class.

    Without duplicates each class gives its share to within one image, and all together ``fraction`` to within
    a half (unless a class of one image has to keep it). A group whose images have different labels is never
    held out: such labels are doubtful, and at least one of them would count a right answer as wrong.
    """
    quotas = _quotas(np.bincount(labels), fraction, rng)
    held = np.zeros(len(labels), dtype=np.bool_)
    if not len(labels):
        return held
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    sizes = np.diff(starts, append=len(order))
    lowest = np.minimum.reduceat(labels[order], starts)
    pure = lowest == np.maximum.reduceat(labels[order], starts)
    is_held = np.zeros(len(starts), dtype=np.bool_)
    for label, quota in enumerate(quotas.tolist()):
        for unit in rng.permutation(np.flatnonzero(pure & (lowest == label))).tolist():
            if sizes[unit] <= quota:  # or as many below it as one pass finds
                is_held[unit] = True
                quota -= int(sizes[unit])
            if not quota:
                break
    held[order] = np.repeat(is_held, sizes)
    return held


def _quotas(counts: Int64Array, fraction: float, rng: np.random.Generator) -> Int64Array:
    """How many images of each class to hold out, by the largest remainders; ties are drawn."""
    shares = counts * fraction
    quotas: Int64Array = np.floor(shares).astype(np.int64)
    left = round(float(shares.sum())) - int(quotas.sum())
    remainders = shares - quotas
    by_remainder = np.lexsort((rng.random(len(counts)), -remainders))
    quotas[by_remainder[:left]] += 1
    np.minimum(quotas, np.maximum(counts - 1, 0), out=quotas)
    return quotas


def hold_out_groups(
    labels: Int64Array, groups: Int64Array, fraction: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Which images to hold out, bool (N,): whole groups that may be large, few, and of several classes.

    Of several random orders, the one that comes closest to ``fraction`` of each class and of all images. Every class
    keeps an image for training; a class with a group of at most half its images is also held out in part.
    """
    if not len(labels) or not fraction:
        return np.zeros(len(labels), dtype=np.bool_)
    _, unit = np.unique(groups, return_inverse=True)
    unit = unit.reshape(-1)
    cells, sizes = np.unique(np.stack([unit, labels]), axis=1, return_counts=True)
    starts = np.searchsorted(cells[0], np.arange(int(unit.max()) + 2)).tolist()
    listed = list(zip(cells[1].tolist(), sizes.tolist(), strict=True))
    members = [listed[a:b] for a, b in pairwise(starts)]
    smallest = np.full(int(labels.max()) + 1, len(labels))
    np.minimum.at(smallest, cells[1], sizes)
    choices = []
    for _ in range(min(30, max(1, 20_000 // len(members)))):
        choice = _Choice(np.bincount(labels).tolist(), smallest.tolist(), fraction)
        order = rng.permutation(len(members)).tolist()
        for _ in range(4):
            if not choice.improve(members, order):
                break
        choices.append(choice)
    held = list(min(choices, key=_Choice.cost).held)
    return np.isin(unit, held)


@dataclass
class _Choice:
    """Groups that are held out, and how far their images are from the share ``fraction``."""

    counts: list[int]  # images of each class
    smallest: list[int]  # images of each class in the group that has fewest of them
    fraction: float

    def __post_init__(self) -> None:
        self.held: set[int] = set()
        self.inside = [0] * len(self.counts)
        self.total = 0

    def improve(self, members: list[list[tuple[int, int]]], order: list[int]) -> bool:
        """Take groups in, or out again, where that brings the shares closer; whether anything changed."""
        changed = False
        for unit in order:
            sign = -1 if unit in self.held else 1
            if self._gain(members[unit], sign) < -1e-12:
                changed = True
                for label, count in members[unit]:
                    self.inside[label] += sign * count
                    self.total += sign * count
                self.held ^= {unit}
        return changed

    def cost(self) -> float:
        """How far the shares are from those asked for."""
        return self._of_total(self.total) + sum(map(self._of_class, range(len(self.counts)), self.inside))

    def _gain(self, cells: list[tuple[int, int]], sign: int) -> float:
        change, total = 0.0, self.total
        for label, count in cells:
            now = self.inside[label]
            if sign == 1 and now + count >= self.counts[label]:
                return 1.0  # training would lose the class
            change += self._of_class(label, now + sign * count) - self._of_class(label, now)
            total += sign * count
        return change + self._of_total(total) - self._of_total(self.total)

    def _of_class(self, label: int, inside: int) -> float:
        count, smallest = self.counts[label], self.smallest[label]
        if not count:
            return 0.0
        share = self.fraction * count
        absent = 4.0 if not inside and smallest <= count / 2 else 0.0
        return ((inside - share) / max(share, smallest)) ** 2 + absent

    def _of_total(self, total: int) -> float:
        share = self.fraction * sum(self.counts)
        return len(self.counts) * ((total - share) / max(share, 1.0)) ** 2


# Folds for cross-validation


def stratified_folds(labels: Int64Array, groups: Int64Array, folds: int, rng: np.random.Generator) -> Int64Array:
    """The fold of each image, int64 (N,) in [0, ``folds``): each class in equal shares, whole groups.

    Without duplicates the folds differ by at most one image of a class, and by one image in all. A group whose
    images have different labels counts as one of its first image's class. Fewer than 2 folds, and more than groups,
    are a SettingsError.
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

    From the largest group on, each goes to the fold that has least of its classes so far. Arguments and errors are
    those of `stratified_folds`.
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
