"""The data of a report: what its scripts draw, as JSON that is safe inside a page."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import asdict

import numpy as np
import numpy.typing as npt

from ..evaluation import Evaluation
from .curves import History
from .sprites import Sheet

MOST_BARS = 10  # classes shown for an image, the most probable ones
CURVES = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr")


def payload(evaluation: Evaluation, sheet: Sheet, history: History, best_epoch: int | None) -> str:
    """Everything the page's scripts need, as JSON.

    Arrays over the images of the sheet are base64 of little-endian uint16 (classes; probabilities times
    65,535) and float32 (confidence and loss, which order the images).
    """
    return script_json(
        {
            "classes": list(evaluation.classes),
            "matrix": evaluation.confusion_matrix.tolist(),
            "images": _images(evaluation, sheet),
            "history": {key: [_number(row.get(key)) for row in history] for key in CURVES},
            "bestEpoch": best_epoch,
            "reliability": [asdict(each) for each in evaluation.reliability],
        }
    )


def script_json(value: object) -> str:
    r"""JSON that may stand in a ``<script type="application/json">``: ``<``, ``>`` and ``&`` become
    ``\u003c`` and so on.

    Raises:
        ValueError: NaN or infinity, which JSON does not know.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _images(evaluation: Evaluation, sheet: Sheet) -> dict[str, object]:
    rows = sheet.rows
    probabilities = evaluation.probabilities[rows]
    bars = min(MOST_BARS, len(evaluation.classes))
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :bars]
    return {
        "all": len(evaluation),
        "count": len(rows),
        "columns": sheet.columns,
        "height": sheet.height,
        "width": sheet.width,
        "bars": bars,
        "names": [evaluation.names[row] for row in rows],
        "labels": _base64(evaluation.labels[rows], "<u2"),
        "predictions": _base64(evaluation.predictions[rows], "<u2"),
        "confidence": _base64(evaluation.confidence[rows], "<f4"),
        "loss": _base64(evaluation.losses[rows], "<f4"),
        "topClasses": _base64(top, "<u2"),
        "topProbabilities": _base64(np.round(np.take_along_axis(probabilities, top, axis=1) * 65535), "<u2"),
    }


def _base64(values: npt.NDArray[np.generic], dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode()


def _number(value: float | int | None) -> float | int | None:
    return value if value is not None and math.isfinite(value) else None
