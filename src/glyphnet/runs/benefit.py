"""Whether unlabelled pictures helped: the training beside one on the labelled pictures alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..data import Finding, ImageDataset
from ..evaluation.intervals import SIGNIFICANCE, Paired, paired
from ..progress import Progress
from ..training import Examples, FitResult, Recipe
from ..training.callbacks import Reported
from ..training.consistency import labelled_alone
from ..training.device import using_threads
from ..training.fit import fit
from .run import Trained

WHAT = "checking whether the unlabelled pictures helped"  # in the progress
ENOUGH = 50
"""Validation labels on which the better of two networks is chosen."""
FOLDS = 2
SHORTER = 4
"""A training of the cross-validation has so many times fewer steps: both together cost half of one training."""


def check_benefit(trained: Trained, progress: Progress | None = None) -> tuple[Trained, Finding | None]:
    """The training with unlabelled pictures, or one without that is better, and what was found; None: not asked for.

    Args:
        progress: called in images learnt, and with "checking whether the unlabelled pictures helped".
    """
    recipe, splits, result = trained.recipe, trained.splits, trained.result
    settings, pool = recipe.unlabelled, splits.unlabelled
    if settings is None or pool is None or not settings.check or result.ending == "stopped":
        return trained, None
    alone = labelled_alone(recipe, len(splits.train))
    labels = ImageDataset(
        np.concatenate([splits.train.images, splits.validation.images]),
        np.concatenate([splits.train.labels, splits.validation.labels]), splits.classes,
        [*splits.train.names, *splits.validation.names],
    )  # fmt: skip
    with using_threads(result.threads):
        if len(splits.validation) >= ENOUGH:
            other = _fit(alone, trained, splits.train, progress)
            held = splits.validation
            found = paired(*(each.right(held.images, held.labels) for each in (result, other)))
            helped = found.only_a >= found.only_b
            where = f"on {len(splits.validation):,} validation images"
        elif labels.counts[labels.counts > 0].min() < FOLDS:
            fewest = labels.classes[int(np.where(labels.counts > 0, labels.counts, len(labels)).argmin())]
            return trained, Finding(
                "unlabelled",
                f"Whether the unlabelled pictures helped could not be checked: class {fewest!r} has one label. They "
                f"are used, as the method's default. {ENOUGH} validation labels would decide.",
            )
        else:
            found, other = _cross_validated(trained, labels, progress), None
            helped = found.p_value >= SIGNIFICANCE or found.only_a > found.only_b
            where = f"by cross-validation over {len(labels):,} labels, in shorter trainings"
            if not helped:
                other = _fit(alone, trained, splits.train, progress)
    sentence = _sentence(found, where, helped=helped, told=other is not None or found.p_value < SIGNIFICANCE)
    numbers = {"with": found.accuracy_a.value, "without": found.accuracy_b.value, "p_value": found.p_value}
    if not helped and other is not None:
        trained = replace(trained, result=other, recipe=alone)
    return trained, Finding("unlabelled", sentence, {**numbers, "n": found.n})


def _sentence(found: Paired, where: str, *, helped: bool, told: bool) -> str:
    figures = (
        f"With unlabelled pictures {found.accuracy_a.value:.1%} are right, without {found.accuracy_b.value:.1%} "
        f"{where} (p = {found.p_value:.2g})"
    )
    if not told:
        return (
            f"{figures}: too few to tell whether they help. They are used, as the method's default; that choice could "
            "not be checked."
        )
    return f"{figures}: the network {'with' if helped else 'without'} them is kept."


def _cross_validated(trained: Trained, labels: ImageDataset, progress: Progress | None) -> Paired:
    """Which labels a training with unlabelled pictures names rightly, and one without; none has seen them."""
    recipe = trained.recipe
    fold = _folds(labels.labels, recipe.seed)
    shorter = recipe.model_copy(update={"epochs": max(1, recipe.epochs // SHORTER)})
    right = np.zeros((2, len(labels)), dtype=np.bool_)
    for number in range(FOLDS):
        learned, judged = labels.subset(fold != number), np.flatnonzero(fold == number)
        alone = labelled_alone(recipe, len(learned))
        for row, each in enumerate((shorter, alone)):
            fitted = _fit(each, trained, learned, progress, number * 2 + row, FOLDS * 2)
            right[row, judged] = fitted.right(labels.images[judged], labels.labels[judged])
    return paired(*right)


def _folds(labels: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """The fold of each label, int64 (N,): each class is divided evenly."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = np.arange(len(labels)) % FOLDS
    return fold


def _fit(
    recipe: Recipe, trained: Trained, labelled: ImageDataset, progress: Progress | None, number: int = 0,
    trainings: int = 1,
) -> FitResult:  # fmt: skip
    """A training on these labelled images, computed as the first one was."""
    result, pool = trained.result, trained.splits.unlabelled
    assert pool is not None
    recipe = recipe.model_copy(update={"precision": result.precision, "early_stopping": None})
    unlabelled = None if recipe.unlabelled is None else Examples.of(pool.images, pool.labels)
    train = Examples.of(labelled.images, labelled.labels)
    # In steps, for these are of another number of images each.
    callbacks = [] if progress is None else [Reported(progress, WHAT, 1000 // recipe.epochs, number, trainings)]
    return fit(
        recipe, train, classes=len(labelled.classes), device=result.device, threads=result.threads,
        unlabelled=unlabelled, callbacks=callbacks,
    )  # fmt: skip
