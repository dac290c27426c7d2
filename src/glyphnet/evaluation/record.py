"""An evaluation as files: evaluation.json and predictions.csv."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..files import atomic_write
from .coverage import Rejection, Sets
from .intervals import Figure

if TYPE_CHECKING:
    from .evaluation import Evaluation

COLUMNS = ("file", "true", "predicted", "probability", "correct")
_DIGITS = 6  # of 10,000 images one is 0.0001: two digits below that are enough for any average


def to_dict(evaluation: Evaluation) -> dict[str, object]:
    """Every figure with its interval and n, in types that JSON knows."""
    names = evaluation.classes
    return {
        "data": evaluation.data,
        "n": len(evaluation),
        "classes": list(names),
        "headline": evaluation.headline,
        "majority_share": round(evaluation.majority_share, _DIGITS),
        **{name: _figure(figure) for name, figure in evaluation.figures.items()},
        "calibration": {
            "temperature": evaluation.temperature,
            **_calibration(evaluation),
            "uncalibrated": _calibration(evaluation.uncalibrated),
        },
        "rejection": _rejection(evaluation.rejection),
        "sets": [_sets(each) for each in evaluation.sets],
        "per_class": {
            name: {
                "precision": _figure(scores.precision),
                "recall": _figure(scores.recall),
                "f1": _figure(scores.f1),
                "support": scores.support,
            }
            for name, scores in evaluation.classification_report.items()
        },
        "confusion_matrix": evaluation.confusion_matrix.tolist(),
        "most_confused": [
            {
                "true": names[pair.true],
                "predicted": names[pair.predicted],
                "count": pair.count,
                "share": round(pair.share, _DIGITS),
            }
            for pair in evaluation.most_confused()
        ],
    }


def write_predictions_csv(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Write one line an image: file, true, predicted, probability, correct (1 or 0).

    Only the predicted class's probability is written: all K of them would make ten megabytes of 10,000
    images in 100 classes. UTF-8; a file name that is no valid Unicode keeps its bytes.
    """
    classes = evaluation.classes
    rows = zip(
        evaluation.names,
        (classes[label] for label in evaluation.labels),
        (classes[prediction] for prediction in evaluation.predictions),
        (f"{confidence:.6f}" for confidence in evaluation.confidence.tolist()),
        (int(correct) for correct in evaluation.correct),
        strict=True,
    )
    with atomic_write(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
        text.detach()  # flushes, and leaves the file open for whoever opened it


def _calibration(evaluation: Evaluation) -> dict[str, object]:
    return {
        "expected_calibration_error": round(evaluation.calibration_error, _DIGITS),
        "log_loss": round(evaluation.log_loss, _DIGITS),
        "bins": [_rounded(asdict(each)) for each in evaluation.reliability],
    }


def _rejection(rejection: Rejection | None) -> dict[str, object] | None:
    if rejection is None:
        return None
    return {
        "coverage": _figure(rejection.coverage),
        "accuracy": _figure(rejection.accuracy),
        "reasons": rejection.reasons,
    }


def _sets(sets: Sets) -> dict[str, object]:
    return {
        "level": sets.level,
        "coverage": _figure(sets.coverage),
        "size": _figure(sets.size),
        "single": _figure(sets.single),
    }


def _figure(figure: Figure) -> dict[str, object]:
    found: dict[str, object] = {"value": round(figure.value, _DIGITS), "n": figure.n}
    if figure.interval:
        found |= _rounded(asdict(figure.interval))
    return found


def _rounded(values: dict[str, Any]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found[name] = _rounded(value)
        else:
            found[name] = round(value, _DIGITS) if isinstance(value, float) else value
    return found
