"""After the training: what validation images settle about a classifier, so that it says when it does not know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..classifier import Classifier
from ..conformal import Conformal, choose_score
from ..data import ImageDataset, Splits
from ..evaluation import choose_thresholds, fit_temperature
from ..images import Batch, seen
from ..nn.prototypes import Prototypes, fit_prototypes
from ..training import Recipe

SAMPLE = 5000
"""Training images among which the prototypes are sought: more take longer and find no better ones."""


def calibrated(
    plain: Classifier, splits: Splits, recipe: Recipe, said: Callable[[str], None] | None = None
) -> Classifier:
    """The classifier with prototypes of its training images and all that validation images choose.

    These are the temperature, the thresholds below and above which an answer is not believed, and the calibration of
    sets. Without validation images they stay as they are.

    Args:
        plain: the trained classifier, with the temperature 1.
        splits: its data.
        recipe: asks for a precision of the answers, or not.
        said: called with a sentence where that precision was asked for.
    """
    from scipy.special import softmax

    compared = replace(plain, prototypes=_prototypes(plain, splits.train))
    validation = splits.validation
    if not len(validation):
        if recipe.answer_precision is not None and said:
            said(f"answer_precision {recipe.answer_precision:g}: there are no validation images to choose by.")
        return compared
    given = seen(validation, plain)  # as it reads pictures for prediction
    logits, foreign = compared.logits_and_scores(given)
    temperature = fit_temperature(logits, validation.labels)
    probabilities = softmax(logits / np.float32(temperature), axis=1)
    thresholds = choose_thresholds(probabilities, validation.labels, foreign, recipe.answer_precision)
    if thresholds.note and said:
        said(thresholds.note)
    score = choose_score(probabilities, validation.labels)
    return replace(
        compared,
        temperature=temperature,
        threshold=thresholds.confidence,
        foreign_threshold=thresholds.foreign,
        conformal=Conformal.calibrate(probabilities, validation.labels, score),
    )


def _prototypes(classifier: Classifier, train: ImageDataset) -> Prototypes | None:
    """Of a sample of the training images."""
    count = min(SAMPLE, len(train))
    some = np.sort(np.random.default_rng(0).permutation(len(train))[:count])
    return fit_prototypes(classifier.compared(Batch.as_seen(train.images[some])), train.labels[some])
