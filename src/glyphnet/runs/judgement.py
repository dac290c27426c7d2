"""Judging a classifier and writing that down: after a training and for ``glyphnet evaluate`` alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..classifier import Classifier
from ..data import Splits
from ..evaluation import Evaluation, evaluate
from ..evaluation.evaluate import Progress
from ..evaluation.heldout import HeldOut, held_out_in_training
from ..files import atomic_write_text
from ..report import write_report
from ..report.curves import History
from .folder import RunFolder


def judge_after_training(
    classifier: Classifier, splits: Splits, progress: Progress | None
) -> tuple[Classifier, Evaluation, HeldOut] | None:
    """The classifier with its accuracy written into it, the evaluation, and what it was judged by.

    By the test part, or by the validation part where there is no test part; None where nothing was held out.
    """
    if not len(splits.test) and not len(splits.validation):
        return None
    held = held_out_in_training(splits)
    evaluation = evaluate(classifier, held.dataset, data=held.data, progress=progress)
    interval = evaluation.accuracy_interval
    measured = {
        "judged_on": evaluation.data,
        "accuracy": evaluation.accuracy,
        "interval": [interval.low, interval.high],
        "n": len(evaluation),
    }
    return replace(classifier, metrics={**classifier.metrics, **measured}), evaluation, held


def write_judgement(
    folder: RunFolder,
    classifier: Classifier,
    evaluation: Evaluation,
    *,
    history: History | None,
    warnings: Sequence[str],
    command: str,
    provenance: Mapping[str, Any],
) -> None:
    """Write evaluation.json, predictions.csv and report.html, each all or nothing.

    Args:
        folder: where; it must exist.
        history: the training's rows, for the learning curves, or None where they are not known.
        warnings: sentences on the data that whoever reads the figures must know.
        command: the command line that makes this again.
        provenance: versions, hardware, fingerprints: plain values, may be nested.
    """
    figures = json.dumps(evaluation.to_dict(), ensure_ascii=False, indent=2)
    atomic_write_text(folder.evaluation, figures + "\n")
    evaluation.write_predictions_csv(folder.predictions)
    write_report(
        folder.report,
        evaluation,
        classifier=classifier,
        history=history,
        best_epoch=classifier.metrics.get("best_epoch") or None,
        notes=warnings,
        command=command,
        provenance=provenance,
    )


def accuracy_sentence(evaluation: Evaluation) -> str:
    """The accuracy with its interval and the count behind it, without a full stop."""
    interval = evaluation.accuracy_interval
    return (
        f"Accuracy on {evaluation.data}: {100 * evaluation.accuracy:.2f} % "
        f"(95 % interval {100 * interval.low:.2f} to {100 * interval.high:.2f} %), {len(evaluation):,} images"
    )
