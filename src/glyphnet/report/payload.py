"""The data of a report: what its scripts draw, as JSON that is safe inside a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..evaluation import Evaluation
from ..pages.bundle import script_json
from .curves import History
from .embedding import Projection
from .labels import ShownPart, key_of
from .saliency import SaliencySheet
from .sheets import Sheet, Tiles, base64_of

MOST_BARS = 10  # classes shown for an image, the most probable ones
CURVES = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr")


def payload(
    evaluation: Evaluation,
    sheet: Sheet,
    *,
    sheets: Mapping[str, Tiles],
    history: History = (),
    best_epoch: int | None = None,
    saliency: SaliencySheet | None = None,
    projection: Projection | None = None,
    suspects: Sequence[ShownPart] = (),
) -> str:
    """Everything the page's scripts need, as JSON.

    Arrays over the images of the sheet are base64 of little-endian uint16 (classes; probabilities times
    65,535), int32 (places on other sheets, -1 for none) and float32 (confidence and loss, which order the
    images).
    """
    return script_json(
        {
            "classes": list(evaluation.classes),
            "matrix": evaluation.confusion_matrix.tolist(),
            "sheets": {name: tiles.layout for name, tiles in sheets.items()},
            "images": _images(evaluation, sheet),
            "saliency": saliency and {"tiles": base64_of(saliency.places, "<i4"), "count": saliency.tiles.count},
            "history": {key: [_number(row.get(key)) for row in history] for key in CURVES},
            "bestEpoch": best_epoch,
            "reliability": [asdict(each) for each in evaluation.reliability],
            "reliabilityBefore": _before(evaluation),
            "coverage": _coverage(evaluation),
            "embedding": projection and projection.payload,
            "labels": {"key": key_of(suspects), "parts": [each.payload() for each in suspects]},
        }
    )


def _images(evaluation: Evaluation, sheet: Sheet) -> dict[str, object]:
    rows = sheet.rows
    probabilities = evaluation.probabilities[rows]
    bars = min(MOST_BARS, len(evaluation.classes))
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :bars]
    return {
        "all": len(evaluation),
        "count": len(rows),
        "bars": bars,
        "names": [evaluation.names[row] for row in rows],
        "labels": base64_of(evaluation.labels[rows], "<u2"),
        "predictions": base64_of(evaluation.predictions[rows], "<u2"),
        "confidence": base64_of(evaluation.confidence[rows], "<f4"),
        "loss": base64_of(evaluation.losses[rows], "<f4"),
        "topClasses": base64_of(top, "<u2"),
        "topProbabilities": base64_of(np.round(np.take_along_axis(probabilities, top, axis=1) * 65535), "<u2"),
    }


def _before(evaluation: Evaluation) -> list[dict[str, Any]] | None:
    """The reliability before temperature scaling, where there was any."""
    if evaluation.temperature == 1.0:
        return None
    return [asdict(each) for each in evaluation.uncalibrated.reliability]


def _coverage(evaluation: Evaluation) -> dict[str, Any]:
    curve, rejection = evaluation.coverage, evaluation.rejection
    marked = rejection is not None and rejection.accuracy.n > 0
    return {
        "thresholds": np.round(curve.thresholds, 5).tolist(),
        "coverage": np.round(curve.coverage, 5).tolist(),
        "accuracy": np.round(curve.accuracy, 5).tolist(),
        "mark": (rejection.coverage.value, rejection.accuracy.value) if rejection is not None and marked else None,
    }


def _number(value: float | int | None) -> float | int | None:
    return value if value is not None and math.isfinite(value) else None


# Arrays as text that may stand inside a page
