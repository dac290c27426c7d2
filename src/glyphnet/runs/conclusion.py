"""The end of a training: a classifier is made of what was trained, judged, and written down."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..classifier import Classifier
from ..conformal import Conformal, choose_score
from ..data import Finding, ImageDataset, Splits, look_over
from ..data.ink import measure_ink
from ..data.listing import Progress
from ..evaluation import Evaluation, choose_thresholds, fit_temperature
from ..evaluation.calibration import softmax
from ..evaluation.normalizing import decide_normalizing
from ..images import Batch, seen
from ..modelfile import Provenance, library_versions, pick_samples
from ..nn.prototypes import Prototypes, fit_prototypes
from ..training import FitResult, Recipe
from ..training.device import hardware, using_threads
from .diagnosis import diagnose
from .judgement import judge_after_training, write_judgement
from .review import review
from .run import Run, RunFolder, write_history

_SEARCH = 0.1
"""Of the time of the training: the search for near duplicates may take so long."""


def conclude(
    result: FitResult,
    recipe: Recipe,
    splits: Splits,
    folder: RunFolder | None,
    progress: Progress | None,
    command: str,
    began: str,
    *,
    check_labels: bool,
    report: bool = True,
    said: Callable[[str], None] | None = None,
    more: Callable[[Classifier, Evaluation], Sequence[Finding]] | None = None,
) -> Run:
    """Make a classifier of what was trained, judge it if it was trained to the end, write both down.

    Args:
        check_labels: look for wrong labels as well.
        report: write report.html, too.
        said: called with a sentence on how the classifier reads pictures.
        more: gives further findings on the judged classifier.
        The others: as in `glyphnet.runs.training`.
    """
    classifier = make_classifier(result, recipe, splits, began, said) if result.best_epoch else None
    if classifier is not None and said is not None:
        said(classifier.about_normalizing)
    if folder is not None:
        write_history(folder.history, result.history)
        if classifier is not None:
            classifier.save(folder.model)  # judging may be interrupted: the model is there then
    judged, doubts = None, None
    diagnosis: tuple[Finding, ...] = ()
    if classifier is not None and result.ending != "stopped":
        look_over(splits, most_seconds=_SEARCH * result.seconds)
        with using_threads(result.threads):
            judged = judge_after_training(classifier, splits, progress)
            if judged is not None:
                diagnosis = diagnose(judged[0], judged[1], splits, recipe, result.history, result.best_epoch)
        if judged is not None and more is not None:
            diagnosis = (*diagnosis, *more(judged[0], judged[1]))
        if check_labels:
            doubts = review(splits, device=result.device, progress=progress)
            if folder is not None:
                doubts.write_csv(folder.suspects)
    if judged is not None:
        classifier, evaluation, held = judged
        if folder is not None:
            classifier.save(folder.model)
            with using_threads(result.threads):
                write_judgement(
                    folder,
                    classifier,
                    evaluation,
                    doubts,
                    history=result.history,
                    findings=(*diagnosis, *held.findings),
                    command=command,
                    provenance=_provenance(result, recipe, splits),
                    splits=splits,
                    model=shlex.quote(str(folder.model)),
                    report=report,
                )
    return Run(
        classifier=classifier,
        evaluation=judged[1] if judged else None,
        recipe=recipe,
        splits=splits,
        history=result.history,
        best_epoch=result.best_epoch,
        ending=result.ending,
        seconds=result.seconds,
        folder=folder,
        review=doubts,
        findings=() if judged is None else (*diagnosis, *judged[2].findings),
    )


def make_classifier(
    result: FitResult, recipe: Recipe, splits: Splits, began: str, said: Callable[[str], None] | None = None
) -> Classifier:
    """The classifier that a training gave.

    How it reads pictures, and when it is not to be believed, is chosen on validation data: see `calibrated`.
    """
    plain = Classifier(
        network=result.network,
        spec=recipe.network,
        input_shape=splits.image_shape,
        classes=splits.classes,
        preprocessing=result.preprocessing,
        recipe=recipe.model_dump(mode="json"),
        metrics={"best_epoch": result.best_epoch, "ending": result.ending},
        provenance=Provenance(
            data=splits.name,
            fingerprint=splits.train.fingerprint,
            created=began,
            versions=library_versions(),
        ),
        samples=pick_samples((splits.validation if len(splits.validation) else splits.test).images, recipe.samples),
        ink=measure_ink(splits.train.images),
        reading=splits.reading,
    )
    with using_threads(result.threads):  # sums in another order have other last bits
        return calibrated(decide_normalizing(plain, splits.train, splits.validation), splits, recipe, said)


def _provenance(result: FitResult, recipe: Recipe, splits: Splits) -> dict[str, Any]:
    """Where and when, for the report."""
    return {
        "seed": recipe.seed,
        "training time": f"{result.seconds:.1f} s",
        "hardware": hardware(),
        "device": result.device,
        "precision": result.precision,
        "threads": result.threads,
        "for the same bits again": f"--threads {result.threads}",
        "processes": result.processes,
        "versions": library_versions(),
        "data": {name: len(part) for name, part in splits},
        "data as read": " ".join(splits.notes),
        "fingerprint of the training data": splits.train.fingerprint,
    }


# After the training: what validation images settle about a classifier, so that it says when it does not know

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
    compared = replace(plain, prototypes=_prototypes(plain, splits.train))
    validation = splits.validation
    if not len(validation):
        if recipe.answer_precision is not None and said:
            said(f"answer_precision {recipe.answer_precision:g}: there are no validation images to choose by.")
        return compared
    given = seen(validation, plain)  # as it reads pictures for prediction
    logits, foreign = compared.logits_and_scores(given)
    temperature = fit_temperature(logits, validation.labels)
    probabilities = softmax(logits / np.float32(temperature))
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
