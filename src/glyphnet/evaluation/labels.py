"""Suspected label errors: the probability that a label is wrong, from networks that did not see the images.

A confusion and a label error look alike: the network prefers another class. They differ in how sure it is. An image of
class k whose label was changed to j looks like any other image of class k, so the network is as sure of k as it is of
images labelled k; an image of class j that resembles k leaves it in doubt. For each pair of classes the two are told
apart by that: the rate of errors is estimated where the network is surest, and the images labelled k say how many
errors to expect at each degree of sureness.

The idea of estimating the noise of each pair of classes from confident out-of-sample answers is Northcutt, Jiang and
Chuang's, "Confident learning: estimating uncertainty in dataset labels", Journal of Artificial Intelligence Research 70
(2021), https://doi.org/10.1613/jair.1.12125. What follows the estimate, the density ratio instead of their pruning, is
not; ``benchmarks/label_noise.py`` measures it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import DataError

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

LISTED = 0.4
"""An image is listed if its label is wrong with at least this probability."""

FEW = 3
"""Doubtful images of a pair of classes: so few give no rate of errors."""

IMPROBABLE = 0.5
"""Of so few, one is listed if its label is at most so many times as probable as by chance."""

_LOWER = (0.4, 0.3, 0.2, 0.1, 0.05, 0.0)  # where the count of errors may end, as shares of the images labelled k
_SURPRISE = 0.3  # it ends before a stretch in which so many images are less probable than this

SHORT = 60
"""Images that a person looks through in minutes: a review lists so many where there are doubts enough."""

_LEAST = 1e-9  # probabilities are no smaller: logarithms stay finite


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """Images whose labels are doubtful, the surest suspect first.

    Attributes:
        indices: int64 (M,), which images.
        given: int64 (M,), their labels as they are.
        suggested: int64 (M,), the likeliest other class; never the given one.
        scores: float64 (M,) in [0, 1], falling: the estimated probability that the label is wrong, times how
            improbable the given label is, which orders those that are all but certain; `LISTED` at least. Of images
            that fill a list: `LISTED` times how much more probable the other class is.
        n: images looked at.
    """

    indices: Int64Array
    given: Int64Array
    suggested: Int64Array
    scores: Float64Array
    n: int

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def probable(self) -> int:
        """How many are probably wrong; the others fill the list."""
        return int((self.scores >= LISTED).sum())

    def __repr__(self) -> str:
        return f"LabelIssues({len(self):,} of {self.n:,} images)"


def find_label_issues(labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, at_least: int = 0) -> LabelIssues:
    """The images whose labels are probably wrong: with an estimated probability of `LISTED` at least.

    The probabilities must come from models that did not learn from these images (cross-validation, or held-out
    data): a model that has learnt a wrong label by heart sees nothing wrong with it.

    Args:
        labels: int (N,), each in [0, K).
        probabilities: float (N, K), rows sum to one.
        at_least: a shorter list is filled with images whose label is not the networks' answer, those that the networks
            contradict most. The few wrong labels of a clean data set are among them.

    Raises:
        DataError: the arrays are no labels and probabilities of the same images.
    """
    given, answers = _checked(labels, probabilities)
    rows = np.arange(len(given))
    others = answers.copy()
    others[rows, given] = -1.0
    suggested = others.argmax(axis=1).astype(np.int64) if answers.shape[1] else given
    own = answers[rows, given]
    wrong = _wrong_with_probability(given, suggested, answers)
    chosen = np.flatnonzero(wrong >= LISTED)
    scores = np.maximum(wrong[chosen] * (1.0 - own[chosen]), LISTED)
    if (room := at_least - len(chosen)) > 0:
        margins = np.where(wrong < LISTED, answers[rows, suggested] - own, 0.0)
        more = np.argsort(-margins, kind="stable")[:room]
        more = more[margins[more] > 0]
        chosen, scores = np.concatenate([chosen, more]), np.concatenate([scores, LISTED * margins[more]])
    order = np.lexsort((chosen, -scores))
    chosen = chosen[order].astype(np.int64)
    return LabelIssues(chosen, given[chosen], suggested[chosen], scores[order], len(given))


def _wrong_with_probability(given: Int64Array, suggested: Int64Array, answers: Float64Array) -> Float64Array:
    """The estimated probability that each label is wrong: float64 (N,)."""
    count, classes = answers.shape
    rows, logs = np.arange(count), np.log(np.maximum(answers, _LEAST))
    own = logs[rows, given]
    margins = logs[rows, suggested] - own if count else own
    doubtful = np.flatnonzero(margins > 0)
    wrong = np.zeros(count)
    pairs = given[doubtful] * classes + suggested[doubtful]
    labelled = [np.flatnonzero(given == label) for label in range(classes)]
    for pair in np.unique(pairs):
        label, other = divmod(int(pair), classes)
        here = doubtful[pairs == pair]
        here = here[np.argsort(-margins[here], kind="stable")]
        like = labelled[other]
        if len(like):
            wrong[here] = _of_pair(margins[here], np.sort(logs[like, other] - logs[like, label]))
        if len(here) <= FEW or not len(like):
            improbable = answers[here, label] <= IMPROBABLE / classes
            wrong[here] = np.maximum(wrong[here], np.where(improbable, 0.5, 0.0))
    return wrong


def _of_pair(margins: Float64Array, usual: Float64Array) -> Float64Array:
    """The probability of an error for images labelled j that look more like k.

    Errors are spread over the margins as the images labelled k are; confusions gather at small margins. So the rate of
    errors is counted where no confusions are (as Storey, 2002, counts true null hypotheses among p-values): above the
    median of the images labelled k, and further down for as long as no more images are there than errors explain.

    Args:
        margins: float64 (M,), falling and above 0: how much surer of k than of j the networks are, in logarithms.
        usual: float64 (U,), rising: the same of the images labelled k.

    Returns:
        float64 (M,), falling. One where the rate was counted. Below, each image takes what is expected at that rate
        down to its margin and was not taken yet, one error at most; isotonic regression makes that monotone.
    """
    from sklearn.isotonic import isotonic_regression

    # A hair more: equal numbers may differ in their last bit.
    place = np.searchsorted(usual, margins + 1e-9) / len(usual)  # of each image among those labelled k
    start, sure = _counted(place)
    wrong = np.ones(len(margins))
    if sure == len(margins):
        return wrong
    rate = sure / ((1 - start) * len(usual))
    below = margins[sure:]
    bounds = np.concatenate([[max(float(np.quantile(usual, start)), below[0])], (below[:-1] + below[1:]) / 2, [0.0]])
    expected, left = rate * np.diff(len(usual) - np.searchsorted(usual, bounds)), 0.0
    for number, errors in enumerate(expected.tolist()):
        expected[number] = min(1.0, left + errors)
        left += errors - expected[number]
    wrong[sure:] = isotonic_regression(expected, y_min=0.0, y_max=1.0, increasing=False)
    return wrong


def _counted(place: Float64Array) -> tuple[float, int]:
    """From which place on the images are errors, and how many they are."""
    from scipy.stats import binom

    start, sure = 0.5, int((place >= 0.5).sum())
    for lower in _LOWER:
        more = int(((place >= lower) & (place < start)).sum())
        if binom.sf(more - 1, more + sure, (start - lower) / (1 - lower)) < _SURPRISE:
            break
        start, sure = lower, sure + more
    return start, sure


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
