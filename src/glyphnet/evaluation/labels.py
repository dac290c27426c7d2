"""Suspected label errors: confident learning on probabilities of models that did not see the images.

After Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels", Journal of
Artificial Intelligence Research 70 (2021), https://doi.org/10.1613/jair.1.12125. What differs from the paper, and why,
stands at `find_label_issues`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import DataError

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

IMPROBABLE = 0.5
"""A label that is at most this many times as probable as by chance is improbable."""

_NOT_SURE = -1


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """Images whose labels are doubtful, the surest suspect first.

    Attributes:
        indices: int64 (M,), which images.
        given: int64 (M,), their labels as they are.
        suggested: int64 (M,), the likeliest other class; never the given one.
        scores: float64 (M,) in [0, 1], falling: how improbable the given label is, one minus its probability.
        n: images looked at.
    """

    indices: Int64Array
    given: Int64Array
    suggested: Int64Array
    scores: Float64Array
    n: int

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return f"LabelIssues({len(self):,} of {self.n:,} images)"


def find_label_issues(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> LabelIssues:
    """The images whose labels are probably wrong.

    As many images as are estimated to be wrong, those whose own label is least probable. The estimate comes from the
    confident joint, with one more condition. The paper counts an image as an error when another class is as
    probable as it usually is for images of that class. That also counts images between two classes that look alike,
    such as shirts and coats, where the model is unsure and the label is sound. Here the given label must be
    improbable, too: at most half as probable as by chance, 1 / 2K. As in the paper the counts are then scaled up to
    all images of each class. Where that comes to fewer images than have an improbable label, as it may where there
    are few images, all of these are suspects. The paper's "prune by class" takes each class's share from that class;
    taking the least probable of all was found to be more precise. ``benchmarks/label_noise.py`` measures it.

    The probabilities must come from models that did not learn from these images (cross-validation, or held-out
    data): a model that has learnt a wrong label by heart sees nothing wrong with it.

    Args:
        labels: int (N,), each in [0, K).
        probabilities: float (N, K), rows sum to one.

    Raises:
        DataError: the arrays are no labels and probabilities of the same images.
    """
    given, answers = _checked(labels, probabilities)
    rows = np.arange(len(given))
    own = answers[rows, given]
    others = answers.copy()
    others[rows, given] = -1.0
    suggested = others.argmax(axis=1).astype(np.int64) if answers.shape[1] else given
    unlikelier = own < others[rows, suggested]
    improbable = unlikelier & (own <= IMPROBABLE / max(answers.shape[1], 1))
    count = max(_estimated_errors(given, answers), int(improbable.sum()))
    doubtful = np.flatnonzero(unlikelier)
    chosen = doubtful[np.argsort(own[doubtful], kind="stable")[:count]].astype(np.int64)
    return LabelIssues(chosen, given[chosen], suggested[chosen], 1.0 - own[chosen], len(given))


def confident_joint(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Int64Array:
    """How often an image with one label is confidently another class (the paper's equation 1).

    An image is confidently of class j if j is as probable as it is, on average, for the images labelled j; if
    that holds for several classes, of the most probable one.

    Args:
        labels, probabilities: as for `find_label_issues`.

    Returns:
        int64 (K, K): images with the label (row) that are confidently of the class (column); images of which no
        class is confident are not counted.

    Raises:
        DataError: see `find_label_issues`.
    """
    given, answers = _checked(labels, probabilities)
    confident, classes = _confident_classes(given, answers), answers.shape[1]
    sure = confident != _NOT_SURE
    cells = given[sure] * classes + confident[sure]
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def _confident_classes(given: Int64Array, answers: Float64Array) -> Int64Array:
    """The class that each image confidently is, int64 (N,); -1 where there is none."""
    thresholds = _class_means(answers, given)
    # A hair below: the mean of equal numbers may come out a little larger than each of them.
    confident = np.where(answers >= np.nan_to_num(thresholds, nan=np.inf) - 1e-12, answers, -1.0)
    best: Int64Array = confident.argmax(axis=1).astype(np.int64)
    best[confident.max(axis=1) < 0] = _NOT_SURE
    return best


def _class_means(answers: Float64Array, given: Int64Array) -> Float64Array:
    """The mean probability of each class over the images that carry it as their label: float64 (K,); NaN for none."""
    classes = answers.shape[1]
    counts = np.bincount(given, minlength=classes)
    sums = np.bincount(given, weights=answers[np.arange(len(given)), given], minlength=classes)
    means: Float64Array = np.divide(sums, counts, out=np.full(classes, np.nan), where=counts > 0)
    return means


def _estimated_errors(given: Int64Array, answers: Float64Array) -> int:
    """How many images are estimated to be labelled wrongly."""
    count, classes = answers.shape
    own = answers[np.arange(count), given]
    counts = np.bincount(given, minlength=classes)
    confident = _confident_classes(given, answers)
    right = confident == given
    wrong = (confident != _NOT_SURE) & ~right & (own <= IMPROBABLE / classes)
    errors = np.bincount(given[wrong], minlength=classes)
    sure = errors + np.bincount(given[right], minlength=classes)
    shares = np.divide(errors, sure, out=np.zeros(classes), where=sure > 0)
    return round(float(shares @ counts))


def _checked(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> tuple[Int64Array, Float64Array]:
    given, answers = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if answers.ndim != 2 or given.shape != answers.shape[:1] or (len(given) and given.dtype.kind not in "iu"):
        raise DataError(
            f"labels are {given.dtype} of shape {given.shape} and probabilities of shape {answers.shape}: they must be "
            "whole numbers (N,) and numbers (N, K), a row for each label."
        )
    if len(given) and (given.min() < 0 or given.max() >= answers.shape[1]):
        raise DataError(
            f"labels run from {given.min()} to {given.max()}, but there are probabilities of {answers.shape[1]} "
            "classes."
        )
    if not (np.isfinite(answers).all() and (answers >= 0).all() and (answers <= 1 + 1e-6).all()):
        raise DataError("probabilities must lie in [0, 1]: some are not. Give the softmax of logits, not the logits.")
    return given.astype(np.int64), np.minimum(answers, 1.0)
