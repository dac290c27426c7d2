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

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..data import ImageDataset
from ..data.cache import cache_folder
from ..data.dataset import UInt8Array
from ..data.duplicates import duplicate_groups, gathered
from ..data.groups import joined
from ..data.split import group_folds, stratified_folds
from ..errors import DataError, SettingsError
from ..files import make_folder, nameless_file
from ..nn.inference import logits_in_batches
from ..progress import Progress
from ..seeding import derived_seed
from ..training import Examples, FitResult, Recipe, fit
from ..training.callbacks import Reported
from ..training.device import using_threads
from .calibration import softmax

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

LISTED = 0.4  # an image is listed if its label is wrong with at least this probability
FEW = 3  # doubtful images of a pair of classes: so few give no rate of errors
IMPROBABLE = 0.5  # of so few, one is listed if its label is at most so many times as probable as by chance
_LOWER = (0.4, 0.3, 0.2, 0.1, 0.05, 0.0)  # where the count of errors may end, as shares of the images labelled k
_SURPRISE = 0.3  # it ends before a stretch in which so many images are less probable than this
SHORT = 60  # images that a person looks through in minutes: a review lists so many where there are doubts enough
_LEAST = 1e-9  # probabilities are no smaller: logarithms stay finite


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """Images whose labels are doubtful, the surest suspect first.

    Attributes:
        scores: float64 (M,) in [0, 1], falling: the estimated probability that the label is wrong, times how improbable
            the given label is, which orders those that are all but certain; `LISTED` at least. Of images that fill a
            list: `LISTED` times how much more probable the other class is.
    """

    indices: Int64Array  # (M,), which images
    given: Int64Array  # (M,), their labels as they are
    suggested: Int64Array  # (M,), the likeliest other class; never the given one
    scores: Float64Array
    n: int  # images looked at

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def probable(self) -> int:
        """How many are probably wrong; the others fill the list."""
        return int((self.scores >= LISTED).sum())

    def __repr__(self) -> str:
        return f"LabelIssues({len(self):,} of {self.n:,} images)"


def find_label_issues(labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, at_least: int = 0) -> LabelIssues:
    """The images whose labels are wrong with an estimated probability of `LISTED` at least.

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

    ``margins`` (M,), falling and above 0: how much surer of k than of j the networks are, in logarithms; ``usual``
    (U,), rising: the same of the images labelled k. The result (M,) falls: one where the rate was counted. Below, each
    image takes what is expected at that rate down to its margin and was not taken yet, one error at most; isotonic
    regression makes that monotone.
    """
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
    wrong[sure:] = np.clip(_falling(expected), 0.0, 1.0)
    return wrong


def _falling(values: Float64Array) -> Float64Array:
    """Isotonic regression, falling: the sequence that never rises and is nearest to ``values`` (N,) in squares.

    By pooling adjacent violators (Ayer et al., 1955).
    """
    means: list[float] = []
    counts: list[int] = []
    for value in values.tolist():
        mean, count = value, 1
        while means and means[-1] <= mean:
            mean = (means[-1] * counts[-1] + mean * count) / (counts[-1] + count)
            count += counts.pop()
            means.pop()
        means.append(mean)
        counts.append(count)
    return np.repeat(means, counts) if means else values


def _counted(place: Float64Array) -> tuple[float, int]:
    """From which place on the images are errors, and how many they are."""
    start, sure = 0.5, int((place >= 0.5).sum())
    for lower in _LOWER:
        more = int(((place >= lower) & (place < start)).sum())
        if at_least(more, more + sure, (start - lower) / (1 - lower)) < _SURPRISE:
            break
        start, sure = lower, sure + more
    return start, sure


def at_least(count: int, trials: int, chance: float) -> float:
    """The probability of ``count`` successes or more in ``trials``, each with ``chance`` in (0, 1).

    `scipy.special.bdtrc` gives the same; importing it takes 0.2 s.
    """
    logs = np.log(np.arange(1, trials + 1))
    factorials = np.concatenate([[0.0], np.cumsum(logs)])
    k = np.arange(count, trials + 1)
    ways = factorials[trials] - factorials[k] - factorials[trials - k]
    return float(np.exp(ways + k * math.log(chance) + (trials - k) * math.log1p(-chance)).sum())


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


# Cross-validation: networks predict images that they were not trained on

Float32Array = npt.NDArray[np.float32]

WHAT = "cross-validating"  # in the progress
_AT_ONCE = 4096  # images judged or copied in one go: a memory map is never read whole
_BY_ALL = -1  # the fold of an image that no network has learnt from


def cross_validated_probabilities(
    learnt: Sequence[ImageDataset],
    recipe: Recipe,
    *,
    unseen: Sequence[ImageDataset] = (),
    folds: int = 4,
    repeats: int = 1,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> list[Float32Array]:
    """Probabilities of each class for each image, from networks that did not learn from that image.

    The images of ``learnt`` are divided into folds, stratified by class, exact duplicates and images of one group in
    one fold; for each fold a network learns from the others and judges this one. Repeats divide differently, and the
    logarithms of the probabilities are averaged: a network that is sure counts for more. All networks together judge
    the images of ``unseen``, except for those that are also among ``learnt``: these are judged as their copies there.

    Args:
        learnt: sets of images of one shape with the same classes, taken together; they may be memory-mapped.
        recipe: how each network is trained; its seed, its data and early stopping play no part.
        unseen: sets of images that no network learns from.
        folds: networks of one repeat; each learns from ``(folds - 1) / folds`` of the images.
        repeats: how often all that is done.
        seed: the same seed and data give the same bits.
        device: "auto", "cpu", "cuda", "cuda:N", "mps".
        progress: called as ``progress(done, total, what)``, in images learnt.

    Returns:
        For each set of ``learnt``, then of ``unseen``, float32 (N, K). A row of ``learnt`` is NaN where the
        image is the only one of its class: a network that did not see it knows nothing of the class.

    Raises:
        SettingsError: more folds than different images, or the recipe does not go with these images.
        DivergedError: a training diverged.
    """
    if repeats < 1:
        raise SettingsError(f"repeats (={repeats}) must be 1 or more.")
    parts = [*learnt, *unseen]
    classes = len(parts[0].classes)
    pool = _Pool(parts, sum(map(len, learnt)))
    plain = recipe.model_copy(update={"data": None, "early_stopping": None})
    total = np.zeros((pool.count, classes), dtype=np.float32)
    answers = np.zeros(pool.count, dtype=np.int64)
    for number in range(repeats * folds):
        repeat, fold = divmod(number, folds)
        if fold == 0:
            held = pool.folds(folds, np.random.default_rng((seed, repeat)))
        rows = np.flatnonzero((held == fold) | (held == _BY_ALL))
        own = plain.model_copy(update={"seed": derived_seed(seed, "fold", number)})
        train = pool.examples(np.flatnonzero(held[: pool.learnt] != fold))
        callbacks = [Reported(progress, WHAT, len(train), number, repeats * folds)] if progress else []
        result = fit(own, train, classes=classes, device=device, callbacks=callbacks)
        total[rows] += _log_probabilities(result, pool, rows)
        answers[rows] += 1
    total = softmax(np.asarray(total / answers[:, np.newaxis], dtype=np.float32))
    total[: pool.learnt][pool.alone()] = np.nan
    return np.split(total, pool.starts[1:-1])


class _Pool:
    """Several sets of images, counted through: first the ``learnt`` ones to learn from, then the others."""

    def __init__(self, parts: Sequence[ImageDataset], learnt: int) -> None:
        self._parts, self.learnt = parts, learnt
        self.starts = np.cumsum([0, *map(len, parts)])  # of each set, and the end of the last
        self.count = int(self.starts[-1])
        # int64 (count,): equal for exact duplicates, and for images that belong together
        self.groups = duplicate_groups(*(part.images for part in parts))
        self._has_groups = any(part.groups is not None for part in parts)
        if self._has_groups:
            self.groups = joined(self.groups, _together(parts))
        self.labels = np.concatenate([part.labels for part in parts])

    def folds(self, folds: int, rng: np.random.Generator) -> Int64Array:
        """The fold of each image, int64 (count,); -1 for images that are not learnt."""
        mine = self.groups[: self.learnt]
        divide = group_folds if self._has_groups else stratified_folds
        held = divide(self.labels[: self.learnt], mine, folds, rng)
        by_group = np.full(int(self.groups.max()) + 1, _BY_ALL, dtype=np.int64)
        by_group[mine] = held
        return by_group[self.groups]

    def alone(self) -> Int64Array:
        """The images to learn from whose class has no other image there (copies are none)."""
        labels, groups = self.labels[: self.learnt], self.groups[: self.learnt]
        pairs = np.unique(np.stack([labels, groups]), axis=1)
        return np.flatnonzero(np.bincount(pairs[0])[labels] == 1)

    def gather(self, rows: Int64Array) -> UInt8Array:
        """The images at ``rows``, copied into memory: uint8 (n, H, W, C)."""
        return gathered([part.images for part in self._parts], rows)

    def examples(self, rows: Int64Array) -> Examples:
        """The images at ``rows`` with their labels; of memory-mapped images a memory map again."""
        if not any(isinstance(part.images, np.memmap) for part in self._parts):
            return Examples.of(self.gather(rows), self.labels[rows])
        # Written, never filled through the map: a full disk is then an error that can be reported.
        folder = cache_folder()
        make_folder(folder)
        with nameless_file(folder) as file:  # gone when the map is
            for start in range(0, len(rows), _AT_ONCE):
                file.write(self.gather(rows[start : start + _AT_ONCE]).data)
            file.flush()
            shape = (len(rows), *self._parts[0].image_shape)
            return Examples.of(np.memmap(file, dtype=np.uint8, mode="r", shape=shape), self.labels[rows])


def _together(parts: Sequence[ImageDataset]) -> Int64Array:
    """The groups of all sets, counted through; images of sets without groups are groups of their own."""
    above = 1 + max(int(part.groups.max(initial=-1)) for part in parts if part.groups is not None)
    numbered = []
    for part in parts:
        if part.groups is not None:
            numbered.append(part.groups)
        else:
            numbered.append(above + np.arange(len(part)))
            above += len(part)
    return np.concatenate(numbered)


def _log_probabilities(result: FitResult, pool: _Pool, rows: Int64Array) -> Float32Array:
    """The logarithm of the softmax of the network's answers: float32 (n, K)."""
    network = result.network.to(result.device)
    found: list[Float32Array] = []
    with using_threads(result.threads):
        for start in range(0, len(rows), _AT_ONCE):
            images = pool.gather(rows[start : start + _AT_ONCE])
            batches = logits_in_batches(network, result.preprocessing, images)
            found.extend(torch.log_softmax(logits, dim=1).cpu().numpy() for logits in batches)
    return np.concatenate(found)
