"""Divides images into training, validation and test: stratified, seeded, duplicates kept together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import SettingsError
from .dataset import Int64Array
from .listing import TEST, TRAIN, VALIDATION

Parts = npt.NDArray[np.int8]


def check_fractions(validation_fraction: float, test_fraction: float) -> None:
    """Refuse shares that are none.

    Raises:
        SettingsError: a share lies outside [0, 1); all that do are named.
    """
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
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> Parts:
    """The part of each image, where the data do not say it themselves.

    A test or validation part that is given stays as it is. Otherwise test takes ``test_fraction`` of the
    training images, then validation takes ``validation_fraction`` of those that remain.

    Args:
        labels: int64 (N,), in [0, K).
        groups: int64 (N,): images with the same number are duplicates, and stay in one part.
        parts: int8 (N,): 0 train, 1 validation, 2 test, as given with the data.
        seed: the same seed and data give the same division.

    Returns:
        int8 (N,), as ``parts``.

    Raises:
        SettingsError: a fraction lies outside [0, 1).
    """
    check_fractions(validation_fraction, test_fraction)
    result = parts.copy()
    for part, fraction in ((TEST, test_fraction), (VALIDATION, validation_fraction)):
        if fraction > 0 and not np.any(parts == part):
            pool = np.flatnonzero(result == TRAIN)
            # A generator for each part: one that is given does not change how the other is drawn.
            rng = np.random.default_rng((seed, part))
            result[pool[hold_out(labels[pool], groups[pool], fraction, rng)]] = part
    return result


def hold_out(
    labels: Int64Array, groups: Int64Array, fraction: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Which images to hold out, bool (N,): about ``fraction`` of each class, whole groups, no whole class.

    Without duplicates each class gives its share to within one image, and all together ``fraction`` to within
    a half (unless a class of one image has to keep it). A group whose images carry different labels is never
    held out: such labels are doubtful, and one of them at least would count a right answer as wrong.
    """
    quotas = _quotas(np.bincount(labels), fraction, rng)
    held = np.zeros(len(labels), dtype=np.bool_)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    sizes = np.diff(starts, append=len(order))
    if not len(order):
        return held
    lowest = np.minimum.reduceat(labels[order], starts)
    pure = lowest == np.maximum.reduceat(labels[order], starts)
    for label, quota in enumerate(quotas):
        units = rng.permutation(np.flatnonzero(pure & (lowest == label)))
        for unit in _fill(units, sizes, int(quota)):
            held[order[starts[unit] : starts[unit] + sizes[unit]]] = True
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


def _fill(units: Int64Array, sizes: Int64Array, quota: int) -> list[int]:
    """The first of ``units`` that together hold ``quota`` images, or as many below it as one pass gives."""
    chosen = []
    for unit in units.tolist():
        if quota == 0:
            break
        if sizes[unit] <= quota:
            chosen.append(unit)
            quota -= int(sizes[unit])
    return chosen
