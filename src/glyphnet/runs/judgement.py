"""Judging a classifier and writing that down: after a training and for ``glyphnet evaluate`` alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..classifier import Classifier
from ..data import Finding, ImageDataset, Splits
from ..evaluation import Evaluation, evaluate
from ..evaluation.evaluate import HeldOut, Progress, held_out_in_training
from ..files import atomic_write_text
from .review import Review
from .run import RunFolder

if TYPE_CHECKING:
    from ..report import SuspectPart
    from ..report.curves import History


def judge_after_training(
    classifier: Classifier, splits: Splits, progress: Progress | None
) -> tuple[Classifier, Evaluation, HeldOut] | None:
    """The classifier with its accuracy written into it, the evaluation, and what it was judged by.

    By the test part, or by the validation part where there is no test part; None where nothing was held out.
    """
    if not len(splits.test) and not len(splits.validation):
        return None
    held = held_out_in_training(splits)
    evaluation = evaluate(classifier, held.dataset, data=held.data, part=held.part, progress=progress)
    interval, headline = evaluation.accuracy_interval, evaluation.figures[evaluation.headline].interval
    measured = {
        "judged_on": evaluation.data,
        "part": evaluation.part,
        "accuracy": evaluation.accuracy,
        "interval": [interval.low, interval.high],
        "headline": evaluation.headline,
        "balanced_accuracy": evaluation.balanced_accuracy,
        "majority_share": evaluation.majority_share,
        "headline_interval": None if headline is None else [headline.low, headline.high],
        "n": len(evaluation),
    }
    return replace(classifier, metrics={**classifier.metrics, **measured}), evaluation, held


def write_judgement(
    folder: RunFolder,
    classifier: Classifier,
    evaluation: Evaluation,
    review: Review | None = None,
    *,
    history: History | None,
    findings: Sequence[Finding],
    command: str,
    provenance: Mapping[str, Any],
    splits: Splits | None = None,
    model: str = "MODEL",
    report: bool = True,
) -> None:
    """Write evaluation.json, predictions.csv and report.html, each all or nothing.

    Args:
        folder: where; it must exist.
        review: the labels that look wrong, where they were looked for; of the judged images the report tells them
            in any case.
        history: the training's rows, for the learning curves, or None where they are not known.
        findings: what a reader of the figures must know.
        command: the command line that makes this again.
        provenance: versions, hardware, fingerprints: plain values, may be nested.
        splits: all the data, where they are known.
        model: what to call the model file in commands.
        report: whether to write report.html.
    """
    figures = json.dumps(judgement_to_dict(evaluation, findings), ensure_ascii=False, indent=2)
    atomic_write_text(folder.evaluation, figures + "\n")
    evaluation.write_predictions_csv(folder.predictions)
    if not report:
        return
    from ..report import write_report  # templates and pictures: a training can begin without

    write_report(
        folder.report,
        evaluation,
        classifier=classifier,
        history=history,
        best_epoch=classifier.metrics.get("best_epoch") or None,
        splits=splits,
        suspects=suspects(evaluation, review),
        findings=findings,
        command=command,
        model=model,
        provenance=provenance,
    )


def judgement_to_dict(evaluation: Evaluation, findings: Sequence[Finding]) -> dict[str, Any]:
    """Every figure with its interval, and what a reader must know of them, as evaluation.json holds it."""
    return {**evaluation.to_dict(), "findings": [each.to_dict() for each in findings]}


def suspects(evaluation: Evaluation, review: Review | None) -> list[SuspectPart]:
    """The labels that look wrong: those of the review, and of the judged images if it does not have them."""
    from ..report import SuspectPart

    reviewed = () if review is None else review.parts
    parts = [SuspectPart(part.name, part.dataset, part.issues) for part in reviewed]
    # Of the training part no label can be suspected: the model has learnt it.
    judged = evaluation.part
    if judged not in ("", "train", *(part.name for part in parts)):
        dataset = ImageDataset(
            np.asarray(evaluation.images), evaluation.labels.astype(np.int64), evaluation.classes, evaluation.names
        )
        parts.append(SuspectPart(judged, dataset, evaluation.label_issues()))
    return parts
