"""The end of a training: a classifier is made of what was trained, judged, and written down."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any

from ..classifier import Classifier
from ..data import Finding, Splits, look_over
from ..data.ink import measure_ink
from ..data.listing import Progress
from ..evaluation import Evaluation
from ..evaluation.normalizing import decide_normalizing
from ..hardware import hardware
from ..history import write_history
from ..modelfile import Provenance, library_versions, pick_samples
from ..training import FitResult, Recipe
from ..training.device import using_threads
from .calibration import calibrated
from .diagnosis import diagnose
from .folder import RunFolder
from .judgement import judge_after_training, write_judgement
from .review import review
from .run import Run

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
